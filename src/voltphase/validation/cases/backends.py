"""What training runs on, a whole system as one function, against its propagations one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from voltphase.optics import Cascade, Propagator
from voltphase.optics.backends.base import Engine
from voltphase.optics.grid import Grid
from voltphase.validation.rows import ADJOINT, ROUNDING, Outcome, Row, largest, relative

WAVELENGTH = 532e-9
DOUBLE = torch.complex128
# Centred planes, so that the matrices split into halves; odd, even and oblong.
PLANES = (Grid((20, 25), 12e-6), Grid((24, 24), 12e-6), Grid((21, 18), 12e-6), Grid((16, 23), 12e-6))
CHOICES: tuple[tuple[str, Engine], ...] = (
    ("fresnel", "matrix"),
    ("fresnel", "fft"),
    ("fresnel-pixels", "matrix"),
    ("fresnel-pixels", "fft"),
    ("angular-spectrum", "fft"),
    ("rayleigh-sommerfeld", "fft"),
)


def cascades() -> Outcome:
    """Two modulated planes between source and detector, by every engine that training can use."""
    agreement, adjoint = [], []
    for method, engine in CHOICES:
        propagators = [
            Propagator(before, after, wavelength=WAVELENGTH, distance=0.02, method=method, engine=engine, dtype=DOUBLE)
            for before, after in pairwise(PLANES)
        ]
        first, *between, last = (kernel for kernel in (p.kernel() for p in propagators) if kernel is not None)
        cascade = Cascade(first=first, between=between, last=last, dtype=DOUBLE, engine=engine)
        fields = _noise((3, *PLANES[0].shape))
        modulations = [_noise(plane.shape, seed) for seed, plane in enumerate(PLANES[1:-1], start=1)]
        error = relative(cascade(fields, modulations), _step_by_step(propagators, fields, modulations))
        agreement.append(Row(f"engines: cascade by {engine} against steps", method, error, ROUNDING, "rounding"))
        error = _dot_products(cascade, fields, modulations)
        adjoint.append(Row(f"adjoint dot product, cascade by {engine}", method, error, ADJOINT, "rounding"))
    return Outcome([*agreement, *adjoint])


def _step_by_step(propagators: Sequence[Propagator], fields: Tensor, modulations: Sequence[Tensor]) -> Tensor:
    for propagate, modulation in zip(propagators, modulations, strict=False):
        fields = modulation * propagate(fields)
    return propagators[-1](fields)


def _dot_products(cascade: Cascade, fields: Tensor, modulations: Sequence[Tensor]) -> float:
    """The worst of the adjoints with respect to the fields and to each modulation, in all of which light is linear."""
    inputs = [x.clone().requires_grad_() for x in (fields, *modulations)]
    out = cascade(inputs[0], inputs[1:])
    probe = _noise(tuple(out.shape), seed=9)
    there = torch.vdot(probe.flatten(), out.flatten())
    # The gradient of the real part of a dot product with what is linear in x is the adjoint's answer.
    backs = torch.autograd.grad(there.real, inputs)
    size = torch.linalg.vector_norm(out.detach()) * torch.linalg.vector_norm(probe)
    errors = [
        float((torch.vdot(back.flatten(), x.flatten()) - there).detach().abs() / size)
        for back, x in zip(backs, inputs, strict=True)
    ]
    return largest(errors)


def _noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
