from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from voltphase.codesign import GumbelSoftmax, Proximity, ReinMax, Relaxation, Softmax
from voltphase.config import Config, load_config
from voltphase.core.errors import ConfigError, DataError
from voltphase.tasks import RegionReadout, Regions
from voltphase.training.build import build_dataset, build_datasets, build_devices, build_model


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], Proximity()),
        (["recipe=gumbel-softmax"], GumbelSoftmax()),
        (["recipe=paper"], GumbelSoftmax(mix="polar")),
        (["codesign.relaxation.name=gumbel-softmax", "codesign.relaxation.hard=false"], GumbelSoftmax(hard=False)),
        (["codesign.relaxation.name=softmax"], Softmax()),
        (["codesign.relaxation.name=softmax", "codesign.relaxation.hard=true"], Softmax(hard=True)),
        (["codesign.relaxation.name=reinmax", "codesign.relaxation.mix=polar"], ReinMax("polar")),
        (["codesign.relaxation.hard=true"], Proximity(hard=True)),
    ],
)
def test_a_relaxation_by_name(overrides: list[str], expected: Relaxation) -> None:
    assert load_config("digits", overrides).codesign.relaxation.build() == expected


def test_reinmax_is_never_soft() -> None:
    with pytest.raises(ConfigError, match=r"codesign\.relaxation\.hard is of .*, not of reinmax"):
        load_config("digits", ["codesign.relaxation.name=reinmax", "codesign.relaxation.hard=false"])


def test_proximity_mixes_on_the_complex_plane() -> None:
    with pytest.raises(ConfigError, match=r"codesign\.relaxation\.mix is of .*, not of proximity"):
        load_config("digits", ["codesign.relaxation.name=proximity", "codesign.relaxation.mix=polar"])


def test_engine_and_precision_reach_the_light() -> None:
    config = load_config("digits", ["optics.size=16", "optics.engine=fft", "optics.precision=double"])
    model = build_model(config, build_devices(config), (8, 8))
    assert model.explain().engines[1] == "fft"
    assert model.executor.dtype == model.layers[0].modulation().dtype == torch.complex128
    assert not model.executor.tf32


@pytest.mark.parametrize(
    ("precision", "rounded"), [("single", [False, False]), ("auto", [False, True]), ("tf32", [True, True])]
)
def test_auto_is_tf32_where_a_gpu_trains(precision: str, rounded: list[bool]) -> None:
    config = load_config("digits", ["optics.size=16", f"optics.precision={precision}"])
    models = [build_model(config, build_devices(config), (8, 8), for_gpu=for_gpu) for for_gpu in (False, True)]
    assert [model.executor.tf32 for model in models] == rounded
    assert [", TF32 in" in model.explain().precision for model in models] == rounded
    assert models[1].executor.dtype == torch.complex64


def test_tf32_rounds_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def record(device: torch.device, *, tf32: bool) -> nullcontext[None]:
        asked.append(tf32)
        return nullcontext()

    monkeypatch.setattr("voltphase.optics.backends.cpu.backend.matrix_products", record)
    config = load_config("digits", ["optics.size=16", "optics.precision=tf32"])
    model = build_model(config, build_devices(config), (8, 8))
    images = torch.rand(2, 8, 8)
    model(images).sum().backward()
    assert asked == [True, True]
    model.eval()(images)
    assert asked == [True, True, False]


def test_gain_and_gradient_scale_reach_their_layers() -> None:
    config = load_config(
        "digits",
        [
            "optics.depth=2",
            "optics.size=16",
            "codesign.gain=[1.5, 2]",
            "codesign.amplitude_grad_scale=[0.5, 0.25]",
        ],
    )
    layers = build_model(config, build_devices(config), (8, 8)).layers
    assert [layer.gain for layer in layers] == [1.5, 2]
    assert [layer.amplitude_grad_scale for layer in layers] == [0.5, 0.25]


def test_one_scale_for_each_layer_or_one_for_all() -> None:
    with pytest.raises(ConfigError, match=r"codesign\.amplitude_grad_scale to be a number or 5 numbers"):
        load_config("digits", ["codesign.amplitude_grad_scale=[0.5, 0.25]"])


def readout_of(config: Config) -> RegionReadout:
    readout = config.task.build().make_readout((64, 64))
    assert isinstance(readout, RegionReadout)
    return readout


def test_differential_detection_reads_pairs_of_regions() -> None:
    assert readout_of(load_config("digits", ["task.differential=true"])).regions == Regions.paper_pairs(64)
    boxes = [[row, column, 3, 3] for row in range(0, 20, 4) for column in range(0, 16, 4)]
    config = load_config("digits", ["task.differential=true", f"task.regions={boxes}"])
    regions = readout_of(config).regions
    assert (regions.paired, regions.classes, regions.boxes[1]) == (True, 10, (0, 4, 3, 3))
    assert build_dataset(config, "test").classes[0] == "0"


@pytest.mark.parametrize(("loss", "wanted"), [("cross-entropy", 3.0), ("mse", 20.0)])
def test_the_readout_is_calibrated_as_suits_the_loss(loss: str, wanted: float) -> None:
    readout = readout_of(load_config("digits", ["task.differential=false", f"task.loss={loss}"]))
    measured = torch.tensor([[0.1, 0.2, 0.6]])
    assert readout.outputs(measured).mean().item() == pytest.approx(wanted)


def test_a_class_without_its_pair_is_refused() -> None:
    boxes = [[row, column, 3, 3] for row in range(0, 20, 4) for column in range(0, 16, 4)][:18]
    config = load_config("digits", ["task.differential=true", f"task.regions={boxes}"])
    with pytest.raises(ConfigError) as caught:
        build_datasets(config)
    assert str(caught.value) == (
        "expected task.regions to list 20 regions, two for each class of digits, but got 18: correct it, or take grid, "
        "which is laid out for any number"
    )


@pytest.mark.parametrize(
    "data", [{"name": "arrays", "train": "x.npz"}, *({"name": n, "path": "x"} for n in ("folder", "pairs"))]
)
def test_data_that_are_not_there_are_told_with_how_to_name_their_folder(data: dict[str, str], tmp_path: Path) -> None:
    config = load_config("digits", [f"data.{key}={value}" for key, value in data.items()])
    for load_it in (lambda: build_datasets(config, tmp_path), lambda: build_dataset(config, "test", tmp_path)):
        with pytest.raises(DataError, match=r"cannot read .*x.*, or name the folder .* with --data-dir, or data\.dir$"):
            load_it()
