"""An image in incoherent light: the object's intensity, convolved with that of the point spread function."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import j1
from torch import Tensor

from voltphase.optics import Coherence, Relay
from voltphase.optics.grid import Grid
from voltphase.optics.light import CoherenceWarning
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, relative
from voltphase.validation.light import WAVELENGTH
from voltphase.validation.systems import clear_system, intensity

_FOCAL_LENGTH, _PITCH = 0.05, 10e-6
_GRID = Grid((72, 64), _PITCH)
# Three quarters of the samples' band pass.
_CUTOFF = 0.75 / (2 * _PITCH)
_SCREENS = (9, 36, 144)


def compare() -> Findings:
    """Compare the image of each sample of an object by itself, added up, and that through random screens."""
    intensities = np.random.default_rng(0).random((8, 10))
    rows, columns = range(30, 38), range(26, 36)
    places = [(row, column) for row in rows for column in columns]
    spread = _spread(places)
    expected = torch.from_numpy(np.tensordot(intensities.ravel(), spread, 1))
    # One sample of the object on each image.
    alone = torch.zeros(len(places), *_GRID.shape, dtype=torch.float64)
    for image, place, light in zip(alone, places, intensities.ravel(), strict=True):
        image[place] = math.sqrt(light)
    added = relative(_image(alone).sum(0), expected)
    whole, found = alone.sum(0, keepdim=True), []
    for screens in _SCREENS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoherenceWarning)  # such light is what is compared
            found.append(relative(_image(whole, Coherence(screens, length=_PITCH / 10))[0], expected))
    case, method = "incoherent image", "relay with an aperture"
    return [
        Comparison(case, method, added, CLOSED_FORM, "the aperture's round edge on samples of the Fourier plane"),
        *(
            Comparison(f"{case}, {n} screens", method, off, 1 / math.sqrt(n), "chance, over the root of the screens")
            for n, off in zip(_SCREENS, found, strict=True)
        ),
        _curve(intensities, spread, found),
    ]


def _image(images: Tensor, coherence: Coherence | None = None) -> Tensor:
    relay = Relay(_FOCAL_LENGTH, aperture=2 * _CUTOFF * WAVELENGTH * _FOCAL_LENGTH)
    return intensity(clear_system([_GRID] * 3, [(relay,), 0.0], coherence=coherence), images)


def _spread(places: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Return the intensity that light of 1 on each of some samples sends into the image, which is upside down.

    Goodman, section 6.2: the amplitude is the Fourier transform of the aperture.
    """
    y, x = (at.numpy() for at in _GRID.coordinates())
    apart = np.stack([np.hypot(y[:, None] + y[row], x + x[column]) for row, column in places])
    v = np.maximum(2 * math.pi * _CUTOFF * apart, 1e-12)
    return (_PITCH**2 * math.pi * _CUTOFF**2 * 2 * j1(v) / v) ** 2


def _curve(intensities: NDArray[np.float64], spread: NDArray[np.float64], found: list[float]) -> Curve:
    """Return how the error falls: light of all pairs of samples that has not averaged out, as complex normal noise."""
    light = intensities.ravel()[:, None, None] * spread
    off = math.sqrt(float((light.sum(0) ** 2 - (light**2).sum(0)).sum() / (light.sum(0) ** 2).sum()))
    between = np.linspace(6, 150, 200)
    return Curve(
        "Incoherent image by random screens",
        "screens",
        "relative error",
        (between, off / np.sqrt(between)),
        (np.array(_SCREENS), np.array(found)),
    )
