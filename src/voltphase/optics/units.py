"""Lengths as people write them."""

from __future__ import annotations

import math

_PREFIXES = {-12: "pm", -9: "nm", -6: "µm", -3: "mm", 0: "m", 3: "km"}


def metres(length: float, digits: int = 3) -> str:
    """A length with the unit that suits it: ``"36 µm"``, ``"0.3 m"``."""
    if length == 0 or not math.isfinite(length):
        return f"{length:g} m"
    # A tenth of a metre and more is said in metres, as distances on a bench are.
    power = 0 if 0.1 <= abs(length) < 1000 else 3 * math.floor(math.log10(abs(length)) / 3)
    power = min(max(power, -12), 3)
    return f"{length / 10.0**power:.{digits}g} {_PREFIXES[power]}"
