"""A network in a loop of one's own: what people do with modules of PyTorch."""

from __future__ import annotations

import copy
import io
import pickle
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

import voltphase as vp
from voltphase.core.errors import ConfigError
from voltphase.tasks import Classification

DEVICE = vp.devices.tn_slm().pick(8)
# Rounding of single precision over a few planes.
TOLERANCE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def network(**changes: Any) -> vp.DONN:
    options: dict[str, Any] = {"grid": vp.Grid(20, 36e-6), "wavelength": 532e-9, "distances": 0.03}
    options |= {"devices": [DEVICE] * 2, "image_shape": (8, 8)}
    return vp.DONN(**(options | changes))


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (6, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def train(model: nn.Module, images: Tensor, groups: list[dict[str, Any]], steps: int = 15) -> list[float]:
    optimizer, losses = torch.optim.Adam(groups), []
    for _ in range(steps):
        loss = cross_entropy(model(images), LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_rates_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="a learning rate of at least zero, but got -1"):
        network().parameter_groups(-1)
    fixed = network(task=Classification(scale=2.0)).parameter_groups(1.0, 0.1)
    assert [len(group["params"]) for group in fixed] == [1, 1]  # no scale is learned


@pytest.mark.parametrize("plane", ["layer 1 out", "layer 2 in", "detector"])
def test_a_loss_of_the_light_on_a_plane_has_the_gradient_of_finite_differences(images: Tensor, plane: str) -> None:
    model = network(dtype=torch.complex128, relaxation=vp.Softmax())
    weights = torch.rand(6, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss() -> Tensor:
        return (weights * model.planes(images)[plane].abs().square()).sum()

    design = model.layers[0].design
    (gradient,) = torch.autograd.grad(loss(), design)
    direction = torch.randn(design.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    step = 1e-5
    with torch.no_grad():
        design += step * direction
        above = loss()
        design -= 2 * step * direction
        below = loss()
    assert float(gradient.abs().max()) > 0
    torch.testing.assert_close((gradient * direction).sum(), (above - below) / (2 * step), rtol=1e-6, atol=0)


def test_a_network_in_a_gaussian_beam_learns_images_that_are_phases(images: Tensor) -> None:
    beam = vp.optics.SourceLight(encoding="phase", waist=2e-4)
    model = network(source=beam)
    losses = train(model, images, model.parameter_groups())
    assert losses[-1] < losses[0]
    assert model.layers[0].design.grad is not None
    model.planes(images)["detector"].abs().sum().backward()


def test_the_light_on_a_plane_can_be_learned(images: Tensor) -> None:
    model = network()
    optimizer, shares = torch.optim.Adam(model.parameter_groups()), []
    for _ in range(15):
        light = model.planes(images)["detector"].abs().square()
        share = light[:, 5:10, 5:10].sum() / light.sum()
        optimizer.zero_grad()
        (-share).backward()
        optimizer.step()
        shares.append(share.item())
    assert shares[-1] > 1.3 * shares[0]


def test_planes_of_a_trained_network_are_plain_to_look_at(images: Tensor) -> None:
    assert not any(field.requires_grad for field in network().eval().planes(images).values())


def test_double_precision_is_double_throughout_a_loop(images: Tensor) -> None:
    model = network(dtype=torch.complex128)
    losses = train(model, images, model.parameter_groups())
    assert losses[-1] < losses[0]
    assert [layer.design.dtype for layer in model.layers] == [torch.float64] * 2
    assert model(images).dtype == torch.float64
    assert all(field.dtype == torch.complex128 for field in model.planes(images).values())


def test_autocast_rounds_the_head_and_never_the_light(images: Tensor) -> None:
    model, head = network().eval(), nn.Linear(10, 3)
    design = model.layers[0].design
    train_mode = [network(), network()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, planes = model(images), model.planes(images)
        assert head(logits).dtype == torch.bfloat16
        loss = cross_entropy(train_mode[0](images), LABELS)
        loss.backward()  # within, as people write it
    cross_entropy(train_mode[1](images), LABELS).backward()
    assert torch.equal(logits, model(images))
    assert all(torch.equal(field, planes[name]) for name, field in model.planes(images).items())
    one, other = (each.get_parameter("layers.0.design").grad for each in train_mode)
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)
    assert design.grad is None


def test_a_compiled_network_and_one_in_a_compiled_model_give_what_they_gave(images: Tensor) -> None:
    # What is traced around the network does not depend on what compiles it; "eager" compiles nothing and takes no time.
    plain, compiled = network(), network()
    one = nn.Sequential(plain, nn.Linear(10, 3))
    other = nn.Sequential(compiled, copy.deepcopy(one[1]))

    def loss_of(model: nn.Sequential) -> Tensor:
        donn: Any = model[0]
        return cross_entropy(model(images), LABELS) + donn.planes(images)["detector"].abs().sum()

    traced: Any = torch.compile(loss_of, backend="eager")
    results = []
    for run, model in ((loss_of, one), (traced, other)):
        loss = run(model)
        results.append((loss, *torch.autograd.grad(loss, list(model.parameters()))))
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")  # images need no gradient
def test_hooks_of_every_part_run(images: Tensor) -> None:
    model, plain = network(), network()
    seen: list[str] = []

    def note(what: str) -> Any:
        return lambda *_: seen.append(what)

    model.layers[0].design.register_hook(note("gradient of a parameter"))
    model.register_forward_hook(note("network"))
    logits = model(images)
    assert seen == ["network"]
    assert torch.equal(logits, plain(images))  # these alone change nothing of how light is computed
    model.source.register_forward_hook(note("source"))
    for number, layer in enumerate(model.layers, start=1):
        assert isinstance(layer, nn.Module)
        layer.register_forward_pre_hook(note(f"before layer {number}"))
        layer.register_forward_hook(note(f"layer {number}"))
        layer.register_full_backward_hook(note(f"back through layer {number}"))
    model.readout.register_forward_hook(note("readout"))
    seen.clear()
    logits = model(images)
    torch.testing.assert_close(logits, plain(images), **TOLERANCE)
    cross_entropy(logits, LABELS).backward()
    assert seen == [
        *("source", "before layer 1", "layer 1", "before layer 2", "layer 2", "readout", "network"),
        *("back through layer 2", "back through layer 1", "gradient of a parameter"),
    ]


def test_a_hook_may_change_the_light(images: Tensor) -> None:
    model = network().eval()
    before = model(images)
    layer: Any = model.layers[1]
    handle = layer.register_forward_hook(lambda _, __, field: field.flip(-1))
    assert not torch.allclose(model(images), before, **TOLERANCE)
    handle.remove()
    assert torch.equal(model(images), before)


def test_a_state_dict_goes_on_where_it_was_taken(images: Tensor) -> None:
    model, other = network(seed=1), network(seed=2)
    train(model, images, model.parameter_groups(), steps=2)
    assert other.load_state_dict(model.state_dict(), strict=True).missing_keys == []
    with pytest.raises(RuntimeError, match=r"layers\.2\.design"):
        other.load_state_dict(network(devices=[DEVICE] * 3).state_dict(), strict=True)
    # The draws to come are of the seed that a network was made with, and as many have been made.
    again = network(seed=1)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(images), model(images))


def test_a_copy_learns_what_the_original_would_and_leaves_it_alone(images: Tensor) -> None:
    model = network(relaxation=vp.GumbelSoftmax())
    train(model, images, model.parameter_groups(), steps=2)
    copied, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))  # noqa: S301 - its own
    torch.save(model, file := io.BytesIO())
    before = model.layers[0].design.clone()
    stored = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
    learned = [train(each, images, each.parameter_groups(), steps=3) for each in (copied, pickled, stored)]
    assert torch.equal(model.layers[0].design, before)
    assert learned[0] == learned[1] == learned[2] == train(model, images, model.parameter_groups(), steps=3)


class Answered(Dataset[tuple[Tensor, Tensor]]):
    """Images with what a network answers to them, as a worker of a data loader computes it."""

    def __init__(self, model: vp.DONN, images: Tensor) -> None:
        self.model, self.images = model, images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return self.images[index], self.model(self.images[index : index + 1])[0]


def test_a_network_goes_to_the_workers_of_a_data_loader(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # where the worker finds this module
    model = network().eval()
    loader = DataLoader(Answered(model, images), 3, num_workers=1, multiprocessing_context="spawn")
    batches = list(loader)
    assert torch.equal(torch.cat([batch for batch, _ in batches]), images)
    torch.testing.assert_close(torch.cat([answers for _, answers in batches]), model(images), **TOLERANCE)


def test_an_electronic_layer_behind_the_light_trains_and_the_optics_deploy(images: Tensor, tmp_path: Path) -> None:
    model, head = network(), nn.Linear(10, 3)
    hybrid = nn.Sequential(model, head)
    groups = [*model.parameter_groups(), {"params": head.parameters(), "lr": 0.05}]
    levels = [each.clone() for each in model.levels()]
    losses = train(hybrid, images, groups, steps=25)
    assert losses[-1] < 0.7 * losses[0]
    assert all(not torch.equal(one, other) for one, other in zip(levels, model.levels(), strict=True))
    folder = vp.deploy(model.eval(), tmp_path / "bench")
    assert vp.verify(folder).passed
    # The light of the deployed folder is what the electronics read.
    emulator = vp.deployment.Emulator.from_folder(folder)
    torch.testing.assert_close(head(emulator(images)), hybrid.eval()(images), **TOLERANCE)


def test_the_example_of_a_hybrid_answers_from_its_deployed_files(tmp_path: Path) -> None:
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "hybrid.py"))
    assert example["in_a_loop"](tmp_path / "bench", images=400, epochs=4) > 0.7
