"""Methods against each other where they overlap, engines against each other, and adjoints against the maps."""

from __future__ import annotations

import torch
from torch import Tensor

from voltphase.optics import gaussian_beam, thin_lens
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.map_choice import Way, ways
from voltphase.optics.kernels.maps import EvenOddMap, MatrixMap
from voltphase.optics.methods import METHODS, FresnelTransfer, formulas
from voltphase.optics.methods.geometry import Geometry
from voltphase.validation.comparison import ADJOINT, CLOSED_FORM, ROUNDING, Comparison, largest, relative
from voltphase.validation.light import DOUBLE, WAVELENGTH, noise, through

SOURCE = Grid((21, 30), (10e-6, 12e-6))
TARGET = Grid((24, 17), (10e-6, 18e-6), offset=(30e-6, -45e-6))


def methods() -> list[Comparison]:
    """Compare one beam by every method with Rayleigh-Sommerfeld, where all of them are right."""
    grid, distance = Grid(160, 6e-6), 0.03
    beam = gaussian_beam(grid, wavelength=WAVELENGTH, waist=150e-6, centre=(2e-5, -3e-5), dtype=DOUBLE)
    reference = through(beam, grid, distance=distance, method="rayleigh-sommerfeld")
    limits = {
        "fresnel": "the paraxial approximation",
        "fresnel-impulse": "the paraxial approximation",
        "fresnel-pixels": "uniform pixels for a smooth beam, second order in the pitch",
        "angular-spectrum": "the beam's tail at the edge of the grid",
    }
    rows = []
    for method, limit in limits.items():
        error = relative(through(beam, grid, distance=distance, method=method), reference)
        rows.append(Comparison("against Rayleigh-Sommerfeld", method, error, CLOSED_FORM, limit))
    return [*rows, _far_field(), _lens()]


def engines() -> list[Comparison]:
    """Compare one sum by every engine that can do it."""
    rows = []
    light = noise(SOURCE.shape)
    for name in ("fresnel", "fresnel-impulse", "fresnel-pixels", "angular-spectrum", "rayleigh-sommerfeld"):
        results = {way.name: way.build(DOUBLE)(light) for way in _ways(name, SOURCE, TARGET)}
        for engine, field in results.items():
            if engine != "fft":
                error = relative(field, results["fft"])
                rows.append(Comparison(f"engines: {engine} against fft", name, error, ROUNDING, "rounding"))
    centred = Geometry(SOURCE, Grid((24, 17), (10e-6, 18e-6)), WAVELENGTH, 0.02)
    separable = FresnelTransfer().kernel(centred)
    whole, halves = (kind(separable, DOUBLE)(light) for kind in (MatrixMap, EvenOddMap))
    error = relative(halves, whole)
    rows.append(Comparison("engines: halves against whole matrices", "fresnel", error, ROUNDING, "rounding"))
    kernel = METHODS["rayleigh-sommerfeld"]()
    fft = through(light, SOURCE, TARGET, distance=0.02, method=kernel, engine="fft")
    error = relative(fft, _direct_sum(light, 0.02))
    rows.append(Comparison("engines: fft against the sum itself", kernel.name, error, ROUNDING, "rounding"))
    return rows


def adjoints() -> list[Comparison]:
    """Compare dot products and numerical gradients of every method and engine; the worst of each method."""
    rows = []
    for name in METHODS:
        target = SOURCE if name.endswith("wrapped") else TARGET
        u, v = noise(SOURCE.shape), noise(target.shape, seed=1)
        dots = []
        for way in _ways(name, SOURCE, target):
            one = way.build(DOUBLE)
            out, back = one(u), one.adjoint(v)
            apart = torch.vdot(v.flatten(), out.flatten()) - torch.vdot(back.flatten(), u.flatten())
            dots.append(float(apart.abs() / (torch.linalg.vector_norm(out) * torch.linalg.vector_norm(v))))
        rows.append(Comparison("adjoint dot product", name, largest(dots), ADJOINT, "rounding"))
    return [*rows, *(_gradient(name) for name in METHODS)]


def _ways(name: str, source: Grid, target: Grid) -> list[Way]:
    kernels = METHODS[name]().kernels(Geometry(source, target, WAVELENGTH, 0.02))
    return [way for kernel in kernels for way in ways(kernel)]


def _gradient(name: str) -> Comparison:
    """Compare autograd with finite differences of an intensity, on a grid small enough for torch's full gradcheck."""
    small = Grid((3, 4), 10e-6)
    target = small if name.endswith("wrapped") else Grid((4, 2), 10e-6, offset=(0.0, 5e-6))
    errors = []
    for way in _ways(name, small, target):
        one = way.build(DOUBLE)
        field = noise(small.shape).requires_grad_()

        def intensity(u: Tensor, one: torch.nn.Module = one) -> Tensor:
            return one(u).abs().square()

        if not torch.autograd.gradcheck(intensity, field, raise_exception=False):
            errors.append(float("inf"))
        direction, step = noise(small.shape, seed=2), 1e-4
        (gradient,) = torch.autograd.grad(intensity(field).sum(), field)
        slope = torch.vdot(gradient.flatten(), direction.flatten()).real
        ahead, behind = (intensity(field.detach() + sign * step * direction).sum() for sign in (1, -1))
        errors.append(float(((ahead - behind) / (2 * step) - slope).abs() / slope.abs()))
    return Comparison("gradcheck", name, largest(errors), GRADIENT, "rounding in a difference of intensities")


# A central difference of a parabola is exact but for rounding, 1e-16 over the step of 1e-4, with some cancellation.
GRADIENT = 1e-9


def _far_field() -> Comparison:
    grid, distance = Grid(128, 6e-6), 200.0
    beam = gaussian_beam(grid, wavelength=WAVELENGTH, waist=120e-6, dtype=DOUBLE)
    target = Grid(195, 5e-3)
    far, near = (through(beam, grid, target, distance=distance, method=method) for method in ("fraunhofer", "fresnel"))
    limit = "the curvature left out at 200 m"
    return Comparison("against Fresnel, far away", "fraunhofer", relative(far, near), CLOSED_FORM, limit)


def _lens() -> Comparison:
    grid, focal_length = Grid(128, 8e-6), 0.1
    beam = gaussian_beam(grid, wavelength=WAVELENGTH, waist=150e-6, centre=(3e-5, 0.0), dtype=DOUBLE)
    target = Grid(65, 10e-6, offset=(0.0, 5e-6))
    lens = thin_lens(grid, wavelength=WAVELENGTH, focal_length=focal_length)
    by_focus = through(beam, grid, target, distance=focal_length, method="focal-plane")
    by_lens = through(beam * lens, grid, target, distance=focal_length, method="fresnel")
    error, limit = relative(by_focus, by_lens), "the beam's tail at the lens's rim"
    return Comparison("against thin lens + Fresnel", "focal-plane", error, CLOSED_FORM, limit)


def _direct_sum(field: Tensor, distance: float) -> Tensor:
    geometry = Geometry(SOURCE, TARGET, WAVELENGTH, distance)
    dy, dx = geometry.displacement(0), geometry.displacement(1)
    kernel = formulas.rayleigh_sommerfeld(
        dy[:, None, :, None], dx[None, :, None, :], SOURCE.pitch[0] * SOURCE.pitch[1], WAVELENGTH, distance
    )
    return torch.einsum("abcd,cd->ab", kernel, field) * formulas.carrier(WAVELENGTH, distance)
