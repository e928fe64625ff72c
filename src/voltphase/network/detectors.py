"""Several detectors behind the last layer, and what light meets from the source to each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voltphase.core import checks
from voltphase.core.errors import ConfigError
from voltphase.network.areas import Combination, Combine
from voltphase.network.arguments import forward_only, grids_of, one_each
from voltphase.network.networks import Networks
from voltphase.optics.grid import Grid
from voltphase.optics.paths import Span, Steps, length_of, placed

# Of shares that add up to 1, as they are typed with all their digits.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Detectors:
    """Detectors that share the light behind the last layer, each at the end of a way of its own.

    Beam splitters that lose nothing send each its share of the power. Detectors are cameras by themselves, with samples
    alike: what falls on one does not interfere with what falls on another.

    Args:
        distances: Way from the last layer to each detector: a distance in metres, or distances and elements in the
            order light meets them, such as ``(0.1, Lens(0.2), 0.2)``.
        combine: How they make one answer. ``sum``: their pictures are added, sample by sample. ``classes``: each reads
            its own share of the classes. ``difference``: the first of two reads the regions that speak for the classes,
            and the second those that speak against them.
        shares: Part of the light that each gets, which add up to 1; equal ones if None.

    Raises:
        ConfigError: if there are not as many as ``combine`` takes, or shares do not fit them or do not add up to 1.

    Source of a plane for and one against the classes: Li, Mengu, Luo, Rivenson, Ozcan, "Class-specific differential
    detection in diffractive optical neural networks improves inference accuracy", Advanced Photonics 1(4), 2019.

    Examples:
        >>> Detectors((0.03, 0.05), "difference").light
        (0.5, 0.5)
    """

    distances: Sequence[Span]
    combine: Combine = "sum"
    shares: Sequence[float] | None = None

    def __post_init__(self) -> None:
        ways = checks.items(self.distances, "distances of detectors, one for each")
        if len(ways) < 2:
            raise ConfigError(
                f"expected distances of two detectors or more, but got {len(ways)}: leave detectors out, and give the "
                "distance of a single one with those between the planes"
            )
        given = [one if isinstance(one, list | tuple) else checks.number(one, "each distance") for one in ways]
        object.__setattr__(self, "distances", tuple(tuple(one) if isinstance(one, list) else one for one in given))
        _ = self.combination
        if self.shares is None:
            return
        shares = checks.items(self.shares, "shares of the light, one for each detector")
        if len(shares) != len(ways):
            raise ConfigError(f"expected shares of the light of {len(ways)} detectors, but got {len(shares)}")
        shares = tuple(checks.number(share, "the share of light of a detector", above=0, most=1) for share in shares)
        if not math.isclose(sum(shares), 1, rel_tol=_ROUNDING):
            raise ConfigError(
                f"expected shares of the light of detectors that add up to 1, as splitters lose none, but got "
                f"{' + '.join(f'{share:g}' for share in shares)} = {sum(shares):g}"
            )
        object.__setattr__(self, "shares", shares)

    @property
    def light(self) -> tuple[float, ...]:
        """Part of the light that each detector gets."""
        count = len(self.distances)
        return (1 / count,) * count if self.shares is None else tuple(self.shares)

    @property
    def combination(self) -> Combination:
        """How the detectors make one answer."""
        return Combination(len(self.distances), self.combine, "detectors")

    @property
    def told(self) -> str:
        """How the detectors make one answer, in words."""
        return {
            "sum": "their pictures are added",
            "classes": "each reads its share of the classes",
            "difference": "the first speaks for the classes, and the second against them",
        }[self.combine]


@dataclass(frozen=True, eq=False)
class Layout:
    """Planes of a network, and what light meets between them.

    Args:
        networks: Networks side by side, whose planes are alike.
        detectors: Several detectors, of which ``way`` and ``spans`` lead to the first; None of a single one.
        way: Samples of the planes on the way of one network: source, layers, detector.
        spans: What is from each of them to the next.
        ends: What is from the last layer to each detector.
    """

    networks: Networks
    detectors: Detectors | None
    way: list[Grid]
    spans: list[Steps]
    ends: list[Steps]

    @classmethod
    def of(
        cls,
        networks: Networks,
        detectors: Detectors | None,
        grid: Grid | Sequence[Grid],
        distances: float | Sequence[Span],
        *,
        layers: int,
        wavelength: float | None,
    ) -> Layout:
        """Return the layout of so many layers of all networks; for the arguments see :class:`voltphase.DONN`.

        Raises:
            ConfigError: if planes, distances, networks or detectors do not fit together.
            GeometryError: if a distance or an element between planes is none.
        """
        depth = networks.depth(layers)
        require_one_combination(networks, detectors)
        way, about = grids_of(grid, depth), "one for each gap, source to detector"
        if detectors is None:
            given = one_each(distances, depth + 1, "distances", about, parts=True)
        else:
            about = "one for each gap, source to last layer, as those behind it are in detectors"
            given = [*one_each(distances, depth, "distances", about, parts=True), *detectors.distances]
        every = placed(way, given, wavelength)
        forward_only(list(map(length_of, every)))
        return cls(networks, detectors, way, every[: depth + 1], every[depth:])

    @property
    def every_span(self) -> list[Steps]:
        """What is from each plane to the next, and last what is from the last layer to each further detector."""
        return [*self.spans, *self.ends[1:]]

    @property
    def light(self) -> tuple[float, ...]:
        """Part of the light that each detector gets."""
        return (1.0,) if self.detectors is None else self.detectors.light

    @property
    def combination(self) -> Combination:
        """How networks, or else detectors, make one answer."""
        return (self.detectors or self.networks).combination

    @property
    def grids(self) -> list[Grid]:
        """Samples of the planes of all: the source, all layers, and the whole detector."""
        source, *layers, part = self.way
        return [source, *layers * self.networks.count, self.combination.whole(part)]

    def area(self, network: int, detector: int) -> int:
        """Return the part of the whole detector that light of a network falls on, on a detector."""
        return self.combination.area(network if self.detectors is None else detector)


def require_one_combination(networks: Networks, detectors: Any) -> None:
    """Refuse several detectors of networks that do not send their light to one and the same place."""
    if detectors is None:
        return
    checks.instance(detectors, Detectors, "detectors", advice="use voltphase.Detectors(distances)")
    if networks.combine != "sum":
        raise ConfigError(
            f"expected networks to combine by sum where there are several detectors, which combine by "
            f"{detectors.combine}, but got {networks.combine}: combine one or the other"
        )
