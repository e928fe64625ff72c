"""Elements between planes: a relay images exactly, and descriptions stand where they should."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import voltphase as vp
from voltphase.core.errors import ConfigError, GeometryError, SamplingError
from voltphase.optics import Aperture, Lens, Relay, Stop, ThinLens
from voltphase.optics.paths import Placed, length_of, paths_between, placed, ways_past
from voltphase.optics.propagator import across
from voltphase.optics.skips import Skip

GRID = vp.Grid((12, 17), (10e-6, 12e-6))
GREEN = 532e-9
ROUNDING = 1e-12


def through(
    *spans: object, grids: tuple[vp.Grid, ...] = (GRID, GRID), method: str = "fresnel", engine: Any = "auto"
) -> torch.nn.Module:
    paths = paths_between(grids, spans, wavelength=GREEN, method=method, engine=engine)  # pyright: ignore[reportArgumentType]
    return across(paths, torch.complex128)[0]


@pytest.fixture
def field() -> torch.Tensor:
    return torch.randn(GRID.shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("focal_length", [0.05, (0.05, 0.08)])
def test_a_relay_images_upside_down_and_magnified_without_loss(field: torch.Tensor, focal_length) -> None:
    relay = Relay(focal_length)
    first, second = relay.focal_lengths
    image = relay.image(GRID)
    assert image.pitch == pytest.approx([pitch * second / first for pitch in GRID.pitch])
    found = through((relay,), grids=(GRID, image))(field) * second / first
    ratio = found / field.flip(0, 1)
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio), rtol=ROUNDING, atol=ROUNDING)
    assert abs(abs(ratio[0, 0]) - 1) < ROUNDING


def test_behind_two_relays_light_goes_on_as_if_there_were_none() -> None:
    grid = vp.Grid((64, 60), 10e-6)
    beam = vp.optics.gaussian_beam(grid, wavelength=GREEN, waist=8e-5, centre=(3e-5, -2e-5), dtype=torch.complex128)
    about: dict[str, Any] = {"grids": (grid, grid), "method": "angular-spectrum"}
    free = through(0.03, **about)(beam)
    relayed = through((0.01, Relay(0.05), Relay(0.04), 0.02), **about)(beam)
    overlap = abs(torch.vdot(free.flatten(), relayed.flatten()))
    assert overlap > (1 - 1e-6) * float(free.norm() * relayed.norm())
    assert float(relayed.norm()) == pytest.approx(float(free.norm()), rel=1e-6)


@pytest.mark.parametrize(("cycles", "passes"), [(3, True), (5, False)])
def test_the_aperture_of_a_relay_stops_what_is_finer_than_its_radius_over_wavelength_and_focal_length(
    cycles: int, passes: bool
) -> None:
    grid, focal = vp.Grid(64, 10e-6), 0.05
    y = grid.coordinates()[0]
    wave = torch.exp(2j * torch.pi * cycles / grid.extent[0] * y)[:, None].expand(64, 64)
    radius = GREEN * focal * 4 / grid.extent[0]
    behind = through((Relay(focal, 2 * radius),), grids=(grid, grid))(wave)
    # Of the middle half, away from the edges of the wave.
    light = float(behind[16:48, 16:48].abs().square().mean())
    assert light > 0.8 if passes else light < 0.1


def test_elements_stand_on_the_plane_before_unless_they_say_others() -> None:
    spans = placed([GRID, GRID], [(0.1, Lens(0.2), Stop(1e-4, size=20, pitch=5e-6), Relay(0.1))], GREEN)
    elements = [step for step in spans[0] if isinstance(step, Placed)]
    assert [step for step in spans[0] if not isinstance(step, Placed)] == [0.1, 0.0, 0.0, 0.0]
    assert [one.plane for one in elements] == [GRID, vp.Grid(20, 5e-6), vp.Grid(20, 5e-6)]
    assert length_of(spans[0]) == pytest.approx(0.5)


def test_a_description_is_the_module_on_its_plane(field: torch.Tensor) -> None:
    modules = (0.01, ThinLens(GRID, wavelength=GREEN, focal_length=0.1), 0.01, Aperture(GRID, diameter=8e-5), 0.01)
    described = (0.01, Lens(0.1), 0.01, Stop(8e-5), 0.01)
    assert torch.equal(through(modules)(field), through(described)(field))


def test_a_lens_right_on_a_plane_takes_no_distance(field: torch.Tensor) -> None:
    lens = ThinLens(GRID, wavelength=GREEN, focal_length=0.1, dtype=torch.complex128)
    free = vp.Propagator(GRID, wavelength=GREEN, distance=0.02, method="angular-spectrum", dtype=torch.complex128)
    found = through((Lens(0.1), 0.02), method="angular-spectrum")(field)
    torch.testing.assert_close(found, free(lens(field)), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("method", ["fresnel-pixels", "fresnel-impulse"])
def test_an_element_right_on_a_plane_goes_with_methods_that_need_a_distance(field: torch.Tensor, method: str) -> None:
    stop = Stop(8e-5)
    free = vp.Propagator(GRID, wavelength=GREEN, distance=0.02, method=method, dtype=torch.complex128)
    found = through((stop, 0.02), method=method)(field)
    torch.testing.assert_close(found, free(stop.transmission(GRID, GREEN) * field), rtol=ROUNDING, atol=ROUNDING)


def test_a_layer_has_to_carry_the_light_of_a_skip_too() -> None:
    fine, coarse = vp.Grid(20, 10e-6), vp.Grid(20, 25e-6)
    about: dict[str, Any] = {"lengths": (0.2, 0.2, 0.1), "wavelength": GREEN, "method": "angular-spectrum"}
    assert ways_past([Skip(0, 2)], (fine, fine, coarse, coarse), **about)
    assert ways_past([Skip(1, 3, distance=0.005)], (fine, fine, coarse, coarse), **about)  # onto the detector
    with pytest.raises(SamplingError, match=r"plane 3 of 4 for the light of a skip .* a coarser one on plane 1"):
        ways_past([Skip(0, 2, distance=0.005)], (fine, fine, coarse, coarse), **about)


def test_a_flat_lens_has_another_focus_in_another_light() -> None:
    flat = Lens(0.1, design_wavelength=633e-9).transmission(GRID, GREEN)
    torch.testing.assert_close(flat, Lens(0.1 * 633 / 532).transmission(GRID, GREEN))


@pytest.mark.parametrize(
    ("made", "message", "error"),
    [
        (lambda: Lens(0.0), "a focal length other than zero", GeometryError),
        (lambda: Stop(), "either a diameter or an opening for an aperture, but got neither", GeometryError),
        (lambda: Relay((0.1, -0.1)), "a focal length in metres above zero", GeometryError),
        (lambda: through((Lens(1e-4), 0.1)), "expected a focal length of .* choose a finer grid", SamplingError),
        (lambda: through((0.1, 0.2, Lens(1.0))), "expected an element between two distances", GeometryError),
        (lambda: through((Relay(0.1),), engine="fft"), "the engine auto or matrix for a relay, .* 'fft'", ConfigError),
        (lambda: through((0.1, "lens")), "lenses or other elements, between two planes", GeometryError),
    ],
)
def test_what_makes_no_sense_is_a_sentence(made, message: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=message):
        made()
