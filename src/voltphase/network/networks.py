"""Networks side by side: whose the layers are."""

from __future__ import annotations

from dataclasses import dataclass

from voltphase.core import checks
from voltphase.core.errors import ConfigError
from voltphase.network.areas import Combination, Combine


@dataclass(frozen=True)
class Networks:
    """Networks side by side, with planes alike and layers of their own, each lit by an equal share of the light.

    What they leave on the detector does not interfere. The layers of a :class:`voltphase.DONN` are those of all its
    networks, network after network.

    Args:
        count: Number of networks.
        combine: How they make one answer. ``sum``: the light of all falls on one and the same detector, where
            intensities add (an ensemble). With ``classes`` and ``difference`` the detector has a part for each, side by
            side from left to right: a network reads its own share of the classes, or of two networks the first reads
            the regions that speak for the classes, and the second those that speak against them.

    Raises:
        ConfigError: if there is no network, or not as many as ``combine`` takes.

    Examples:
        >>> Networks(2, "classes").layers(1, depth=3)
        (3, 4, 5)
    """

    count: int = 1
    combine: Combine = "sum"

    def __post_init__(self) -> None:
        checks.whole(self.count, "a number of networks", least=1)
        _ = self.combination

    @property
    def combination(self) -> Combination:
        """How the networks make one answer."""
        return Combination(self.count, self.combine, "networks")

    @property
    def told(self) -> str:
        """How the networks make one answer, in words."""
        return {
            "sum": "their intensities add on one detector",
            "classes": f"each reads its share of the classes on its own of {self.count} parts of the detector",
            "difference": "the first, on the left of the detector, speaks for the classes, and the second against them",
        }[self.combine]

    def layers(self, number: int, depth: int) -> tuple[int, ...]:
        """Return the numbers of a network's layers out of those of all, counted from 0."""
        return tuple(range(number * depth, (number + 1) * depth))

    def depth(self, layers: int) -> int:
        """Return the number of layers of one network, with a ConfigError if all do not have as many."""
        if layers % self.count:
            raise ConfigError(
                f"expected devices for the layers of {self.count} networks, as many for each, but got {layers}: list "
                "those of the first network, then those of the next"
            )
        return layers // self.count
