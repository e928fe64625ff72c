"""What light keeps, whatever the distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.optics import gaussian_beam
from voltphase.optics.backends import Options
from voltphase.optics.backends.composed import made_ready
from voltphase.optics.grid import Grid
from voltphase.optics.paths import kernels_of, paths_between, stack_of, ways_past
from voltphase.optics.skips import Skip, Splitters, branched
from voltphase.validation.comparison import Comparison, relative
from voltphase.validation.light import DOUBLE, WAVELENGTH, noise, through

# The light outside the grid, which is lost: 1e-9 of the amplitude at the edge of the widest beam.
KEPT = 1e-6


def compare() -> list[Comparison]:
    """Compare energies, two distances with their sum, and light with itself there and back."""
    grid = Grid((180, 200), 10e-6)
    field = _uneven_light(grid)
    comparisons = []
    for method in ("fresnel", "angular-spectrum"):
        there = through(field, grid, distance=0.02, method=method)
        first = through(field, grid, distance=0.007, method=method)
        in_two = through(first, grid, distance=0.013, method=method)
        back = through(there, grid, distance=-0.02, method=method)
        comparisons += [
            Comparison(case, method, error, KEPT, "the light beyond the grid")
            for case, error in (
                ("energy conservation", _energy_change(field, there)),
                ("z1 + z2 composition", relative(in_two, there)),
                ("round trip z, -z", relative(back, field)),
            )
        ]
    for method in ("fresnel-wrapped", "angular-spectrum-wrapped"):
        light = noise(grid.shape)
        error = _energy_change(light, through(light, grid, distance=0.02, method=method, check=False))
        limit = "rounding: nothing leaves a periodic plane"
        comparisons.append(Comparison("energy conservation", method, error, 1e-12, limit))
    return comparisons + _splitters()


def _splitters() -> list[Comparison]:
    """Compare both ports of a skip's beam splitters with what goes in, and an interferometer with its closed form."""
    grid, share, rounding = Grid((40, 48), 10e-6), 0.3, "rounding: nothing leaves a periodic plane"
    light, past = noise(grid.shape), noise(grid.shape)
    skip, plate = Skip(0, 2, share), torch.exp(1j * past.real)
    splitters = Splitters([skip], [lambda field: torch.exp(2j * past.imag) * field])
    through_plate = plate * splitters.behind(0, light)
    past_plate = skip.reflected * torch.exp(2j * past.imag) * light
    used = splitters.before(2, through_plate)
    dark = skip.reflected * through_plate + skip.through * past_plate
    both = torch.stack((used, dark))
    comparisons = [Comparison("energy conservation", "beam splitters", _energy_change(light, both), 1e-12, rounding)]
    wave, phases = torch.ones(1, *grid.shape, dtype=DOUBLE), torch.linspace(0, 2 * math.pi, 9, dtype=torch.float64)
    # Of a plane wave each way is a phase that both have in common, and the plate's.
    expected = (1 - share) ** 2 + share**2 - 2 * share * (1 - share) * torch.cos(phases)
    lengths = [0.02, 0.03]
    paths = paths_between([grid] * 3, lengths, wavelength=WAVELENGTH, method="fresnel-wrapped")
    past_paths = ways_past([skip], [grid] * 3, lengths, wavelength=WAVELENGTH, method="fresnel-wrapped")
    stack = branched(stack_of(paths), [skip], kernels_of(past_paths))
    _, executor = made_ready(stack, Options(DOUBLE), "reference")
    plates = [torch.exp(1j * phase).to(DOUBLE).expand(grid.shape) for phase in phases]
    found = torch.stack([executor(wave, [plate]).abs().square().mean() for plate in plates])
    error = float((found - expected).abs().max())
    of_phases = "rounding of phases over 1e5 wavelengths"
    return [*comparisons, Comparison("skip as an interferometer", "fresnel-wrapped", error, 1e-10, of_phases)]


def _energy_change(before: Tensor, after: Tensor) -> float:
    return abs(float(after.abs().square().sum() / before.abs().square().sum()) - 1)


def _uneven_light(grid: Grid) -> Tensor:
    """Return three beams beside each other, which interfere and have no symmetry."""
    beams = (
        (80e-6, (1e-4, -1.5e-4), 1.0),
        (120e-6, (-1.2e-4, 0.5e-4), 0.7j),
        (90e-6, (0.2e-4, 1.4e-4), -0.5 + 0.3j),
    )
    return sum(
        (
            weight * gaussian_beam(grid, wavelength=WAVELENGTH, waist=waist, centre=centre, dtype=DOUBLE)
            for waist, centre, weight in beams
        ),
        start=torch.zeros(grid.shape, dtype=DOUBLE),
    )
