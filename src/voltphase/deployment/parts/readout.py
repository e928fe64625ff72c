"""How light on the detector becomes an answer, as a manifest says it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from voltphase.core.errors import GeometryError
from voltphase.deployment.folder import MANIFEST_NAME
from voltphase.deployment.formulas import picture_formula, readout_formula
from voltphase.deployment.records import Chosen, Factor, GridRecord, Record, Shape, refuse, refusing
from voltphase.tasks import TASKS, Metric, RegionReadout, Regions, Task, WindowReadout
from voltphase.tasks.background_light import checked_background

#: Far beyond any system, so that nothing is allocated or computed for a number that was made up.
MOST_REGIONS: Final = 4096


def _named(task: Any) -> Any:
    # A name alone was written before tasks had settings of their own.
    return {"name": task, "settings": {}} if isinstance(task, str) else task


class ReadoutRecord(Record):
    """How light on the detector becomes an answer; the digital factor is what the gains amount to on a measure.

    A picture has pixels, (rows, columns), and one region: its window. Background light is an intensity on each sample.
    """

    task: Annotated[Chosen, BeforeValidator(_named)]
    grid: GridRecord
    measure: Literal["sum", "mean", "amplitude", "fraction", "intensity", "field"]
    scale: Factor
    digital_factor: Annotated[float, Field(ge=0)]
    differential: bool
    regions: Annotated[list[Annotated[list[int], Field(min_length=4, max_length=4)]], Field(max_length=MOST_REGIONS)]
    classes: Annotated[list[str], Field(max_length=MOST_REGIONS)]
    pixels: Shape | None = None
    background_light: float = 0.0
    formula: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        with refusing():
            readout, task = self.make_readout(), self.task_object
            background = checked_background(self.background_light, readout) > 0
        if isinstance(readout, WindowReadout):
            if self.formula != picture_formula(self.measure, readout.pixels, background=background):
                raise refuse("expected the formula of this measure as this version computes it, but got another")
            return self
        classes = readout.regions.classes
        if len(self.classes) not in (0, classes):
            raise refuse(
                f"expected names of {classes} classes for {len(self.regions)} regions, but got {len(self.classes)}"
            )
        about: dict[str, Any] = {"differential": self.differential, "answer": task.answer, "background": background}
        if self.formula != readout_formula(self.measure, **about):
            raise refuse("expected the formula of this measure as this version computes it, but got another")
        return self

    @cached_property
    def on_detector(self) -> Regions:
        """The regions of the detector."""
        return Regions(tuple(map(tuple, self.regions)), self.grid.grid.shape, self.differential)  # pyright: ignore[reportArgumentType]

    @cached_property
    def task_object(self) -> Task:
        """The task, as it was trained for."""
        return self.task.make(TASKS, Path(MANIFEST_NAME), "readout", "task")

    @property
    def metric(self) -> Metric:
        """The figure that says how well the task is done."""
        return self.task_object.metrics[0]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what is read of one image and of its outputs: a number for each class, or a picture."""
        readout = self.make_readout()
        return readout.output_shape if isinstance(readout, WindowReadout) else (readout.regions.classes,)

    def make_readout(self) -> RegionReadout | WindowReadout:
        """Return the readout, its scale fixed at the value it was deployed with."""
        measure: Any = self.measure
        if self.pixels is None:
            return RegionReadout(self.on_detector, measure, self.scale)
        if len(self.regions) != 1:
            raise GeometryError(f"expected one region with the pixels of a picture, but got {len(self.regions)}")
        return WindowReadout(self.grid.grid.shape, self.regions[0], self.pixels, measure)

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What a readout is without is not written, as it never was.
        optional = {"pixels": self.pixels is not None, "background_light": self.background_light > 0}
        return {key: value for key, value in handler(self).items() if optional.get(key, True)}
