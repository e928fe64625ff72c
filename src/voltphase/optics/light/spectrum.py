"""The wavelengths of light, and how much of it has each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np

from voltphase.core import checks
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.core.units import metres, require_wavelength

#: Wavelengths of light at most, and lines of a band: each costs as much as light of one.
MOST_WAVELENGTHS: Final = 64
MOST_LINES: Final = 64
# Nearer than this, relative to themselves, wavelengths are one to a device.
_NEAREST: Final = 1e-3
# Standard deviations of a normal distribution in its full width at half maximum.
_WIDTHS: Final = 2 * math.sqrt(2 * math.log(2))
# A band wider than this, relative to its middle, has lines where its device has other states.
_WIDEST: Final = 0.2
# What lines may be off by of the visibility of their band.
_OFF: Final = 0.01


@dataclass(frozen=True)
class Line:
    """Light of one wavelength.

    Args:
        wavelength: Wavelength in metres.
        weight: Part of all light.
        band: Number of the wavelength in the spectrum that it belongs to, whose states of a device it meets.
    """

    wavelength: float
    weight: float
    band: int


@dataclass(frozen=True)
class Spectrum:
    """Light of one wavelength or of several, sharp or as bands. Light of different wavelengths adds as intensities.

    A band is Gaussian in frequency, with the wavelength in its middle, and is computed as the lines of a Gauss-Hermite
    quadrature, which is exact for what changes little from line to line. All lines of a band meet the states that a
    device has at its middle.

    Args:
        wavelengths: Wavelengths in metres.
        weights: How much light has each, of which only the ratios matter; None for as much of each.
        bandwidth: Full width of each band at half of its maximum, in metres; 0 for sharp lines.
        lines: Number of lines that a band is computed as.

    Raises:
        GeometryError: if a wavelength is none that light has, or the bandwidth negative or more than a fifth of one.
        ConfigError: if there is none, two differ by less than a part in a thousand, or the weights are not one each,
            above zero.

    Examples:
        >>> Spectrum((532e-9, 633e-9), weights=(3, 1)).weights
        (0.75, 0.25)
        >>> [round(line.wavelength * 1e9, 1) for line in Spectrum((532e-9,), bandwidth=10e-9, lines=3).each]
        [539.5, 532.0, 524.7]
    """

    wavelengths: tuple[float, ...]
    weights: tuple[float, ...] | None = None
    bandwidth: float = 0.0
    lines: int = 5

    def __post_init__(self) -> None:
        given = checks.items(self.wavelengths, "a list of wavelengths in metres", error=GeometryError)
        for wavelength in given:
            require_wavelength(wavelength)
        wavelengths = tuple(map(float, given))
        object.__setattr__(self, "wavelengths", wavelengths)
        if not 1 <= len(wavelengths) <= MOST_WAVELENGTHS:
            raise ConfigError(f"expected 1 to {MOST_WAVELENGTHS} wavelengths, but got {len(wavelengths)}: list as many")
        for one, other in pairwise(sorted(wavelengths)):
            if math.isclose(one, other, rel_tol=_NEAREST):
                raise ConfigError(
                    f"expected wavelengths that differ by more than a part in a thousand, but got {one:.9g} and "
                    f"{other:.9g}: leave one out, or give one a bandwidth"
                )
        numbers = [1.0] * len(wavelengths)
        if self.weights is not None:
            wanted = f"{len(wavelengths)} weights, one for each wavelength"
            numbers = [checks.number(one, "a weight", above=0) for one in checks.items(self.weights, wanted)]
            if len(numbers) != len(wavelengths):
                raise ConfigError(f"expected {wanted}, but got {len(numbers)}")
        object.__setattr__(self, "weights", tuple(number / sum(numbers) for number in numbers))
        checks.number(self.bandwidth, "a bandwidth in metres", least=0, error=GeometryError)
        checks.whole(self.lines, "the lines of a band", least=1, most=MOST_LINES)
        if self.bandwidth > _WIDEST * min(wavelengths):
            raise GeometryError(
                f"expected a bandwidth of at most a fifth of the wavelength, {metres(_WIDEST * min(wavelengths))}, but "
                f"got {metres(self.bandwidth)}: list wavelengths in place of it"
            )

    @classmethod
    def of(cls, given: float | Sequence[float] | Spectrum) -> Spectrum:
        """Return the spectrum of a wavelength, of a list of them, or the one that is given."""
        if isinstance(given, Spectrum):
            return given
        return cls(tuple(given)) if isinstance(given, list | tuple) else cls((given,))  # pyright: ignore[reportArgumentType]

    @property
    def even(self) -> bool:
        """Whether there is as much light of each wavelength."""
        return len(set(self.weights or ())) == 1

    @property
    def each(self) -> tuple[Line, ...]:
        """All lines, those of a band after the other."""
        nodes, parts = np.polynomial.hermite.hermgauss(self.lines if self.bandwidth else 1)
        lines = []
        for band, (middle, weight) in enumerate(zip(self.wavelengths, self.weights or (), strict=True)):
            deviation = math.sqrt(2) * self.bandwidth / (_WIDTHS * middle)
            for node, part in zip(nodes.tolist(), (parts / parts.sum()).tolist(), strict=True):
                lines.append(Line(middle / (1 + deviation * node), weight * part, band))
        return tuple(lines)

    @property
    def reach(self) -> float:
        """How far ways may differ for lines to have the visibility of their band, to 0.01: a length in metres.

        Beyond it lines come into step again, and give fringes that light of the band does not.
        """
        return _turns(self.lines) * min(self.wavelengths) ** 2 / self.bandwidth if self.bandwidth else math.inf

    def reaching(self, length: float) -> Spectrum | None:
        """Return the spectrum with as many lines as ways that differ by a length in metres need; None beyond all."""
        enough = (replace(self, lines=lines) for lines in range(self.lines, MOST_LINES + 1))
        return next((one for one in enough if one.reach >= length), None)

    def __str__(self) -> str:
        light = " and ".join(metres(wavelength, 6) for wavelength in self.wavelengths)
        if not self.even:
            light += " (" + " : ".join(f"{weight:.3g}" for weight in self.weights or ()) + ")"
        return f"{light}, {metres(self.bandwidth)} wide as {self.lines} lines" if self.bandwidth else light


@lru_cache
def _turns(lines: int) -> float:
    """Return the reach of a band's lines, in units of wavelength^2 / bandwidth."""
    nodes, parts = np.polynomial.hermite.hermgauss(lines)
    turns = np.arange(0.0, 6.0, 2e-3)
    found = np.cos(np.pi / math.sqrt(math.log(2)) * turns[:, None] * nodes) @ (parts / parts.sum())
    off = np.abs(found - np.exp(-((np.pi * turns) ** 2) / (4 * math.log(2)))) > _OFF
    return float(turns[off.argmax() - 1])
