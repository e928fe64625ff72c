"""Light whose waves know of each other only so far: a sum over random screens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import GeometryError, VoltphaseWarning
from voltphase.core.units import COHERENCE, metres, require_length
from voltphase.optics.grid import Grid

MOST_MODES: Final = 4096
# Below this part of a pitch neighbouring samples are independent, to 3e-4.
INCOHERENT: Final = 0.25
# Knots of a screen lie half a length apart: their sum is even to 5e-9. They reach as far as a kernel counts in single
# precision, exp(-16).
_SPACING: Final = 0.5
_REACH: Final = 4.0


# Beyond this many diagonals of the source the degree of coherence is 0.995 and more everywhere on it.
_COHERENT: Final = 10.0


class CoherenceWarning(VoltphaseWarning):
    """Light that is as incoherent as its samples can show, or coherent all over the source."""


@dataclass(frozen=True)
class Coherence:
    """Spatially partial coherence of the light on the source, as a Gaussian Schell model.

    The waves at two points have the degree of coherence ``exp(-d^2 / (2 length^2))``, with their distance d. The light
    is computed as a sum of intensities over random screens, complex Gaussian fields with that correlation, which
    multiply the field on the source; together they are 1 in intensity at every sample. The more screens, the nearer
    their mean is to the model: it is off by about one over the root of their number.

    Args:
        modes: Number of screens.
        length: Coherence length in metres, the standard deviation of the degree of coherence.
        seed: Seed of the screens.

    Raises:
        ConfigError: if the number of modes is below 2 or beyond 4096, or the seed no whole number of at least zero.
        GeometryError: if the length is not above zero.

    Examples:
        >>> screens = Coherence(modes=4, length=100e-6).screens(Grid(8, 36e-6))
        >>> screens.shape, (abs(screens) ** 2).mean(0).round(6).min()
        ((4, 8, 8), np.float64(1.0))

    Source: Mandel and Wolf, Optical Coherence and Quantum Optics, section 5.3.2; Gori, Optics Communications 46, 149.
    """

    modes: int
    length: float
    seed: int = 0

    def __post_init__(self) -> None:
        checks.whole(self.modes, "the modes of partly coherent light", least=2, most=MOST_MODES)
        require_length(COHERENCE, self.length)
        checks.number(self.length, "a coherence length in metres", above=0, error=GeometryError)
        checks.seed(self.seed)

    def screens(self, grid: Grid) -> NDArray[np.complex128]:
        """Return the screens on a plane, ``modes x rows x columns``.

        With complex normal numbers ``n`` at knots half a length apart, the screens are ``sum over knots of n exp(-d^2 /
        length^2)``, with their distance d from the sample, each sample divided by its root mean square over the
        screens; at less than a quarter of the pitch, they are an ``n`` for each sample, likewise. The numbers are ``n =
        sqrt(-ln u) exp(2 pi i v)``, u and v by turns (the first 53 bits of the words of numpy.random.PCG64 of the seed,
        plus a half, over 2^53), for one screen after the other, row by row.

        Args:
            grid: Plane of the source.
        """
        down, across = (_kernel(count, pitch, self.length) for count, pitch in zip(grid.shape, grid.pitch, strict=True))
        words = np.random.PCG64(self.seed)
        screens, light = np.empty((self.modes, *grid.shape), np.complex128), np.zeros(grid.shape)
        # One after the other: of short lengths there are many more knots than samples.
        knots = down.shape[1], across.shape[1]
        for screen in screens:
            screen[:] = down @ complex_normal(words, knots) @ across.T
            light += np.abs(screen) ** 2
        screens /= np.sqrt(light / self.modes)
        return screens

    def screens_bytes(self, grid: Grid) -> float:
        """Return about how many bytes it takes to make the screens on a plane and keep a copy, without making them."""
        knots = [
            count if _apart(pitch, self.length) else 1 + 2 * _knots(count, pitch, self.length)
            for count, pitch in zip(grid.shape, grid.pitch, strict=True)
        ]
        # Words, two numbers of each, and the complex ones made from them.
        return 32.0 * self.modes * math.prod(grid.shape) + 64.0 * math.prod(knots)

    def warn_of(self, grid: Grid) -> None:
        """Warn where light on a plane is as incoherent as its samples can show, or coherent all over it.

        Args:
            grid: Plane of the source.

        Warns:
            CoherenceWarning: if the length is below a quarter of the pitch, or above ten times the plane's diagonal.
        """
        if self.length > _COHERENT * (across := math.hypot(*grid.extent)):
            advise(
                f"Light with a coherence length of {metres(self.length)} is coherent all over the source, which is "
                f"{metres(across)} from corner to corner: {self.modes} modes cost as many beams, for nothing. "
                f"Leave optics.coherence out, or is it in another unit? {COHERENCE.meant(1e3 * self.length)}.",
                CoherenceWarning,
            )
        if self.length < INCOHERENT * min(grid.pitch):
            advise(
                f"Light with a coherence length of {metres(self.length)} is incoherent from sample to sample of "
                f"{metres(min(grid.pitch))}: what arrives is then linear in the intensity of the image, and no network "
                "of such light can do more than a linear model. Use a longer optics.coherence.length for one that can.",
                CoherenceWarning,
            )

    def __str__(self) -> str:
        return f"coherent over {metres(self.length)}, as {self.modes} modes"


def complex_normal(generator: np.random.PCG64, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Return the next complex normal numbers of unit variance of a generator, whose words never change."""
    words = generator.random_raw(2 * math.prod(shape))
    uniform = ((words >> np.uint64(11)) + 0.5) * 2.0**-53
    return (np.sqrt(-np.log(uniform[0::2])) * np.exp(2j * np.pi * uniform[1::2])).reshape(shape)


def _kernel(count: int, pitch: float, length: float) -> NDArray[np.float64]:
    """Return what makes samples of numbers at knots along an axis, ``samples x knots``."""
    if _apart(pitch, length):
        return np.eye(count)
    at, most = (np.arange(count) - (count - 1) / 2) * pitch, _knots(count, pitch, length)
    knots = np.arange(-most, most + 1) * (_SPACING * length)
    return np.exp(-(((at[:, None] - knots) / length) ** 2))


def _apart(pitch: float, length: float) -> bool:
    """Return whether samples are independent of each other, and knots for themselves."""
    return length < INCOHERENT * pitch


def _knots(count: int, pitch: float, length: float) -> int:
    """Return the number of knots along an axis on each side of the middle one."""
    return math.ceil(((count - 1) / 2 * pitch + _REACH * length) / (_SPACING * length))
