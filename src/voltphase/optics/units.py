"""Lengths as people write them, and what a number has to be."""

from __future__ import annotations

import math

from voltphase.errors import GeometryError

# In metres. X-rays are shorter and radio waves longer; a number far outside is a length in another unit.
SHORTEST_WAVELENGTH, LONGEST_WAVELENGTH = 1e-9, 1e-2

_PREFIXES = {-12: "pm", -9: "nm", -6: "µm", -3: "mm", 0: "m", 3: "km"}


def metres(length: float, digits: int = 3) -> str:
    """A length with the unit that suits it: ``"36 µm"``, ``"0.3 m"``."""
    if length == 0 or not math.isfinite(length):
        return f"{length:g} m"
    # A tenth of a metre and more is said in metres, as distances on a bench are.
    power = 0 if 0.1 <= abs(length) < 1000 else 3 * math.floor(math.log10(abs(length)) / 3)
    power = min(max(power, -12), 3)
    return f"{length / 10.0**power:.{digits}g} {_PREFIXES[power]}"


def require_wavelength(wavelength: float) -> None:
    """Refuse what no light has for a wavelength.

    Raises:
        GeometryError: if it is not between a nanometre and a centimetre.
    """
    if not SHORTEST_WAVELENGTH <= wavelength <= LONGEST_WAVELENGTH:
        raise GeometryError(
            f"expected a wavelength in metres, from {metres(SHORTEST_WAVELENGTH)} to {metres(LONGEST_WAVELENGTH)}, but "
            f"got {wavelength}: green light has 532e-9"
        )


def require_finite(what: str, *numbers: float) -> None:
    """Refuse infinity, and what is not a number.

    Args:
        what: The numbers are, with their unit, as a message names it.
        numbers: One, or (y, x).

    Raises:
        GeometryError: if one of them is not finite.
    """
    if not all(math.isfinite(number) for number in numbers):
        raise GeometryError(f"expected a finite {what}, but got {numbers[0] if len(numbers) == 1 else numbers}")
