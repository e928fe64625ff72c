"""Ways of light in a deployed system: beams that do not interfere, skips past their planes, and several detectors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from voltphase.deployment.formulas import FORMULAS
from voltphase.deployment.propagation import MethodRecord
from voltphase.deployment.records import Record, refuse, refusing
from voltphase.optics.gap import Gap
from voltphase.optics.grid import Grid
from voltphase.optics.skips import Skip

if TYPE_CHECKING:
    from voltphase.network.detectors import Layout
    from voltphase.network.networks import Networks

#: More than any bench has.
MOST_BEAMS: Final = 1000


class BeamRecord(Record):
    """A beam: the layers it passes, counted from 1, its part of all light, and the part of the detector it falls on."""

    layers: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=MOST_BEAMS)]
    weight: Annotated[float, Field(gt=0, le=1)]
    area: Annotated[int, Field(ge=0, lt=MOST_BEAMS)]

    @classmethod
    def of(cls, networks: Networks, depth: int) -> list[BeamRecord] | None:
        """Return the record of each of several networks side by side, of so many layers; None of one alone."""
        if networks.count == 1:
            return None
        return [
            cls(
                layers=[layer + 1 for layer in networks.layers(number, depth)],
                weight=1 / networks.count,
                area=networks.combination.area(number),
            )
            for number in range(networks.count)
        ]


class DetectorRecord(Record):
    """One of several detectors: its share of the light behind the last layer, and its part of the whole detector."""

    share: Annotated[float, Field(gt=0, le=1)]
    area: Annotated[int, Field(ge=0, lt=MOST_BEAMS)]

    @classmethod
    def of(cls, layout: Layout) -> list[DetectorRecord] | None:
        """Return the record of each of several detectors; None of one alone."""
        if layout.detectors is None:
            return None
        return [cls(share=share, area=layout.area(0, number)) for number, share in enumerate(layout.light)]


class SkipRecord(Record):
    """A way past layers between two beam splitters, see :class:`voltphase.optics.skips.Skip`."""

    start: int
    end: int
    share: float
    distance_m: float
    method: MethodRecord
    formula: str

    @classmethod
    def of(cls, skip: Skip, gap: Gap) -> SkipRecord:
        """Return the record of a skip, and of the free space on it."""
        method = MethodRecord.of(gap.method)
        formula = FORMULAS[method.name]
        distance = gap.geometry.distance
        return cls(
            start=skip.start, end=skip.end, share=skip.share, distance_m=distance, method=method, formula=formula
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        with refusing():
            _ = self.skip
        if self.formula != FORMULAS[self.method.name]:
            raise refuse("expected the formula of this method as this version computes it, but got another")
        return self

    @property
    def skip(self) -> Skip:
        """The skip itself."""
        return Skip(self.start, self.end, self.share, self.distance_m)


#: The skips of a system that has some.
SkipRecords = Annotated[list[SkipRecord], Field(min_length=1, max_length=MOST_BEAMS)]
#: The beams of a system that has more than one.
BeamRecords = Annotated[list[BeamRecord], Field(min_length=2, max_length=MOST_BEAMS)]
#: The detectors of a system that has more than one.
DetectorRecords = Annotated[list[DetectorRecord], Field(min_length=2, max_length=MOST_BEAMS)]


def check_beams(beams: Sequence[BeamRecord], layers: Sequence[Grid], depth: int) -> None:
    """Refuse beams that cannot be those of a system.

    Args:
        beams: The beams.
        layers: Samples of each layer.
        depth: Number of layers that each beam has to pass.
    """
    passed = {number for beam in beams for number in beam.layers}
    if any(len(beam.layers) != depth for beam in beams) or passed != set(range(1, len(layers) + 1)):
        raise refuse(f"expected {len(beams)} beams that pass {depth} layers each and all {len(layers)} together")
    if not math.isclose(sum(beam.weight for beam in beams), 1, rel_tol=1e-9):
        raise refuse("expected weights of beams that add up to 1, but they do not")
    first = [layers[number - 1] for number in beams[0].layers]
    if any([layers[number - 1] for number in beam.layers] != first for beam in beams):
        raise refuse("expected beams that pass planes with the same samples, but they differ")


def check_areas(beams: Sequence[BeamRecord], detectors: Sequence[DetectorRecord], detector: Grid) -> None:
    """Refuse beams and detectors whose parts are not all of the whole detector.

    Args:
        beams: The beams.
        detectors: The detectors, among which each beam is shared.
        detector: Samples of the whole detector.
    """
    if not math.isclose(sum(one.share for one in detectors), 1, rel_tol=1e-9):
        raise refuse("expected shares of detectors that add up to 1, but they do not")
    if len({beam.area for beam in beams}) > 1 and len(detectors) > 1:
        raise refuse("expected several detectors of beams that have the same area, but they differ")
    areas = areas_of(beams, detectors)
    if {beam.area + one.area for beam in beams for one in detectors} != set(range(areas)) or detector.columns % areas:
        raise refuse("expected beams on each of the equal parts of the detector, but some part has none")


def areas_of(beams: Sequence[BeamRecord], detectors: Sequence[DetectorRecord]) -> int:
    """Return the number of equal parts, side by side, that the whole detector has."""
    return 1 + max(beam.area for beam in beams) + max(one.area for one in detectors)


def part_of(detector: Grid, areas: int) -> Grid:
    """Return the samples of a part of the detector, about the axis of the light that falls on it."""
    return Grid((detector.rows, detector.columns // areas), detector.pitch, detector.offset)


def intensity_of(parts: Iterable[tuple[float, int, Tensor]]) -> Tensor:
    """Return the intensity on the whole detector, of the weight, the part of it and the field of each of some beams."""
    light: dict[int, Tensor] = {}
    for weight, area, field in parts:
        intensity = weight * (field.real.square() + field.imag.square())
        light[area] = light[area] + intensity if area in light else intensity
    return torch.cat([light[area] for area in range(len(light))], -1)
