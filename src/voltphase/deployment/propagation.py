"""How light starts, and the methods of its propagation, as data: names and checked parameters. No code is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

import torch
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from voltphase.core import checks
from voltphase.core.errors import DeploymentError
from voltphase.core.units import LONGEST_DISTANCE
from voltphase.deployment.formulas import ELEMENT_FORMULAS, FORMULAS, source_formula
from voltphase.deployment.parts.elements import MOST_ELEMENTS, ElementRecord
from voltphase.deployment.records import PAIR, ArrayRecord, GridRecord, Record, refuse, refusing
from voltphase.optics import AngularSpectrum, Method
from voltphase.optics.kernels.common_grid import common_grid
from voltphase.optics.masks import Mask
from voltphase.optics.methods import METHODS
from voltphase.optics.methods.accuracy.exact_light import half_bands
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sources import Encoding, ImageSource, SourceLight

#: Names of the complex types the light may be computed in.
PRECISIONS: Final[dict[str, torch.dtype]] = {"complex64": torch.complex64, "complex128": torch.complex128}
MOST_LAYERS: Final = 1000
MOST_DISTANCES: Final = MOST_LAYERS + 1 + MOST_ELEMENTS
# Any parameter of a method, whatever it is: lengths in metres and factors. An oversampling costs memory as its square.
_LARGEST: Final = 1e4
_LARGEST_OVERSAMPLING: Final = 16.0
_LARGEST_IMAGE: Final = 4096  # pixels a side: the matrix that interpolates takes memory as their square, here 128 MiB


class MaskRecord(Record):
    """The mask in front of the source: arrays of its amplitude, and of its phase in radians."""

    amplitude: ArrayRecord
    phase: ArrayRecord


class InputRecord(Record):
    """How an image becomes light on the source."""

    image_shape: Annotated[list[Annotated[int, Field(ge=1, le=_LARGEST_IMAGE)]], PAIR]
    encoding: Encoding
    interpolation: Literal["bilinear"]
    align_corners: Literal[False]
    grid: GridRecord
    phase_range_rad: float | None = None
    waist_m: Annotated[float, Field(gt=0, le=1)] | None = None
    background: Annotated[float, Field(ge=0, lt=1)] = 0.0
    centre_m: Annotated[list[float], PAIR] | None = None
    mask: MaskRecord | None = None
    formula: str | None = None

    @classmethod
    def of(cls, source: ImageSource, mask: MaskRecord | None) -> InputRecord:
        """Return the record of a source, whose mask, if it has one, was written."""
        light = source.light
        return cls(
            image_shape=list(source.image_shape),
            encoding=light.encoding,
            interpolation="bilinear",
            align_corners=False,
            grid=GridRecord.of(source.grid),
            phase_range_rad=None if light.encoding == "amplitude" else light.range,
            waist_m=light.waist,
            background=light.background,
            centre_m=list(light.centre) if any(light.centre) else None,
            mask=mask,
            formula=source_formula(light, masked=mask is not None),
        )

    def light(self, mask: Mask | None = None) -> SourceLight:
        """Return how light carries an image, through the mask that was read from its arrays."""
        y, x = self.centre_m or (0.0, 0.0)
        return SourceLight(self.encoding, self.phase_range_rad, self.waist_m, self.background, (y, x), mask)

    @model_validator(mode="after")
    def _check(self) -> Self:
        with refusing():
            light = self.light()
        if self.formula != source_formula(light, masked=self.mask is not None):
            raise refuse("expected the formula of this light as this version computes it, but got another")
        if (self.phase_range_rad is None) != (light.encoding == "amplitude"):
            raise refuse("expected phase_range_rad where the phase carries the image, but it is missing")
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The plain amplitude is written as it always was.
        given = {key: value for key, value in handler(self).items() if value is not None}
        return given if self.background else {key: value for key, value in given.items() if key != "background"}


class MethodRecord(Record):
    """A method of propagation."""

    name: str
    parameters: Annotated[
        dict[str, Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)] | None], Field(max_length=len(FORMULAS))
    ]

    @classmethod
    def of(cls, method: Method) -> MethodRecord:
        """Return the record of a method; one that is none of voltphase's own, of which no file can tell, is refused."""
        if METHODS.get(method.name) is not type(method) or method.name not in FORMULAS:
            raise DeploymentError(
                f"expected a propagation method out of {', '.join(FORMULAS)}, but got {method!r:.80}: a method "
                "of your own cannot be rebuilt from a file"
            )
        return cls(name=method.name, parameters=asdict(method))  # pyright: ignore[reportArgumentType]

    @model_validator(mode="after")
    def _check(self) -> Self:
        with refusing():
            _ = self.method
        return self

    @cached_property
    def method(self) -> Method:
        """The method itself."""
        kind = METHODS[checks.word(self.name, "name", tuple(FORMULAS))]
        parameters = fields(kind)  # pyright: ignore[reportArgumentType]
        optional = {field.name: field.default is None for field in parameters}
        if self.parameters.keys() != optional.keys():
            raise refuse(
                f"expected parameters {', '.join(optional) or 'of a method without any'}, but got "
                f"{checks.shown(sorted(self.parameters))}"
            )
        for name, value in self.parameters.items():
            if value is None and not optional[name]:
                raise refuse(f"expected a number as parameters.{name}, but got null")
        if (self.parameters.get("oversampling") or 1.0) > _LARGEST_OVERSAMPLING:
            raise refuse(f"expected parameters.oversampling to be at most {_LARGEST_OVERSAMPLING:g}")
        return kind(**self.parameters)


class PropagationRecord(Record):
    """How light gets from plane to plane: distances and their methods, and the elements between them.

    Light goes over a distance from each plane, and from each element, to the next of either.
    """

    precision: Literal["complex64", "complex128"]
    distances_m: Annotated[
        list[Annotated[float, Field(ge=0, le=LONGEST_DISTANCE)]], Field(min_length=2, max_length=MOST_DISTANCES)
    ]
    methods: Annotated[list[MethodRecord], Field(max_length=MOST_DISTANCES)]
    formulas: dict[str, Any]
    elements: Annotated[list[ElementRecord], Field(max_length=MOST_ELEMENTS)] = []  # noqa: RUF012 - pydantic copies it

    @classmethod
    def of(
        cls, precision: str, distances: list[float], methods: list[Method], elements: Sequence[ElementRecord] = ()
    ) -> PropagationRecord:
        """Return the record of distances in metres, the method over each of them, and the elements between them."""
        return cls(
            precision=precision,  # pyright: ignore[reportArgumentType] - checked there
            distances_m=distances,
            methods=[MethodRecord.of(method) for method in methods],
            formulas=_formulas([method.name for method in methods], elements),
            elements=list(elements),
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.methods) != len(self.distances_m):
            raise refuse(f"expected methods for {len(self.distances_m)} distances, but got {len(self.methods)}")
        if [one.behind for one in self.elements] != sorted(one.behind for one in self.elements):
            raise refuse("expected elements in the order light meets them, but got another")
        if self.formulas != _formulas([method.name for method in self.methods], self.elements):
            raise refuse(
                "expected formulas as this version means them, but got others: read the folder with the voltphase that "
                "wrote it"
            )
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Free space alone is written as it always was.
        return {key: value for key, value in handler(self).items() if key != "elements" or value}


def _formulas(methods: Sequence[str], elements: Sequence[ElementRecord]) -> dict[str, Any]:
    return {name: FORMULAS[name] for name in methods} | {one.kind: ELEMENT_FORMULAS[one.kind] for one in elements}


def kernel_bytes(method: Method, geometry: Geometry) -> float:
    """Return about how many bytes it takes to make and keep a method's kernel, and what that is made from."""
    source, target = geometry.source.shape, geometry.target.shape
    matrices = sum(to * at for to, at in zip(target, source, strict=True))
    shared = (common_grid(geometry.source, geometry.target, axis) for axis in (0, 1))
    points = math.prod(
        to + at if axis is None else axis.displacement_count
        for axis, to, at in zip(shared, target, source, strict=True)
    )
    if isinstance(method, AngularSpectrum):
        rows, columns = (band.count(method.oversampling or 1.0) for band in half_bands(geometry))
        points += 4 * rows * columns + rows * (source[0] + target[0]) + columns * (source[1] + target[1])
    # Four complex128 arrays of each: the kernel, what goes into it, and the kernel as it is kept.
    return 64.0 * (matrices + points)
