"""Networks side by side: each its own light on its own part of the detector, or all on one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import ConfigError
from voltphase.tasks import Classification, Image, RegionReadout, Regions, require_regions

IMAGES = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
DEVICE = vp.devices.tn_slm().pick(8)


def network(**changes: object) -> vp.DONN:
    options: dict[str, object] = {
        "grid": vp.Grid(32, 36e-6),
        "wavelength": 532e-9,
        "distances": 0.02,
        "devices": [DEVICE] * 4,
        "dtype": torch.complex128,
        "task": Classification("grid", classes=4, measure="sum", scale=1.0),
    }
    return vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


def alone(model: vp.DONN, number: int) -> vp.DONN:
    """Return one of two networks by itself, with the levels that it has there."""
    one = network(devices=[DEVICE] * 2, task=model.task)
    for layer, levels in zip(one.layers, model.levels()[2 * number : 2 * number + 2], strict=True):
        layer.set_levels(levels)
    return one


def sums(model: vp.DONN) -> torch.Tensor:
    """Return the light in each region, ``images x regions``, pairs one after the other."""
    regions = require_regions(model.readout).regions
    readout = RegionReadout(Regions(regions.boxes, regions.shape), "sum", 1.0)
    return readout.read(readout.window(model.detector_field(IMAGES)))


@pytest.mark.parametrize("measure", ["sum", "fraction", "amplitude"])
@pytest.mark.parametrize("combine", ["sum", "classes", "difference"])
def test_light_summed_at_once_is_that_of_the_whole_detector(measure: str, combine: str) -> None:
    task = Classification("grid", classes=4, measure=measure, scale=1.0)  # pyright: ignore[reportArgumentType]
    model = network(networks=vp.Networks(2, combine), task=task)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(model(IMAGES), model.readout(model.detector_field(IMAGES)))
    assert len(model.beams.executors) == 1


def test_an_ensemble_adds_the_readings_of_its_networks() -> None:
    model = network(networks=vp.Networks(2))
    first, second = (alone(model, number) for number in (0, 1))
    assert not torch.equal(*(one.levels()[0] for one in (first, second)))
    torch.testing.assert_close(sums(model), (sums(first) + sums(second)) / 2)


def test_networks_share_the_classes() -> None:
    model = network(networks=vp.Networks(2, "classes"))
    expected = torch.cat([alone(model, 0)(IMAGES)[:, :2], alone(model, 1)(IMAGES)[:, 2:]], 1)
    torch.testing.assert_close(model(IMAGES), expected)


def test_one_network_speaks_for_and_one_against() -> None:
    model = network(networks=vp.Networks(2, "difference"))
    speaks_for, against = sums(alone(model, 0))[:, 0::2], sums(alone(model, 1))[:, 1::2]
    torch.testing.assert_close(model(IMAGES), (speaks_for - against) / (speaks_for + against))


def test_light_is_shared_and_none_is_made() -> None:
    clear = vp.devices.DeviceStates(np.arange(2.0), np.ones(2), np.array([0, 0.1]), "clear", "V")
    model = network(devices=[clear] * 4, networks=vp.Networks(2, "classes"), distances=1e-4)
    sent = model.source(IMAGES).abs().square().sum()
    assert float(model.detector_field(IMAGES).abs().square().sum() / sent) == pytest.approx(1, abs=1e-3)
    assert model.detector_field(IMAGES).shape == (3, 32, 64)


def test_pictures_of_an_ensemble_are_those_of_its_added_light() -> None:
    model = network(networks=vp.Networks(2), task=Image(window=(8, 8, 16, 16)))
    torch.testing.assert_close(model(IMAGES), model.readout(model.detector_field(IMAGES)))


def test_gradients_reach_every_layer() -> None:
    model = network(networks=vp.Networks(2, "difference")).train()
    model(IMAGES).square().sum().backward()
    gradients = [layer.design.grad for layer in model.layers]
    assert all(gradient is not None and bool(gradient.any()) for gradient in gradients)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"devices": [DEVICE] * 3, "networks": vp.Networks(2)}, "of 2 networks, as many for each, but got 3"),
        ({"gain": [1, 2, 1, 1], "networks": vp.Networks(2)}, "every network alike, .* but got 2, 1"),
        (
            {"task": Classification("grid", classes=4, differential=False), "networks": vp.Networks(2, "difference")},
            "task.differential to true",
        ),
        ({"task": Image(window=(8, 8, 16, 16)), "networks": vp.Networks(2, "classes")}, "reads regions"),
        ({"devices": [DEVICE] * 10, "networks": vp.Networks(5, "classes")}, "at least one class for each of 5"),
        ({"networks": 2}, "networks side by side"),
    ],
)
def test_what_makes_no_networks_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        network(**changes)


def test_a_difference_is_of_two() -> None:
    with pytest.raises(ConfigError, match="2 networks"):
        vp.Networks(3, "difference")
    with pytest.raises(ConfigError, match="2 networks or more"):
        vp.Networks(1, "classes")
