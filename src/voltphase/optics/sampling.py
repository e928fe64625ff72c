"""Where a method is right: its limits, put as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voltphase.core.advice import advise
from voltphase.core.errors import SamplingError, VoltphaseWarning

# A wave out by a thirtieth of a turn interferes as it should to 2 %; one out by half a turn has the wrong sign.
PARAXIAL_GOOD, PARAXIAL_WRONG = 0.2, 3.2


class SamplingWarning(VoltphaseWarning):
    """A propagation method, or the lines that stand for a band of light, used where they are borderline."""


@dataclass(frozen=True)
class Limit:
    """One thing that has to be small for a method to be right.

    Args:
        what: Name of the limit.
        value: The figure here.
        good: Figure up to which nothing is lost.
        wrong: Figure beyond which the result means nothing; in between it is borderline.
        expected, got: Two halves of a sentence for the user.
        unit: Unit of the three figures, behind a space; none if they are ratios.
    """

    what: str
    value: float
    good: float
    wrong: float
    expected: str
    got: str
    unit: str = ""

    @property
    def verdict(self) -> str:
        """``"good"``, ``"borderline"`` or ``"wrong"``."""
        if self.value <= self.good:
            return "good"
        return "borderline" if self.value <= self.wrong else "wrong"

    def __str__(self) -> str:
        return f"{self.what} {self.value:.3g}{self.unit} (good up to {self.good:.3g}{self.unit}): {self.verdict}"


def enforce(what: str, limits: Sequence[Limit], advice: str) -> None:
    """Refuse what is wrong, a method or a sampling, with a SamplingError, and warn of what is borderline.

    ``what`` names it, ``limits`` are those in the geometry at hand, ``advice`` is what the user can do instead.
    """
    for limit in limits:
        if limit.verdict == "wrong":
            raise SamplingError(f"{what} is wrong here: expected {limit.expected} but got {limit.got}; {advice}")
    for limit in limits:
        if limit.verdict == "borderline":
            message = f"{what} is borderline here: expected {limit.expected} but got {limit.got}; {advice}"
            advise(message, SamplingWarning)
