"""How far the waves of an incoherent disc know of each other a distance away: van Cittert and Zernike's theorem."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import j1
from torch import Tensor

from voltphase.network.donn import DONN
from voltphase.optics import Coherence, circular_aperture
from voltphase.optics.grid import Grid
from voltphase.optics.light import CoherenceWarning
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import WAVELENGTH
from voltphase.validation.systems import clear_system

_RADIUS, _DISTANCE, _SCREENS = 160e-6, 0.1, 1024
_SOURCE, _PLANE = Grid(34, 10e-6), Grid((17, 33), 20e-6, (3e-5, -5e-5))
# The sample that all others are compared with.
_FIRST = (5, 9)


def compare() -> Findings:
    """Compare the degree of coherence on a plane, summed over the disc's samples, and over random screens."""
    disc = circular_aperture(_SOURCE, diameter=2 * _RADIUS).clamp(0, 1)  # whose sums round
    expected = torch.from_numpy(_expected())
    samples = disc.nonzero()
    alone = torch.zeros(len(samples), *_SOURCE.shape, dtype=torch.float64)
    alone[torch.arange(len(samples)), samples[:, 0], samples[:, 1]] = disc[samples[:, 0], samples[:, 1]].sqrt()
    model = _system()
    by_samples = _degree(model.propagators[0](model.source(alone)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoherenceWarning)  # such light is what is compared
        model = _system(coherence=Coherence(_SCREENS, length=_SOURCE.pitch[0] / 10))
    light = model.source(disc.sqrt()[None])
    lit = torch.cat([model.beams.lit(number, light) for number in range(_SCREENS)])
    by_screens = _degree(model.propagators[0](lit))
    case, method = "coherence behind an incoherent disc", "fresnel-impulse"
    off = float((by_screens - expected).abs().square().mean().sqrt())
    return [
        Comparison(case, method, worst(by_samples, expected), CLOSED_FORM, "the disc's round edge on 10 µm samples"),
        Comparison(
            case + ", by screens", method, off, 2 / math.sqrt(_SCREENS), f"chance, over the root of {_SCREENS} screens"
        ),
        _curve(by_samples),
    ]


def _system(**options: Coherence) -> DONN:
    return clear_system([_SOURCE, _PLANE, _PLANE], [_DISTANCE] * 2, method="fresnel-impulse", **options)


def _degree(fields: Tensor) -> Tensor:
    """Return the degree of coherence of each sample and the first, of fields that do not interfere."""
    first = fields[:, _FIRST[0], _FIRST[1], None, None]
    together = (fields * first.conj()).sum(0)
    return together / (fields.abs().square().sum(0) * first.abs().square().sum(0)).sqrt()


def _expected() -> NDArray[np.complex128]:
    """Return 2 J1(v) / v with the phase of the places' distances from the axis: Born and Wolf, section 10.4.2."""
    y, x = (at.numpy() for at in _PLANE.coordinates())
    apart = np.hypot(y[:, None] - y[_FIRST[0]], x - x[_FIRST[1]])
    beside = y[:, None] ** 2 + x**2
    return _airy(apart) * np.exp(1j * math.pi / (WAVELENGTH * _DISTANCE) * (beside - beside[_FIRST]))


def _airy(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    v = np.maximum(2 * math.pi * _RADIUS * apart / (WAVELENGTH * _DISTANCE), 1e-12)
    return 2 * j1(v) / v


def _curve(found: Tensor) -> Curve:
    row, x = _FIRST[0], _PLANE.coordinates()[1].numpy()
    apart = abs(x - x[_FIRST[1]])
    between = np.linspace(0, apart.max(), 200)
    return Curve(
        "Coherence behind an incoherent disc",
        "distance apart (µm)",
        "degree of coherence",
        (between * 1e6, abs(_airy(between))),
        (apart[_FIRST[1] :] * 1e6, found[row, _FIRST[1] :].abs()),
    )
