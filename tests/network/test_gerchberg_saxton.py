"""Gerchberg and Saxton's way to a picture: what it promises, and what it is refused for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from voltphase import DONN, DeviceStates, Grid
from voltphase.core.errors import ConfigError, DataError
from voltphase.devices import tn_slm
from voltphase.network.gerchberg_saxton import gerchberg_saxton
from voltphase.tasks import Classification, Image, all_outputs

SIZE = 24
PHASES = DeviceStates(np.arange(16.0), np.ones(16), 2 * np.pi * np.arange(16) / 16, "sixteen phases")


def square(size: int = SIZE) -> torch.Tensor:
    target = torch.zeros(1, size, size)
    target[:, 9:15, 7:17] = 1
    return target


def beam() -> torch.Tensor:
    y = torch.arange(SIZE) - (SIZE - 1) / 2
    return torch.exp(-(y[:, None] ** 2 + y**2) / (2 * 5.0**2))[None]


def network(task: Any = None, **changes: Any) -> DONN:
    settings: dict[str, Any] = {
        "grid": Grid(SIZE, 36e-6),
        "wavelength": 532e-9,
        "distances": 0.03,
        "devices": [PHASES],
        "task": task or Image(),
        "image_shape": (SIZE, SIZE),
        "dtype": torch.complex128,
    }
    return DONN(**settings | changes).eval()


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")
def test_the_error_never_grows_where_no_light_is_lost() -> None:
    model = network(method="angular-spectrum-wrapped")
    design = gerchberg_saxton(model, beam(), square(), iterations=80)
    falls = -np.diff(design.errors[:40])
    assert (falls > -1e-12).all()
    assert design.errors[39] < 0.6 * design.errors[0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("measure", ["intensity", "amplitude"])
def test_it_finds_states_that_are_better_than_it_began_with(weighted: bool, measure: Any) -> None:
    model = network(Image(measure=measure), devices=[tn_slm(8)])
    layer = model.layers[0]
    layer.set_levels(torch.zeros(SIZE, SIZE, dtype=torch.int64))
    images, target = beam(), square().double()
    before = float(model.task.compute_loss(all_outputs(model, images), target))
    design = gerchberg_saxton(model, images, target, iterations=30, weighted=weighted)
    layer.set_levels(design.levels)
    outputs = all_outputs(model, images)
    torch.testing.assert_close(outputs, design.outputs)
    assert float(model.task.compute_loss(outputs, target)) < 0.5 * before


def test_weights_make_it_more_even() -> None:
    model = network()
    nonuniformity = model.task.metrics[-1]
    assert nonuniformity.name == "nonuniformity"
    plain, weighted = (gerchberg_saxton(model, beam(), square(), iterations=60, weighted=w) for w in (False, True))
    assert nonuniformity.of(weighted.outputs, square()) < 0.7 * nonuniformity.of(plain.outputs, square())


def test_of_two_states_each_pixel_takes_the_nearer_to_what_a_focus_wants() -> None:
    # The factor wanted for a spot is the conjugate of the light from the pixel there, times any common phase.
    two = DeviceStates(np.arange(2.0), np.ones(2), np.array([0, np.pi]), "two phases")
    model, spot = network(devices=[two]), torch.zeros(1, SIZE, SIZE)
    spot[:, 12, 12] = 1
    images = torch.ones(1, SIZE, SIZE)
    found = gerchberg_saxton(model, images, spot, iterations=20).levels
    modulation = torch.ones(SIZE, SIZE, dtype=torch.complex128, requires_grad=True)
    field = model.executor(images, [modulation])[0, 12, 12]
    (wanted,) = torch.autograd.grad(field, modulation, torch.ones_like(field))
    sides = [((wanted * np.exp(1j * turn)).real < 0).long() for turn in np.linspace(0, 2 * np.pi, 721)]
    assert min(int((side != found).sum()) for side in sides) <= 2  # pixels on the border between both


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": Classification(differential=False)}, "the task image, .* but got RegionReadout"),
        ({"task": Image(measure="field")}, "an intensity or an amplitude"),
        ({"task": Image(pixels=(6, 6))}, "a pixel each sample"),
        ({"devices": [PHASES] * 2}, "one layer, but got 2"),
    ],
)
def test_other_networks_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        gerchberg_saxton(network(**change), beam(), square())


def test_other_data_are_refused() -> None:
    with pytest.raises(DataError, match="one target as a tensor of 1 x 24 x 24, but got 1 x 20 x 20"):
        gerchberg_saxton(network(), beam(), square(20))
    with pytest.raises(DataError, match="one image"):
        gerchberg_saxton(network(), beam().expand(2, -1, -1), square())
