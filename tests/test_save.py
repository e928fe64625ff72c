"""A network that was trained in a loop of one's own, as a run folder: all that a run can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import voltphase as vp
from voltphase.cli import app
from voltphase.core.errors import ConfigError, DataError, OutputError
from voltphase.reporting import save_overview, write_report

SLM, PLANE = vp.devices.tn_slm().pick(8), vp.Grid(20, 36e-6)

# Few of the digits are enough here: some classes are missing.
pytestmark = pytest.mark.filterwarnings("ignore:digits has no image:voltphase.data.DataWarning")


def network(kind: type[vp.DONN] = vp.DONN, **changes: Any) -> vp.DONN:
    options: dict[str, Any] = {"grid": PLANE, "wavelength": 532e-9, "distances": 0.02, "devices": [SLM] * 2}
    options |= {"image_shape": (8, 8)} | changes
    return kind(**options)


RELAY = vp.optics.Relay(0.02)


def trained(model: vp.DONN, dataset: vp.data.ImageDataset, steps: int = 5) -> vp.DONN:
    optimizer = torch.optim.Adam(model.parameter_groups())
    for _ in range(steps):
        loss = model.task.compute_loss(model(dataset.images), dataset.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def digits() -> tuple[vp.data.ImageDataset, vp.data.ImageDataset]:
    return vp.data.load("digits", "train").take(200), vp.data.load("digits", "test").take(100)


def test_what_was_never_trained_is_told_before_anything_is_written(digits, tmp_path: Path) -> None:
    train, test = digits
    with pytest.raises(ConfigError, match=r"never seen images in training mode.* call model.train\(\)\(images\) once"):
        vp.save(network(), tmp_path / "run", train=train, test=test)
    diverged = network()
    diverged(train.images)
    with torch.no_grad():
        next(diverged.parameters()).fill_(torch.nan)
    with pytest.raises(ConfigError, match=r"finite parameters, but .* has others: train it again"):
        vp.save(diverged, tmp_path / "run", train=train, test=test)
    assert not list(tmp_path.iterdir())
    seen = network()
    seen(train.images)
    assert vp.save(seen, tmp_path / "run", train=train, test=test).summary["epochs"] == 0


@pytest.mark.usefixtures("undrawn")
def test_a_saved_network_reports_deploys_verifies_and_is_refined_as_a_run(digits, tmp_path: Path) -> None:
    train, test = digits
    model = trained(network(), train)
    reached = vp.training.evaluate(model, test).metrics["accuracy"]
    run = vp.save(model, tmp_path / "run", train=train, test=test)
    assert model.training  # left as it was
    assert run.summary["test_accuracy"] == reached
    assert run.test_set is None  # the configuration names the images
    assert (run.config.data.name, run.config.data.train_limit, run.config.data.test_limit) == ("digits", 200, 100)
    assert torch.equal(run.model(test.images), model.eval()(test.images))
    assert repr(run).endswith("after a training elsewhere on digits)")
    assert vp.verify(vp.deploy(run, tmp_path / "bench")).passed
    page = write_report(run.path).read_text()
    assert "in a loop of one" in page
    assert 'id="learning"' not in page
    save_overview(run.path, tmp_path / "overview.png")
    refined = vp.training.refine_run(run.path, tmp_path / "refined", images=50, evaluations=3)
    assert refined["refined"]["loss_after"] <= refined["refined"]["loss_before"]
    said = CliRunner().invoke(app, ["evaluate", str(run.path)])
    assert said.exit_code == 0
    assert f"test accuracy {reached:.4f}: {round(reached * 100)} of 100 images of digits" in said.output
    # What the folder describes can be trained anew, from its own device's table.
    again = vp.config.load_config(run.path / "config.yaml", ["training.epochs=1"])
    assert vp.train(again, out=tmp_path / "again", progress=False).model.layers[0].device_states.digest == SLM.digest


@pytest.mark.usefixtures("undrawn")
def test_images_of_ones_own_are_given_again(digits, tmp_path: Path) -> None:
    train, test = (dataset.select(dataset.targets < 3) for dataset in digits)
    model = trained(network(task=vp.tasks.Classification(differential=False)), train)
    run = vp.save(model, tmp_path / "run", train=train, test=test)
    assert run.summary["data_given"]
    assert run.test_set is test
    assert vp.verify(vp.deploy(run, tmp_path / "bench"), test).passed
    assert write_report(run.path, test_set=run.test_set).is_file()
    with pytest.raises(DataError, match="given in Python"):
        write_report(run.path)


def test_a_network_that_makes_pictures_is_saved_too(tmp_path: Path) -> None:
    # All the light is on what is wanted here: efficiencies are 1, and none is more by rounding.
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 8, 8), dtype=torch.uint8, generator=generator)
    pictures = torch.rand(30, 20, 20, generator=generator) + 0.1
    train, test = (images[:20], pictures[:20]), (images[20:], pictures[20:])
    run = vp.save(network(task=vp.tasks.Image()), tmp_path / "run", train=train, test=test)
    assert 1 - 1e-6 < run.summary["test_efficiency"] <= 1
    assert vp.verify(vp.deploy(run, tmp_path / "bench"), test).passed


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": torch.complex128, "method": "angular-spectrum", "gain": [1.0, 2.0], "seed": 7},
        {"grid": [vp.Grid(size, 36e-6) for size in (16, 18, 20, 22)], "distances": [0.01, 0.02, 0.015]},
        {"grid": [vp.Grid(size, (36e-6, 30e-6)) for size in (16, (16, 20), (20, 12), (18, 24))]},
        {"source": vp.optics.SourceLight("phase", waist=3e-4), "relaxation": vp.GumbelSoftmax(hard=False)},
        {"source": vp.optics.SourceLight(waist=3e-4, centre=(1e-5, 0.0), mask=vp.optics.Mask(torch.eye(20) * 1j))},
        {"devices": [vp.devices.DevicePanel.uniform(SLM, (20, 20), border=2), SLM], "backend": "reference"},
        {"task": vp.tasks.Classification.paper(), "grid": vp.Grid(200, 36e-6), "distances": 0.3, "devices": [SLM]},
        {"task": vp.tasks.Classification(differential=False, measure="sum", scale=2.0), "amplitude_grad_scale": 0.5},
        {"background_light": 0.01},
        {"skips": [vp.Skip(0, 2, 0.3, distance=0.05)]},
        {"grid": [vp.Grid(size, 36e-6) for size in (16, 20, 24)], "networks": vp.Networks(2, "difference")},
        {"detectors": vp.Detectors((0.02, (0.01, vp.optics.Lens(0.1), 0.03)), "difference", (0.25, 0.75))},
        {"distances": [0.02, (0.01, vp.optics.Aperture(vp.Grid(24, 30e-6), diameter=5e-4), 0.01), (RELAY,)]},
    ],
)
def test_what_is_rebuilt_from_the_folder_is_the_network(changes: dict[str, Any], digits, tmp_path: Path) -> None:
    train, test = (dataset.take(10) for dataset in digits)
    model = trained(network(**changes), train, steps=1)
    other = vp.save(model, tmp_path / "run", train=train, test=test).model
    assert torch.equal(other(test.images), model.eval()(test.images))
    for name in ("task", "method", "wavelength", "distances", "grids", "networks", "skips", "seed", "options"):
        assert getattr(other, name) == getattr(model, name), name
    for one, two in zip(other.layers, model.layers, strict=True):
        for name in ("relaxation", "gain", "amplitude_grad_scale"):
            assert getattr(one, name) == getattr(two, name), name
        assert one.device_states.digest == two.device_states.digest


class Answering(vp.DONN):
    """A network whose answers no configuration knows of."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": vp.Grid(20, 36e-6, (0.0, 1e-5))}, "planes around the axis"),
        (
            {"distances": [0.02, (0.01, vp.optics.Element(torch.ones(20, 20), grid=PLANE), 0.01), 0.02]},
            "lenses, apertures and relays around the axis",
        ),
        ({"kind": Answering}, "the answers that one rebuilt from it gives"),
    ],
)
def test_a_network_that_no_configuration_describes_is_refused(changes, message, digits, tmp_path: Path) -> None:
    train, test = (dataset.take(20) for dataset in digits)
    model = trained(network(**changes), train, steps=1)
    with pytest.raises(ConfigError, match=message):
        vp.save(model, tmp_path / "run", train=train, test=test)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(digits, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        vp.save(network(), tmp_path, train=digits[0], test=digits[1])
