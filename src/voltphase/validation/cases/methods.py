"""Methods against each other where they overlap, engines against each other, and adjoints against the maps."""

from __future__ import annotations

import torch
from torch import Tensor

from voltphase.optics import Propagator, gaussian_beam, thin_lens
from voltphase.optics.grid import Grid
from voltphase.optics.maps import MatrixEngine, MirroredEngine
from voltphase.optics.methods import formulas as kernels
from voltphase.optics.methods.auto import METHODS_BY_NAME
from voltphase.optics.methods.geometry import Geometry
from voltphase.validation.rows import ADJOINT, CLOSED_FORM, ROUNDING, Outcome, Row, largest, relative

WAVELENGTH = 532e-9
DOUBLE = torch.complex128
SOURCE = Grid((21, 30), (10e-6, 12e-6))
TARGET = Grid((24, 17), (10e-6, 18e-6), offset=(30e-6, -45e-6))


def methods() -> Outcome:
    """One beam by every method, against Rayleigh-Sommerfeld, where all of them are right."""
    grid, distance = Grid(160, 6e-6), 0.03
    beam = gaussian_beam(grid, wavelength=WAVELENGTH, waist=150e-6, centre=(2e-5, -3e-5), dtype=DOUBLE)

    def through(method: str) -> Tensor:
        return Propagator(grid, wavelength=WAVELENGTH, distance=distance, method=method, dtype=DOUBLE)(beam)

    reference = through("rayleigh-sommerfeld")
    limits = {
        "fresnel": "the paraxial approximation",
        "fresnel-impulse": "the paraxial approximation",
        "fresnel-pixels": "uniform pixels for a smooth beam, second order in the pitch",
        "angular-spectrum": "the beam's tail at the edge of the grid",
    }
    rows = [
        Row("against Rayleigh-Sommerfeld", method, relative(through(method), reference), CLOSED_FORM, limit)
        for method, limit in limits.items()
    ]
    return Outcome([*rows, _far_field(), _lens()])


def engines() -> Outcome:
    """One sum by every engine that can do it."""
    rows = []
    noise = _noise(SOURCE.shape)
    for name in ("fresnel", "fresnel-impulse", "fresnel-pixels", "angular-spectrum", "rayleigh-sommerfeld"):
        plans = METHODS_BY_NAME[name]().plans(Geometry(SOURCE, TARGET, WAVELENGTH, 0.02))
        results = {plan.engine: plan.build(DOUBLE)(noise) for plan in plans}
        for engine, field in results.items():
            if engine != "fft":
                error = relative(field, results["fft"])
                rows.append(Row(f"engines: {engine} against fft", name, error, ROUNDING, "rounding"))
    centred = Geometry(SOURCE, Grid((24, 17), (10e-6, 18e-6)), WAVELENGTH, 0.02)
    matrices = METHODS_BY_NAME["fresnel"]().matrices(centred)
    if matrices is None:
        raise TypeError("fresnel is separable")
    whole, halves = (engine(*matrices, DOUBLE)(noise) for engine in (MatrixEngine, MirroredEngine))
    rows.append(Row("engines: halves against whole matrices", "fresnel", relative(halves, whole), ROUNDING, "rounding"))
    kernel = METHODS_BY_NAME["rayleigh-sommerfeld"]()
    fft = Propagator(SOURCE, TARGET, wavelength=WAVELENGTH, distance=0.02, method=kernel, engine="fft", dtype=DOUBLE)
    direct = relative(fft(noise), _direct_sum(noise, 0.02))
    return Outcome([*rows, Row("engines: fft against the sum itself", kernel.name, direct, ROUNDING, "rounding")])


def adjoints() -> Outcome:
    """Dot products and numerical gradients of every method and engine; the worst of each method."""
    rows = []
    for name, method in METHODS_BY_NAME.items():
        target = SOURCE if name.endswith("wrapped") else TARGET
        geometry = Geometry(SOURCE, target, WAVELENGTH, 0.02)
        u, v = _noise(SOURCE.shape), _noise(target.shape, seed=1)
        dots = []
        for plan in method().plans(geometry):
            engine = plan.build(DOUBLE)
            there, back = (
                torch.vdot(v.flatten(), engine(u).flatten()),
                torch.vdot(engine.adjoint(v).flatten(), u.flatten()),
            )
            size = torch.linalg.vector_norm(engine(u)) * torch.linalg.vector_norm(v)
            dots.append(float((there - back).abs() / size))
        rows.append(Row("adjoint dot product", name, largest(dots), ADJOINT, "rounding"))
    return Outcome([*rows, *(_gradient(name) for name in METHODS_BY_NAME)])


def _gradient(name: str) -> Row:
    """Autograd against finite differences of an intensity, on a grid small enough for torch's full gradcheck."""
    small = Grid((3, 4), 10e-6)
    target = small if name.endswith("wrapped") else Grid((4, 2), 10e-6, offset=(0.0, 5e-6))
    errors = []
    for plan in METHODS_BY_NAME[name]().plans(Geometry(small, target, WAVELENGTH, 0.02)):
        engine = plan.build(DOUBLE)
        field = _noise(small.shape).requires_grad_()

        def intensity(u: Tensor, engine: torch.nn.Module = engine) -> Tensor:
            return engine(u).abs().square()

        if not torch.autograd.gradcheck(intensity, field, raise_exception=False):
            errors.append(float("inf"))
        direction, step = _noise(small.shape, seed=2), 1e-4
        (gradient,) = torch.autograd.grad(intensity(field).sum(), field)
        slope = torch.vdot(gradient.flatten(), direction.flatten()).real
        ahead, behind = (intensity(field.detach() + sign * step * direction).sum() for sign in (1, -1))
        errors.append(float(((ahead - behind) / (2 * step) - slope).abs() / slope.abs()))
    return Row("gradcheck", name, largest(errors), GRADIENT, "rounding in a difference of intensities")


# A central difference of a parabola is exact but for rounding, 1e-16 over the step of 1e-4, with some cancellation.
GRADIENT = 1e-9


def _far_field() -> Row:
    grid, distance = Grid(128, 6e-6), 200.0
    beam = gaussian_beam(grid, wavelength=WAVELENGTH, waist=120e-6, dtype=DOUBLE)
    target = Grid(195, 5e-3)
    far, near = (
        Propagator(grid, target, wavelength=WAVELENGTH, distance=distance, method=method, dtype=DOUBLE)(beam)
        for method in ("fraunhofer", "fresnel")
    )
    limit = "the curvature left out at 200 m"
    return Row("against Fresnel, far away", "fraunhofer", relative(far, near), CLOSED_FORM, limit)


def _lens() -> Row:
    grid, focal_length = Grid(128, 8e-6), 0.1
    beam = gaussian_beam(grid, wavelength=WAVELENGTH, waist=150e-6, centre=(3e-5, 0.0), dtype=DOUBLE)
    target = Grid(65, 10e-6, offset=(0.0, 5e-6))
    far = Propagator(grid, target, wavelength=WAVELENGTH, distance=focal_length, method="focal-plane", dtype=DOUBLE)
    near = Propagator(grid, target, wavelength=WAVELENGTH, distance=focal_length, method="fresnel", dtype=DOUBLE)
    lens = thin_lens(grid, wavelength=WAVELENGTH, focal_length=focal_length)
    error = relative(far(beam), near(beam * lens))
    return Row("against thin lens + Fresnel", "focal-plane", error, CLOSED_FORM, "the beam's tail at the lens's rim")


def _direct_sum(field: Tensor, distance: float) -> Tensor:
    geometry = Geometry(SOURCE, TARGET, WAVELENGTH, distance)
    dy, dx = geometry.displacement(0), geometry.displacement(1)
    kernel = kernels.rayleigh_sommerfeld(
        dy[:, None, :, None], dx[None, :, None, :], SOURCE.pitch[0] * SOURCE.pitch[1], WAVELENGTH, distance
    )
    return torch.einsum("abcd,cd->ab", kernel, field) * kernels.carrier(WAVELENGTH, distance)


def _noise(shape: tuple[int, int], seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
