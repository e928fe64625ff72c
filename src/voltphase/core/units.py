"""Bounds of lengths and angles, how people write them, and what a number in another unit looks like.

A number that no optical bench can have is an error, and one that few benches have is a warning. Both name the unit that
the number seems to be in. Each check takes ``error``, the class to raise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import GeometryError, VoltphaseError, VoltphaseWarning

# In metres. X-rays are shorter and radio waves longer; a number far outside is a length in another unit.
SHORTEST_WAVELENGTH, LONGEST_WAVELENGTH = 1e-9, 1e-2
# Neighbouring samples of any plane are nearer than this, and planes nearer to one another.
LARGEST_PITCH, LONGEST_DISTANCE = 0.1, 1000.0
# The size of an atom: nothing that shapes light of 1 nm and longer is finer.
SMALLEST_PITCH = 1e-10
# A phase in radians stays within a few turns; eight turns and more are what degrees look like.
LARGEST_PHASE = 50.0

# In wavelengths. Pixels of displays are up to 500, those that shape terahertz waves about half of one. Finer than a
# tenth, samples carry next to nothing but waves that decay; farther away than the nearest field, nobody needs that.
_COARSEST, _FINEST, _NEAR_FIELD = 3000, 0.1, 10
# Light that spreads over 30 times the width of both planes leaves less than a thousandth on the target.
_WIDEST_SPREAD = 30
# Up to here a distance is one that benches have.
_SHORT = 2.0
# A relief or a film is a few wavelengths thick.
_THICKEST = 1000

_PREFIXES = {-12: "pm", -9: "nm", -6: "µm", -3: "mm", 0: "m", 3: "km"}
_UNITS = {"nm": 1e-9, "µm": 1e-6, "mm": 1e-3, "cm": 1e-2}
_WITH_UNIT = re.compile(rf"\s*(\d+\.?\d*(?:e[+-]?\d+)?)\s*({'|'.join(_UNITS)}|m)\s*")


class UnitWarning(VoltphaseWarning):
    """A number that is possible, but looks as if it is in another unit."""


@dataclass(frozen=True)
class Length:
    """A kind of length, with bounds in metres that apply to the absolute value."""

    what: str  # name of the kind
    most: float  # largest possible length
    usual: float  # largest length that causes no warning
    typical: tuple[float, float]  # a number is taken to be in the unit that puts it in here
    units: tuple[str, ...]  # that people may have meant, the likeliest first
    example: str  # a common length, for the end of a message

    def meant(self, number: float) -> str:
        """Return the unit that a number seems to be in, and the length in metres, as part of a sentence."""
        low, high = self.typical
        for unit in self.units:
            if low <= abs(number) * _UNITS[unit] <= high:
                return f"{number:g} {unit} is {number * _UNITS[unit]:.6g}"
        return self.example


WAVELENGTH = Length(
    "wavelength", LONGEST_WAVELENGTH, LONGEST_WAVELENGTH, (1e-7, 3e-3), ("nm", "µm", "mm"), "green light has 532e-9"
)
# Half the longest wavelength is as coarse as a pixel has to be.
PITCH = Length("pitch", LARGEST_PITCH, 5e-3, (2e-7, 1e-3), ("µm", "mm", "nm"), "a typical one is 36e-6")
DISTANCE = Length(
    "distance", LONGEST_DISTANCE, LONGEST_DISTANCE, (1e-3, 3.0), ("mm", "cm", "µm"), "a typical one is 0.3"
)
FOCAL_LENGTH = Length("focal length", 1e4, 10.0, (1e-3, 3.0), ("mm", "cm", "µm"), "a typical one is 0.1")
# Of what is in the beam, and of where it is across the beam.
SIZE = Length("size", LONGEST_DISTANCE, 0.5, (1e-5, 0.1), ("mm", "µm", "cm"), "a typical one is 5e-3")
OFFSET = Length("offset", LONGEST_DISTANCE, 0.5, (1e-6, 0.1), ("mm", "µm", "cm"), "a typical one is 1e-3")
# Waves of a source that is larger than a metre are not known of.
COHERENCE = Length("coherence length", 1.0, 1.0, (1e-6, 0.01), ("µm", "mm", "nm"), "a typical one is 100e-6")
THICKNESS = Length("thickness", 0.1, 0.1, (1e-8, 1e-3), ("µm", "nm", "mm"), "a typical one is 1e-6")


def length_in(text: str) -> float | None:
    """Return the length in metres that a text gives with its unit; None if it gives none.

    Examples:
        >>> length_in("532 nm"), length_in("0.15mm"), length_in("far")
        (5.32e-07, 0.00015, None)
    """
    if (match := _WITH_UNIT.fullmatch(text.replace("u", "µ").replace("μ", "µ"))) is None:
        return None
    return float(f"{float(match[1]) * _UNITS.get(match[2], 1.0):.9g}")


def metres(length: float, digits: int = 3) -> str:
    """Return a length with the unit that suits it.

    Examples:
        >>> metres(36e-6), metres(0.3)
        ('36 µm', '0.3 m')
    """
    if length == 0 or not math.isfinite(length):
        return f"{length:g} m"
    # A tenth of a metre and more is said in metres, as distances on a bench are.
    power = 0 if 0.1 <= abs(length) < 1000 else 3 * math.floor(math.log10(abs(length)) / 3)
    power = min(max(power, -12), 3)
    return f"{length / 10.0**power:.{digits}g} {_PREFIXES[power]}"


def require_length(
    kind: Length, *numbers: float, what: str = "", error: type[VoltphaseError] = GeometryError, usual: float = math.inf
) -> None:
    """Refuse lengths that are impossible, and warn about the first that is unusual, all in metres.

    Messages call them ``what``, by default as their kind is called; ``usual`` is a stricter bound than the kind's.
    """
    what = what or kind.what
    for number in numbers:
        if not checks.is_number(number):
            raise error(f"expected a finite {what} in metres, but got {checks.shown(number)}: {kind.example}")
        if abs(number) > kind.most:
            raise error(
                f"expected {_a(what)} in metres, at most {metres(kind.most)}, but got {number:g}: {kind.meant(number)}"
            )
    for number in numbers:
        if abs(number) > min(kind.usual, usual):
            sentence = f"{_a(what)} of {metres(number)} is unusual: lengths are in metres, and {kind.meant(number)}"
            advise(sentence, UnitWarning)
            return


def require_wavelength(wavelength: float, error: type[VoltphaseError] = GeometryError) -> None:
    """Refuse a wavelength outside 1 nm to 1 cm."""
    if checks.is_number(wavelength):
        if SHORTEST_WAVELENGTH <= wavelength <= LONGEST_WAVELENGTH:
            return
        given, meant = f"{wavelength:g}", WAVELENGTH.meant(wavelength)
    else:
        given, meant = checks.shown(wavelength), WAVELENGTH.example
    bounds = f"from {metres(SHORTEST_WAVELENGTH)} to {metres(LONGEST_WAVELENGTH)}"
    raise error(f"expected a wavelength in metres, {bounds}, but got {given}: {meant}")


def require_thickness(thickness: float, wavelength: float, what: str, error: type[VoltphaseError]) -> None:
    """Refuse a thickness of a film or relief that is not above zero or above 0.1 m, and warn above 1000 wavelengths."""
    checks.number(thickness, what, above=0, error=error)
    require_length(THICKNESS, thickness, what=what, error=error, usual=_THICKEST * wavelength)


def require_angles(error: type[VoltphaseError], *, most: float = 2 * math.pi, **angles: float) -> None:
    """Refuse angles that are not finite, and warn about the first above the largest usual one, in radians."""
    for name, angle in angles.items():
        if not checks.is_number(angle):
            raise error(f"expected {name.replace('_', ' ')} to be a finite number, but got {checks.shown(angle)}")
    for name, angle in angles.items():
        if abs(angle) > most:
            advise(
                f"{name.replace('_', ' ')} of {angle:g} rad looks like degrees: angles are in radians, and {angle:g} "
                f"degrees are {math.radians(angle):.4g}",
                UnitWarning,
            )
            return


def beyond_radians(phases: NDArray[np.floating]) -> int | None:
    """Return the place, in the flattened array, of the phase that looks most like degrees; None if radians they are.

    Examples:
        >>> beyond_radians(np.array([0.0, 359.0, 6.0])), beyond_radians(np.array([0.0, 6.2]))
        (1, None)
    """
    worst = int(np.abs(phases).argmax())
    return worst if abs(phases.flat[worst]) > LARGEST_PHASE else None


def check_gap(
    wavelength: float,
    distance: float,
    pitches: Sequence[float],
    extents: Sequence[float],
    target_extents: Sequence[float],
) -> None:
    """Refuse a distance of more than 1000 m, and warn if wavelength, pitch and distance seem to be in different units.

    A pitch is compared with the wavelength, and a distance with how far light spreads over it. There is one warning at
    most. All is in metres, and (y, x); pitches and extents are of the plane that the light comes from.
    """
    require_length(DISTANCE, distance)
    if max(pitches) > PITCH.usual:
        return  # the grid has said so
    for pitch in pitches:
        ratio = pitch / wavelength
        if ratio > _COARSEST or (ratio < _FINEST and abs(distance) > _NEAR_FIELD * wavelength):
            advise(
                f"a pitch of {metres(pitch)} is {ratio:.3g} wavelengths of {metres(wavelength)}: lengths are in "
                "metres, such as 36e-6 for the pitch and 532e-9 for the wavelength; is one of them in another unit?",
                UnitWarning,
                "gap",
            )
            return
    spreads = [wavelength * abs(distance) / pitch for pitch in pitches]
    widths = [max(both) for both in zip(extents, target_extents, strict=True)]
    wide = all(spread > _WIDEST_SPREAD * width for spread, width in zip(spreads, widths, strict=True))
    if abs(distance) > _SHORT and wide:
        advise(
            f"over a distance of {metres(distance)} light spreads to {metres(max(spreads))}, on planes of "
            f"{metres(max(widths))}: lengths are in metres, and {DISTANCE.meant(distance)}",
            UnitWarning,
            "gap",
        )


def require_finite(what: str, *numbers: float) -> None:
    """Refuse one number, or (y, x), that is not finite with a GeometryError."""
    if not all(checks.is_number(number) for number in numbers):
        given = numbers[0] if len(numbers) == 1 else numbers
        raise GeometryError(f"expected a finite {what}, but got {checks.shown(given)}")


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
