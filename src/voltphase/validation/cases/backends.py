"""Every back end against the plain loop over propagations, with every kind of kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from voltphase.optics import Aperture, ThinLens
from voltphase.optics.backends import BACKENDS, Executor, Options
from voltphase.optics.backends.base import Engine
from voltphase.optics.elements import Element
from voltphase.optics.grid import Grid
from voltphase.optics.paths import paths_between, stack_of
from voltphase.optics.propagator import across
from voltphase.optics.stack import walk
from voltphase.validation.comparison import ADJOINT, ROUNDING, Comparison, largest, relative
from voltphase.validation.light import DOUBLE, WAVELENGTH, noise

DISTANCE = 0.02
# Centred planes, so that the matrices split into halves; odd, even and oblong.
PLANES = (Grid((20, 25), 12e-6), Grid((24, 24), 12e-6), Grid((21, 18), 12e-6), Grid((16, 23), 12e-6))
OTHER_PITCHES = (*PLANES[:3], Grid((16, 23), 18e-6, (3e-5, 0.0)))
IN_BETWEEN = Grid((22, 22), 12e-6)
CHOICES: tuple[tuple[str, str, Engine, Sequence[Grid]], ...] = (
    ("matrices", "fresnel", "matrix", PLANES),
    ("transforms", "fresnel", "fft", PLANES),
    ("matrices", "fresnel-pixels", "matrix", PLANES),
    ("matrices", "fresnel", "matrix", OTHER_PITCHES),
    ("a convolution", "angular-spectrum", "fft", PLANES),
    ("a convolution", "rayleigh-sommerfeld", "fft", OTHER_PITCHES),
    ("plane waves", "angular-spectrum", "matrix", OTHER_PITCHES),
    ("a lens and an aperture", "fresnel", "auto", PLANES),
)


def backends() -> list[Comparison]:
    """Check two modulated planes between source and detector on every back end that can run them."""
    agreement, adjoint = [], []
    for what, method, engine, planes in CHOICES:
        spans: list[float | tuple[float | Element, ...]] = [DISTANCE] * 3
        if what == "a lens and an aperture":
            spans[1] = (DISTANCE, *_elements(), DISTANCE)
        paths = paths_between(planes, spans, wavelength=WAVELENGTH, method=method, engine=engine)
        stack, options = stack_of(paths), Options(DOUBLE, engine)
        fields = noise((3, *planes[0].shape))
        modulations = [noise(plane.shape, seed) for seed, plane in enumerate(planes[1:-1], start=1)]
        *_, expected = walk(across(paths, DOUBLE), fields, modulations)
        for name, kind in BACKENDS.items():
            backend = kind()
            if backend.obstacle(stack, options) is None:
                executor = backend.compile(stack, options)
                error = relative(executor(fields, modulations), expected)
                case = f"{name} back end against steps: {what}"
                agreement.append(Comparison(case, method, error, ROUNDING, "rounding"))
                error = _dot_products(executor, fields, modulations)
                case = f"adjoint dot product, {name} back end: {what}"
                adjoint.append(Comparison(case, method, error, ADJOINT, "rounding"))
    return [*agreement, *adjoint]


def _elements() -> tuple[Element | float, ...]:
    lens = ThinLens(IN_BETWEEN, wavelength=WAVELENGTH, focal_length=0.05, dtype=DOUBLE)
    return lens, DISTANCE, Aperture(IN_BETWEEN, diameter=2e-4, dtype=DOUBLE)


def _dot_products(executor: Executor, fields: Tensor, modulations: Sequence[Tensor]) -> float:
    """Return the worst error of the adjoints by fields and by modulations, in each of which light is linear."""
    inputs = [x.clone().requires_grad_() for x in (fields, *modulations)]
    out = executor(inputs[0], inputs[1:])
    probe = noise(tuple(out.shape), seed=9)
    there = torch.vdot(probe.flatten(), out.flatten())
    # The gradient of the real part of a dot product with what is linear in x is the adjoint's answer.
    backs = torch.autograd.grad(there.real, inputs)
    size = torch.linalg.vector_norm(out.detach()) * torch.linalg.vector_norm(probe)
    errors = [
        float((torch.vdot(back.flatten(), x.flatten()) - there).detach().abs() / size)
        for back, x in zip(backs, inputs, strict=True)
    ]
    return largest(errors)
