from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from voltphase import DONN, Grid, RegionReadout
from voltphase.codesign import GumbelSoftmax, PostTraining, Proximity, QuantizationAware, ReinMax, Relaxation, Softmax
from voltphase.config import Config
from voltphase.core.errors import ConfigError, DataError, OutputError
from voltphase.deployment import deploy_run, verify
from voltphase.devices import DevicePanel, DeviceStates
from voltphase.tasks import Classification, Regions
from voltphase.tasks.classification import softmax_mse
from voltphase.training import load_run, refine, refine_run

REGIONS = Regions(((0, 0, 1, 2), (2, 0, 1, 3)), (3, 3))


def device(levels: int, seed: int) -> DeviceStates:
    """Random states, the last one a copy of the first, and one that lets no light through."""
    generator = np.random.default_rng(seed)
    amplitude, phase = generator.uniform(0.2, 1, levels), generator.uniform(0, 6, levels)
    if levels > 3:
        amplitude[-1], phase[-1], amplitude[1] = amplitude[0], phase[0], 0
    return DeviceStates(np.arange(float(levels)), amplitude, phase, name="panel")


def system(
    levels: list[int], *, seed: int = 0, relaxation: Relaxation | None = None, method: str = "fresnel", **options: Any
) -> DONN:
    """3 x 3 pixels a layer, so near to one another that each matters to every region."""
    return DONN(
        grid=Grid((3, 3), pitch=36e-6),
        wavelength=532e-9,
        distances=0.005,
        devices=[device(count, seed + index) for index, count in enumerate(levels)],
        task=Classification(REGIONS.boxes, REGIONS.paired, "fraction", 8.0),
        image_shape=(3, 3),
        relaxation=relaxation,
        method=method,
        seed=seed,
        **options,
    )


def batch(count: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 3, generator=generator), torch.randint(0, 2, (count,), generator=generator)


@torch.no_grad()
def loss_of(model: DONN, images: Tensor, labels: Tensor) -> float:
    return float(cross_entropy(model.eval()(images), labels))


@settings(max_examples=12)
@given(
    levels=st.lists(st.integers(2, 9), min_size=1, max_size=3),
    seed=st.integers(0, 10_000),
    evaluations=st.integers(3, 40),
    relaxation=st.sampled_from(
        [GumbelSoftmax(), Softmax(), ReinMax(), Proximity(), PostTraining(), QuantizationAware("complex")]
    ),
    gain=st.sampled_from([1.0, 2.5]),
    mse=st.booleans(),
)
def test_the_loss_never_rises_and_is_that_of_states_the_devices_have(
    levels: list[int], seed: int, evaluations: int, relaxation: Relaxation, gain: float, mse: bool
):
    model = system(levels, seed=seed, relaxation=relaxation, gain=gain)
    images, labels = batch(seed=seed)
    loss = softmax_mse if mse else cross_entropy
    before, start = float(loss(model.eval()(images), labels)), model.levels()
    seen: list[tuple[int, float]] = []
    result = refine(
        model, images, labels, loss=loss, evaluations=evaluations, batch_size=5, watch=lambda *now: seen.append(now)
    )
    after = float(loss(model.eval()(images), labels).detach())
    # Micro-batches and the whole batch are added in another order.
    assert result.loss_before == pytest.approx(before, rel=1e-5)
    assert result.loss_after == pytest.approx(after, rel=1e-5)
    assert result.loss_after <= result.loss_before
    losses = [value for _, value in seen]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == result.loss_after
    assert result.evaluations <= evaluations
    for count, chosen in zip(levels, model.levels(), strict=True):
        assert 0 <= int(chosen.min()) <= int(chosen.max()) < count
    assert result.changed == sum(int((a != b).sum()) for a, b in zip(start, model.levels(), strict=True))


def test_interrupted_it_keeps_what_it_has_found():
    images, labels = batch(seed=2)
    model = system([4, 4], seed=2)

    def interrupt(evaluations: int, loss: float) -> None:
        if evaluations > 12:
            raise KeyboardInterrupt

    result = refine(model, images, labels, loss=cross_entropy, evaluations=40, watch=interrupt)
    assert result.evaluations < 40
    assert not result.converged
    assert result.loss_after < result.loss_before
    assert loss_of(model, images, labels) == pytest.approx(result.loss_after, rel=1e-5)


def test_it_ends_where_no_change_of_a_pixel_lowers_the_loss():
    model = system([4, 3], seed=1)
    images, labels = batch()
    result = refine(model, images, labels, loss=cross_entropy, evaluations=5000)
    assert result.converged
    assert result.loss_after < result.loss_before
    best, levels = loss_of(model, images, labels), model.levels()
    for index, layer in enumerate(model.layers):
        for row, column, level in itertools.product(range(3), range(3), range(len(layer.device_states))):
            changed = levels[index].clone()
            changed[row, column] = level
            layer.set_levels(changed)
            assert loss_of(model, images, labels) >= best * (1 - 1e-6)
        layer.set_levels(levels[index])


def test_it_finds_the_best_of_all_designs_from_one_of_a_few_starts():
    images, labels = batch()
    model = system([2], seed=2)
    layer = model.layers[0]
    designs = [torch.tensor(bits).view(3, 3) for bits in itertools.product((0, 1), repeat=9)]
    losses = []
    for design in designs:
        layer.set_levels(design)
        losses.append(loss_of(model, images, labels))
    best = designs[losses.index(min(losses))]
    found = []
    for start in (0, 150, 300, 450):
        layer.set_levels(designs[start])
        result = refine(model, images, labels, loss=cross_entropy, evaluations=1000)
        found.append((result.loss_after, model.levels()[0]))
    loss, levels = min(found, key=lambda each: each[0])
    assert loss == pytest.approx(min(losses), rel=1e-6)
    assert torch.equal(levels, best)
    assert losses[0] > 1.01 * min(losses)


def test_the_same_call_gives_the_same_levels_and_batches_do_not_matter():
    images, labels = batch()
    found = []
    for batch_size in (4, 4, 12):
        model = system([5, 8], seed=3, dtype=torch.complex128)
        found.append((refine(model, images, labels, loss=cross_entropy, evaluations=40, batch_size=batch_size), model))
    for result, model in found[1:]:
        assert result.loss_after == pytest.approx(found[0][0].loss_after, rel=1e-12)
        for one, other in zip(model.levels(), found[0][1].levels(), strict=True):
            assert torch.equal(one, other)


def test_it_does_not_matter_how_light_is_propagated():
    model = system([4], method="angular-spectrum")
    images, labels = batch()
    assert (result := refine(model, images, labels, loss=cross_entropy, evaluations=30)).loss_after < result.loss_before


def test_pixels_that_cannot_be_set_are_left_alone():
    panel = DevicePanel.uniform(device(4, 0), (3, 3), border=(1, 0, 0, 0))
    model = DONN(
        grid=Grid((3, 3), pitch=36e-6),
        wavelength=532e-9,
        distances=0.005,
        devices=[panel],
        task=Classification(REGIONS.boxes, REGIONS.paired, "fraction", 8.0),
        image_shape=(3, 3),
    )
    images, labels = batch()
    result = refine(model, images, labels, loss=cross_entropy, evaluations=2000)
    assert result.converged
    assert 0 < result.changed <= 6
    assert model.levels()[0][0].tolist() == [0, 0, 0]


def test_levels_that_no_design_stands_for_are_left_alone():
    model = system([8], relaxation=PostTraining("complex", order=1))
    images, labels = batch()
    (layer,) = model.layers
    assert not layer.attainable().all()
    result = refine(model, images, labels, loss=cross_entropy, evaluations=2000)
    assert result.converged
    assert result.loss_after < result.loss_before
    assert loss_of(model, images, labels) == pytest.approx(result.loss_after, rel=1e-5)


def test_nothing_but_the_levels_changes():
    model = system([4]).train()
    model.readout = RegionReadout(REGIONS, "fraction")
    images, labels = batch()
    model(images)
    scale = model.readout.scale
    refine(model, images, labels, loss=cross_entropy, evaluations=20)
    assert model.training
    assert model.readout.scale == scale
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("images", "evaluations", "sentence"),
    [
        (12, 2, "expected more than 2 evaluations to refine with, but got 2"),
        (0, 20, "expected images to refine with and a label for each, but got 0 and 12"),
    ],
)
def test_what_cannot_be_refined_with(images: int, evaluations: int, sentence: str):
    given, labels = batch()
    with pytest.raises(ConfigError) as caught:
        refine(system([2]), given[:images], labels, loss=cross_entropy, evaluations=evaluations)
    assert str(caught.value) == sentence


def test_a_run_becomes_a_run_of_its_own(trained: tuple[Path, Config, dict[str, Any]], tmp_path: Path):
    source, config, before = trained
    out = tmp_path / "refined"
    summary = refine_run(source, out, images=100, evaluations=30)
    refined = summary["refined"]
    assert refined["loss_after"] < refined["loss_before"]
    assert (refined["images"], refined["evaluations"] <= 30) == (100, True)
    assert refined["test_accuracy_before"] == before["test_accuracy"]
    model, again, stored = load_run(out)
    assert again == config
    assert stored == json.loads(json.dumps(summary))
    changed = [int((a != b).sum()) for a, b in zip(load_run(source)[0].levels(), model.levels(), strict=True)]
    assert sum(changed) == refined["changed_pixels"] > 0
    assert (out / "metrics.csv").read_bytes() == (source / "metrics.csv").read_bytes()
    result = verify(deploy_run(out, tmp_path / "bench"))
    assert result.passed
    assert result.accuracy == summary["test_accuracy"]


def test_test_images_take_no_part(
    trained: tuple[Path, Config, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from voltphase.training import build_dataset
    from voltphase.training.refine import refine_run as refined_run

    source, config, _ = trained
    training = {image.numpy().tobytes() for image in build_dataset(config, "train").images}
    used: list[Tensor] = []
    original = refined_run.refine

    def spy(model: DONN, images: Tensor, labels: Tensor, **options: Any):
        used.extend(images)
        return original(model, images, labels, **options)

    monkeypatch.setattr(refined_run, "refine", spy)
    refine_run(source, tmp_path / "out", images=10_000, evaluations=3)
    assert len(used) == 150
    assert {image.numpy().tobytes() for image in used} == training


def test_a_folder_that_is_there_is_left_alone(trained: tuple[Path, Config, dict[str, Any]], tmp_path: Path):
    with pytest.raises(OutputError, match=r"expected a new folder, but .* exists already: choose another or remove it"):
        refine_run(trained[0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_found_before_the_work(
    trained: tuple[Path, Config, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from voltphase.training.refine import refine_run as refined_run

    monkeypatch.setattr(refined_run, "refine", lambda *_, **__: pytest.fail("worked in vain"))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file.deep.out: "):
        refine_run(trained[0], tmp_path / "file" / "deep" / "out")


def test_an_unfinished_run_is_refused(trained: tuple[Path, Config, dict[str, Any]], tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_bytes((trained[0] / "config.yaml").read_bytes())
    with pytest.raises(DataError, match=r"expected a finished training run, but .* holds no model\.safetensors"):
        refine_run(run, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"images to refine with .* but got 0"):
        refine_run(trained[0], tmp_path / "out", images=0)
    assert not (tmp_path / "out").exists()


def test_free_phases_have_no_levels_to_refine(tiny: Callable[..., Config]):
    from voltphase.training import build_devices, build_model

    config = tiny("codesign.relaxation.name=unconstrained")
    model = build_model(config, build_devices(config), (8, 8))
    images, labels = torch.rand(4, 8, 8), torch.arange(4)
    with pytest.raises(ConfigError, match="expected layers whose pixels have levels to refine"):
        refine(model, images, labels, loss=cross_entropy, evaluations=20)
