"""Skip connections: beam splitters that lead light past layers, on every back end, against plain interference."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import ConfigError, GeometryError, VoltphaseError
from voltphase.tasks import Classification, Image

IMAGES = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
DEVICE = vp.devices.tn_slm().pick(8)
GRIDS = [vp.Grid(size, 36e-6) for size in (20, 16, 24, 18, 22)]
SKIPS = {
    "past one": [vp.Skip(1, 3, 0.3)],
    "from the source": [vp.Skip(0, 2, 0.5)],
    "to the detector": [vp.Skip(2, 4, 0.2, distance=0.05)],
    "past all": [vp.Skip(0, 4, 0.4)],
    "crossed": [vp.Skip(0, 2, 0.3), vp.Skip(1, 3, 0.5), vp.Skip(2, 4, 0.1)],
    "two from one": [vp.Skip(0, 2, 0.3), vp.Skip(0, 3, 0.5)],
}


def network(**changes: object) -> vp.DONN:
    options: dict[str, object] = {
        "grid": GRIDS,
        "wavelength": 532e-9,
        "distances": [0.01, 0.02, 0.015, 0.02],
        "devices": [DEVICE] * 3,
        "image_shape": (9, 9),
        "dtype": torch.complex128,
        "task": Classification("grid", classes=4, scale=1.0),
    }
    return vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


def field_by_hand(model: vp.DONN, skips: list[vp.Skip]) -> torch.Tensor:
    """Return the field on the detector, of propagators and nothing else: each splitter is a 2 x 2 unitary matrix."""
    field, past = model.source(IMAGES), {}
    for plane in range(len(GRIDS)):
        for number, skip in enumerate(skips):
            if skip.end == plane:
                field = math.sqrt(1 - skip.share) * field + 1j * math.sqrt(skip.share) * past[number]
        if plane == len(GRIDS) - 1:
            return field
        if plane > 0:
            field = model.layers[plane - 1].modulation() * field
        for number, skip in enumerate(skips):
            if skip.start == plane:
                way = sum(model.distances[plane : skip.end]) if skip.distance is None else skip.distance
                cross = vp.Propagator(
                    GRIDS[plane],
                    GRIDS[skip.end],
                    wavelength=532e-9,
                    distance=way,
                    method="fresnel",
                    dtype=field.dtype,
                )
                past[number] = 1j * math.sqrt(skip.share) * cross(field)
                field = math.sqrt(1 - skip.share) * field
        field = model.propagators[plane](field)
    raise AssertionError


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("skips", SKIPS.values(), ids=SKIPS)
def test_light_is_split_and_joined_as_by_hand(skips: list[vp.Skip], backend: str) -> None:
    model = network(skips=skips, backend=backend)
    expected = field_by_hand(model, skips)
    torch.testing.assert_close(model.planes(IMAGES)["detector"], expected)
    torch.testing.assert_close(model(IMAGES), model.readout(expected))
    pictures = network(skips=skips, backend=backend, task=Image())
    torch.testing.assert_close(pictures(IMAGES), pictures.readout(expected))


@pytest.mark.parametrize("skips", SKIPS.values(), ids=SKIPS)
def test_gradients_go_both_ways(skips: list[vp.Skip]) -> None:
    gradients = []
    for step_by_step in (False, True):
        model = network(skips=skips, backend="cpu").train()
        logits = model.readout(model.planes(IMAGES)["detector"]) if step_by_step else model(IMAGES)
        (logits * torch.arange(4)).sum().backward()
        gradients.append([layer.design.grad for layer in model.layers])
    torch.testing.assert_close(*gradients)


def test_splitters_lose_the_second_port_and_nothing_else() -> None:
    clear = vp.devices.DeviceStates(np.arange(2.0), np.ones(2), np.zeros(2), "clear", "V")
    plane, short = vp.Grid(20, 36e-6), 1e-5
    for share in (0.2, 0.5, 0.8):
        model = network(grid=plane, distances=short, devices=[clear] * 3, skips=[vp.Skip(0, 4, share)])
        sent = model.source(IMAGES).abs().square().sum()
        kept = float(model.planes(IMAGES)["detector"].abs().square().sum() / sent)
        # Both ways are alike, so that the fields (1 - share) u and -share u meet.
        assert kept == pytest.approx((1 - 2 * share) ** 2, abs=1e-3)


def test_a_plain_interferometer() -> None:
    """The phase of a clear layer moves a Mach-Zehnder interferometer from dark to bright, in closed form."""
    plane, short, images = vp.Grid(20, 36e-6), 1e-5, torch.ones(1, 9, 9, dtype=torch.float64)
    for phase in np.linspace(0, 2 * math.pi, 7):
        device = vp.devices.DeviceStates(np.arange(2.0), np.ones(2), np.full(2, phase), "plate", "V")
        model = network(grid=plane, distances=short, devices=[device], skips=[vp.Skip(0, 2, 0.5)])
        sent = model.source(images).abs().square().sum()
        found = float(model.planes(images)["detector"].abs().square().sum() / sent)
        assert found == pytest.approx(math.sin(phase / 2) ** 2, abs=1e-3)


@pytest.mark.parametrize(("lines", "fringes"), [(5, 1.0), (14, 0.0)])
def test_lines_of_a_band_that_come_into_step_again_are_warned_of(lines: int, fringes: float) -> None:
    phases = np.arange(4) * math.pi / 2
    # The band has no fringes any more, but five lines have them all again.
    length = 1.72 * 532e-9**2 / 5e-9
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = network(
            grid=vp.Grid(4, 36e-6),
            distances=0.01,
            devices=[vp.devices.DeviceStates(np.arange(4.0), np.ones(4), phases, "plate", "V")],
            wavelength=vp.optics.Spectrum((532e-9,), bandwidth=5e-9, lines=lines),
            skips=[vp.Skip(0, 2, 0.5, distance=0.02 + length)],
            method="fresnel-wrapped",
            task=Image(),
        )
    found = []
    for level in range(4):
        model.layers[0].set_levels(torch.full((4, 4), level))
        field = model.detector_field(torch.ones(1, 9, 9, dtype=torch.float64))
        found.append(float(field.detach().abs().square().mean()))
    assert math.hypot(found[0] - found[2], found[1] - found[3]) == pytest.approx(fringes, abs=0.01)
    said = [str(one.message) for one in caught if "interfere as a band 5 nm wide" in str(one.message)]
    assert ["set optics.spectrum.lines to 14" in one for one in said] == [True] * int(fringes)


def test_networks_side_by_side_skip_alike() -> None:
    skips = [vp.Skip(1, 3, 0.3)]
    model = network(devices=[DEVICE] * 6, networks=vp.Networks(2, "classes"), skips=skips)
    torch.testing.assert_close(model(IMAGES), model.readout(model.detector_field(IMAGES)))
    assert not torch.allclose(model(IMAGES), network(devices=[DEVICE] * 6, networks=vp.Networks(2, "classes"))(IMAGES))


def test_it_says_what_it_is() -> None:
    model = network(skips=[vp.Skip(1, 3, 0.3)])
    assert "0.3 of the light from plane 1 to plane 3 past the layers between, 35 mm on" in repr(model)
    assert len(model.explain().gaps) == len(model.explain().engines) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"skips": [vp.Skip(2, 5)]}, "plane 4 at most, the detector behind 3 layers, but got 5"),
        ({"skips": [(1, 3)]}, "each of the skips"),
        ({"skips": [vp.Skip(1, 3)], "gain": 2.0}, "gain 1 of every layer where skips"),
    ],
)
def test_skips_that_do_not_fit_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(VoltphaseError, match=said) as caught:
        network(**changes)
    assert isinstance(caught.value, ConfigError | GeometryError)


@pytest.mark.parametrize(
    ("start", "end", "share", "said"),
    [
        (3, 1, 0.5, "light does not go in a loop"),
        (1, 1, 0.5, "light does not go in a loop"),
        (1, 2, 0.5, "past a layer at least"),
        (-1, 2, 0.5, "starts behind"),
        (0, 2, 1.0, "layers would get no light"),
        (0, 2, 0.0, "share of light"),
    ],
)
def test_what_is_no_skip(start: int, end: int, share: float, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        vp.Skip(start, end, share)
