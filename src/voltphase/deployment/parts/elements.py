"""What stands between the planes of a deployed folder, as data: lenses, apertures, relays, and arrays of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_serializer, model_validator

from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.deployment.folder import MANIFEST_NAME, read_array, write_array
from voltphase.deployment.formulas import ELEMENT_FORMULAS, TRANSMISSION
from voltphase.deployment.records import ArrayRecord, Chosen, GridRecord, Record, refuse
from voltphase.optics.elements import ELEMENTS, Element, Optic
from voltphase.optics.grid import Grid
from voltphase.optics.paths import Placed, Steps, placed_element

if TYPE_CHECKING:
    from voltphase.network.donn import DONN

#: More than stand on any bench.
MOST_ELEMENTS: Final = 1000
# What says where an element stands is its grid.
_PLACE: Final = ("size", "pitch")


class ElementRecord(Record):
    """An element: which it is, or the arrays of what it multiplies light by, and the plane that it stands on.

    It stands behind the plane of that number, 0 for the source and 1 for layer 1; several there are listed in the order
    light meets them. On the way to further detectors numbers go on from that of the last layer.
    """

    behind: Annotated[int, Field(ge=0, le=MOST_ELEMENTS)]
    grid: GridRecord
    kind: str
    settings: dict[str, Any]
    amplitude: ArrayRecord | None = None
    phase: ArrayRecord | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        arrays = self.amplitude is not None and self.phase is not None
        if self.kind not in ELEMENT_FORMULAS or arrays != (self.kind == TRANSMISSION):
            raise refuse(f"expected kind out of {', '.join(ELEMENT_FORMULAS)}, with arrays for {TRANSMISSION} alone")
        if arrays and self.settings:
            raise refuse(f"expected no settings of {TRANSMISSION}, which is what its arrays hold, but got some")
        if not arrays:
            _ = self.optic
        return self

    @property
    def optic(self) -> Optic:
        """The element, where it is one of voltphase's own."""
        return Chosen(name=self.kind, settings=self.settings).make(ELEMENTS, Path(MANIFEST_NAME), "elements")

    @property
    def image(self) -> Grid:
        """The plane that light goes on from."""
        return self.grid.grid if self.kind == TRANSMISSION else self.optic.image(self.grid.grid)

    @property
    def length(self) -> float:
        """How long it is along the axis, in metres."""
        return 0.0 if self.kind == TRANSMISSION else self.optic.length

    @property
    def words(self) -> str:
        """What it is, for a person at the bench."""
        if self.amplitude is not None and self.phase is not None:
            return f"{self.amplitude.file} and {self.phase.file}"
        given = [f"{key.replace('_', ' ')} {_written(value)}" for key, value in self.settings.items() if _said(value)]
        return f"{self.kind}: {', '.join(given)}"

    @model_serializer(mode="wrap")
    def _serialize(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


def write_elements(folder: Path, model: DONN) -> list[ElementRecord]:
    """Return the record of each element of a network, of which some are written as arrays."""
    records: list[ElementRecord] = []
    for behind, steps in enumerate(model.layout.every_span):
        for one in (step for step in steps if isinstance(step, Placed)):
            about: dict[str, Any] = {"behind": behind, "grid": GridRecord.of(one.plane)}
            name = ELEMENTS.name_of(type(one.optic))
            if name in ELEMENT_FORMULAS:
                settings = {key: _plain(value) for key, value in asdict(one.optic).items() if key not in _PLACE}  # pyright: ignore[reportArgumentType]
                records.append(ElementRecord(**about, kind=name, settings=settings))
                continue
            factor, *others = (one.optic.transmission(one.plane, at.wavelength) for at in model.spectrum.each)
            if not all(torch.equal(factor, other) for other in others):
                raise DeploymentError(
                    "expected lenses, apertures, relays and fixed arrays in light of several wavelengths, "
                    f"but got {name or type(one.optic).__name__!r}, which is another at each: deploy one wavelength"
                )
            stem = f"element-{len(records) + 1}"
            parts = {"amplitude": np.abs(factor.numpy()), "phase": np.angle(factor.numpy())}
            about |= {key: write_array(folder / f"{stem}-{key}.npy", part) for key, part in parts.items()}
            records.append(ElementRecord(**about, kind=TRANSMISSION, settings={}))
    return records


def read_spans(
    folder: Path | None, count: int, distances: Sequence[float], elements: Sequence[ElementRecord]
) -> list[Steps]:
    """Return what is between the planes, in full.

    Args:
        folder: Folder with the arrays; None where what elements do is of no interest.
        count: Number of spans: from each plane to the next, and to each further detector.
        distances: The distances, in turn.
        elements: The elements, in turn.

    Raises:
        DeploymentError: if an array is missing, was changed, or has numbers that are not finite.
    """
    left, spans = iter(distances), []
    for behind in range(count):
        steps: list[float | Placed] = [next(left)]
        for record in (element for element in elements if element.behind == behind):
            steps += [_placed(folder, record), next(left)]
        spans.append(tuple(steps))
    return spans


def _placed(folder: Path | None, record: ElementRecord) -> Placed:
    plane = record.grid.grid
    if record.kind != TRANSMISSION:
        return Placed(record.optic, plane)
    factor: NDArray[Any] = np.ones(plane.shape)
    if folder is not None and record.amplitude is not None and record.phase is not None:
        amplitude, phase = (
            read_array(folder, one, plane.shape, "f", "the numbers of an element")
            for one in (record.amplitude, record.phase)
        )
        with np.errstate(invalid="ignore"):
            factor = amplitude * np.exp(1j * phase)
        try:
            return placed_element(Element(torch.from_numpy(factor), grid=plane))
        except VoltphaseError as error:
            raise DeploymentError(f"{folder / record.amplitude.file} and {record.phase.file}: {error}") from error
    return placed_element(Element(torch.from_numpy(factor), grid=plane))


def files_of(elements: Sequence[ElementRecord]) -> Iterator[ArrayRecord | None]:
    """Yield the records of the arrays of elements."""
    for element in elements:
        yield from (element.amplitude, element.phase)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _said(value: Any) -> bool:
    return value is not None and value != [0.0, 0.0]


def _written(value: Any) -> str:
    each = value if isinstance(value, list) else [value]
    return " and ".join(f"{number * 1e3:.6g} mm" for number in each)
