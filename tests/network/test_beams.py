"""Beams: intensities that add, on one channel of the detector or on several."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import voltphase as vp
from voltphase.network.beams import Beam, Beams
from voltphase.tasks import Classification, Image

IMAGES = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def network(**changes: object) -> vp.DONN:
    options: dict[str, object] = {
        "grid": vp.Grid(16, 36e-6),
        "wavelength": 532e-9,
        "distances": 0.02,
        "devices": [vp.devices.tn_slm().pick(8)] * 2,
        "dtype": torch.complex128,
        "task": Classification("grid", classes=4, differential=False, measure="sum", scale=1.0),
    }
    return vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


def with_beams(model: vp.DONN, *changes: dict[str, object]) -> vp.DONN:
    """Return a network that runs its one beam several times, each time with other changes."""
    beams = [replace(model.beams.beams[0], **change) for change in changes]
    stack = model._stacks(model.beams.beams, model.beams.areas)[0]
    model.beams = Beams(beams, [stack] * len(beams), model.options, "auto", model.beams.areas)
    return model


@pytest.mark.parametrize(
    "task",
    [
        Classification("grid", classes=4, differential=False, measure="sum", scale=1.0),
        Classification("grid", classes=4, differential=False, measure="amplitude", scale=1.0),
        Classification("grid", classes=4, scale=1.0),
        Image(window=(4, 4, 8, 8)),
    ],
)
@pytest.mark.parametrize("background", [0.0, 0.1])
def test_two_halves_of_a_beam_are_the_whole(task: vp.tasks.Task, background: float) -> None:
    one = network(task=task, background_light=background)
    halves = with_beams(network(task=task, background_light=background), {"weight": 0.5}, {"weight": 0.5})
    whole, split = one.read(IMAGES), halves.read(IMAGES)
    torch.testing.assert_close(split.outputs, whole.outputs)
    torch.testing.assert_close(split.light_share, whole.light_share)
    assert len(halves.beams.executors) == 1


def test_beams_do_not_interfere() -> None:
    model = with_beams(network(), {"weight": 0.25}, {"weight": 0.75, "layers": (1, 0)})
    first, second = model.planes(IMAGES)["detector"], model.planes(IMAGES, 1)["detector"]
    assert not torch.allclose(first.abs(), second.abs())
    expected = 0.25 * first.abs().square() + 0.75 * second.abs().square()
    torch.testing.assert_close(model.readout(torch.complex(expected.sqrt(), 0 * expected)), model(IMAGES))


def test_hooks_see_the_light_of_every_beam() -> None:
    model = with_beams(network(), {"weight": 0.25}, {"weight": 0.75, "layers": (1, 0)})
    expected, seen = model(IMAGES), []
    model.layers[0].register_forward_hook(lambda *given: seen.append(given[2]))
    torch.testing.assert_close(model(IMAGES), expected)
    assert len(seen) == 2


def test_a_single_beam_is_the_light_of_its_executor() -> None:
    model = network()
    modulations = [layer.modulation() for layer in model.layers]
    assert model.beams.single
    assert torch.equal(model.beams.field(IMAGES, modulations), model.executor(IMAGES, modulations))
    assert [type(beam) for beam in model.beams.beams] == [Beam]
