"""Ways of light in a deployed system: beams that do not interfere with each other, and skips past their planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
                area=networks.area(number),
            )
            for number in range(networks.count)
        ]


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


def check_beams(beams: Sequence[BeamRecord], layers: Sequence[Grid], depth: int, detector: Grid) -> None:
    """Refuse beams that cannot be those of a system.

    Args:
        beams: The beams.
        layers: Samples of each layer.
        depth: Number of layers that each beam has to pass.
        detector: Samples of the whole detector.
    """
    passed = {number for beam in beams for number in beam.layers}
    if any(len(beam.layers) != depth for beam in beams) or passed != set(range(1, len(layers) + 1)):
        raise refuse(f"expected {len(beams)} beams that pass {depth} layers each and all {len(layers)} together")
    if not math.isclose(sum(beam.weight for beam in beams), 1, rel_tol=1e-9):
        raise refuse("expected weights of beams that add up to 1, but they do not")
    areas = areas_of(beams)
    if {beam.area for beam in beams} != set(range(areas)) or detector.columns % areas:
        raise refuse("expected beams on each of the equal parts of the detector, but some part has none")
    first = [layers[number - 1] for number in beams[0].layers]
    if any([layers[number - 1] for number in beam.layers] != first for beam in beams):
        raise refuse("expected beams that pass planes with the same samples, but they differ")


def areas_of(beams: Sequence[BeamRecord]) -> int:
    """Return the number of equal parts, side by side, that the detector has."""
    return 1 + max(beam.area for beam in beams)


def part_of(detector: Grid, areas: int) -> Grid:
    """Return the samples of a part of the detector, about the axis of the light that falls on it."""
    return Grid((detector.rows, detector.columns // areas), detector.pitch, detector.offset)


def intensity_of(beams: Sequence[BeamRecord], fields: Sequence[Tensor]) -> Tensor:
    """Return the intensity on the whole detector, of the field of each beam on its part of it."""
    light: dict[int, Tensor] = {}
    for beam, field in zip(beams, fields, strict=True):
        intensity = beam.weight * (field.real.square() + field.imag.square())
        light[beam.area] = light[beam.area] + intensity if beam.area in light else intensity
    return torch.cat([light[area] for area in range(len(light))], -1)
