"""Checked objects of a deployed folder's JSON: types, bounds, and one sentence for what is wrong with a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Final, Self

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from voltphase.core import checks
from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.core.registry import Registry
from voltphase.core.units import LARGEST_PITCH, LONGEST_DISTANCE
from voltphase.core.words import printable
from voltphase.optics.grid import Grid

#: Samples of a plane, 4096 x 4096: more than any modulator has pixels, few enough to be computed while somebody waits.
LARGEST_PLANE: Final = 2**24
_LARGEST_SIDE: Final = 65536
_MOST_SETTINGS: Final = 100
# Far beyond any system, so that nothing is allocated or computed for a number that was made up.
_MOST_SAMPLES: Final = 1000
_MOST_IMAGES: Final = 10**9
# Settings of a data set that say where it lies and how much of it is used.
_PLACES: Final = ("dir", "train_limit", "test_limit", "val_fraction")

_TYPES: Final = {
    "string_type": "a text",
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_parsing": "a number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "string_pattern_mismatch": "a SHA-256 of 64 hexadecimal digits",
}
# What pydantic calls plain alternatives of a union, in the place of a problem.
_ALTERNATIVES: Final = {"bool", "int", "float", "str", "constrained-int", "constrained-float", "constrained-str"}
_BOUNDS: Final = {
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "literal_error": "{expected}",
}


class Record(BaseModel):
    """An object of the JSON: keys it does not know, other types and numbers that are not finite are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def refuse(sentence: str) -> PydanticCustomError:
    """Return the error by which a validator refuses its object."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": printable(sentence)})


@contextmanager
def refusing() -> Iterator[None]:
    """Have a validator refuse its object where this block raises an error of ours."""
    try:
        yield
    except VoltphaseError as error:
        raise refuse(str(error)) from error


def refusal(path: Path, error: ValidationError, within: tuple[str | int, ...] = ()) -> DeploymentError:
    """Return the first problem of a file as an error that names the file and the key, ``within`` those given."""
    problem = error.errors(include_url=False)[0]
    kind, context, value = problem["type"], problem.get("ctx", {}), problem["input"]
    place = ""
    for step in (*within, *problem["loc"]):
        if isinstance(step, str) and ("[" in step or step in _ALTERNATIVES) and kind != "extra_forbidden":
            # pydantic names an alternative of a union, such as literal['paper']: others would have been right, too.
            kind = "union"
            continue
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    place = printable(place)
    if kind == "refused":
        return DeploymentError(f"{path}{', ' if place else ''}{place}: {context['sentence']}")
    if kind == "missing":
        return DeploymentError(f"{path}: expected the key {place}, but it is missing: deploy again")
    if kind == "extra_forbidden":
        return DeploymentError(
            f"{path}: expected no key but those that this version knows, but got {place:.80}: restore the file, or "
            "read the folder with the voltphase that wrote it"
        )
    words = _TYPES.get(kind) or _BOUNDS.get(kind, "another kind of value").format(**context)
    got = "an object" if isinstance(value, dict) else checks.shown(value)
    return DeploymentError(f"{path}: expected {place} to be {words}, but got {got}: restore the file or deploy again")


def _file_name(name: str) -> str:
    if name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
        raise refuse(f"expected to name a file of the same folder, but got {checks.shown(name)}")
    return name


def _plane(shape: list[int]) -> list[int]:
    if shape[0] * shape[1] > LARGEST_PLANE:
        raise refuse(f"expected a shape of at most {LARGEST_PLANE} samples, but got {shape[0]} x {shape[1]}")
    return shape


PAIR: Final = Field(min_length=2, max_length=2)
#: (rows, columns) of a plane that can be computed.
Shape = Annotated[list[Annotated[int, Field(ge=1, le=_LARGEST_SIDE)]], PAIR, AfterValidator(_plane)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
#: Any factor of a reading.
Factor = Annotated[float, Field(ge=1e-30, le=1e30)]


def data_digest(images: torch.Tensor, labels: torch.Tensor) -> str:
    """Return the SHA-256, in hexadecimal, of ``images x height x width`` images and their labels or targets."""
    digest = hashlib.sha256(repr((tuple(images.shape), str(images.dtype))).encode())
    pixels = images.contiguous().cpu().numpy()
    digest.update(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).data)
    numbers = torch.view_as_real(labels.resolve_conj()) if labels.is_complex() else labels
    whole = labels.ndim == 1 and not labels.is_floating_point()
    digest.update(numbers.contiguous().cpu().numpy().astype("<i8" if whole else "<f8").data)
    return digest.hexdigest()


def named_data(section: dict[str, Any]) -> dict[str, Any]:
    """Return what of ``data:`` in a configuration says which images: not where they lie, nor how many are used.

    Args:
        section: The whole section, as it is written to JSON; of a path in it the last part is kept.
    """
    named = {key: PureWindowsPath(value).name if isinstance(value, str) else value for key, value in section.items()}
    return {key: value for key, value in named.items() if key not in _PLACES and {"/", "\\"}.isdisjoint(str(value))}


def _without_places(settings: dict[str, Any]) -> dict[str, Any]:
    named = isinstance(settings.get("name"), str)
    if not named or len(settings) > _MOST_SETTINGS or settings != named_data(settings):
        raise refuse("expected the name and the settings of a data set, without paths and limits")
    return settings


#: What a data set can be made again by.
DataSettings = Annotated[dict[str, Any], AfterValidator(_without_places)]


class Chosen(Record):
    """An entry of a registry, such as a target, by its name and with its settings."""

    name: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, registry: Registry[Any], entry: object) -> Chosen:
        """Return the record of an object, with a DeploymentError if it cannot be made again by its name."""
        name = registry.name_of(type(entry))
        if name is None or not is_dataclass(entry) or isinstance(entry, type):
            raise DeploymentError(
                f"expected {registry.what} out of {', '.join(registry)}, but got {checks.shown(entry)}: register its "
                "class, a frozen dataclass, so that the folder can name it"
            )
        return cls(name=name, settings=asdict(entry))

    def make(self, registry: Registry[Any], path: Path, *place: str) -> Any:
        """Return the object itself.

        Args:
            registry: Entries out of which it is.
            path: File that the record is in.
            place: Keys that the record is at in the file.

        Raises:
            DeploymentError: if there is no entry of that name, or it has no such settings.
        """
        where = f"{path}, {'.'.join(place)}"
        if self.name not in registry:
            raise DeploymentError(
                f"{where}: expected name out of {', '.join(registry)}, but got {checks.shown(self.name)}: install the "
                f"package that this {place[-1]} comes from"
            )
        kind = registry[self.name]
        known = [field.name for field in fields(kind)]  # every entry that `of` lets pass is a dataclass
        if unknown := sorted(self.settings.keys() - set(known)):
            raise DeploymentError(
                f"{where}.settings: expected {', '.join(known) or 'no settings'}, but got {checks.shown(unknown[0])}: "
                "install the version of the package that wrote the folder"
            )
        try:
            return _adapter(kind).validate_python(self.settings)
        except ValidationError as error:
            raise refusal(path, error, (*place, "settings")) from error
        except VoltphaseError as error:
            raise DeploymentError(f"{where}.settings: {error}") from error


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    # Its schema takes ten milliseconds to build.
    return TypeAdapter(kind)


class FileRecord(Record):
    """A file of the folder."""

    file: Annotated[str, AfterValidator(_file_name)]
    sha256: Digest


class ArrayRecord(FileRecord):
    """A file that holds an array."""

    dtype: str | None


class GridRecord(Record):
    """Where the samples of a plane lie."""

    shape: Shape
    pitch_m: Annotated[list[Annotated[float, Field(ge=1e-10, le=LARGEST_PITCH)]], PAIR]
    offset_m: Annotated[list[Annotated[float, Field(ge=-LONGEST_DISTANCE, le=LONGEST_DISTANCE)]], PAIR]

    @classmethod
    def of(cls, grid: Grid) -> GridRecord:
        """Return the record of a grid."""
        return cls(shape=list(grid.shape), pitch_m=list(grid.pitch), offset_m=list(grid.offset))

    @model_validator(mode="after")
    def _check(self) -> Self:
        with refusing():
            _ = self.grid
        return self

    @cached_property
    def grid(self) -> Grid:
        """The grid itself."""
        (rows, columns), (pitch_y, pitch_x), (y, x) = self.shape, self.pitch_m, self.offset_m
        return Grid((rows, columns), (pitch_y, pitch_x), (y, x))


class ReferenceRecord(Record):
    """The test set that the deployed system was judged by; its settings, where it is more than a name that loads it."""

    data: str
    data_settings: DataSettings | None = None
    split: str
    images: Annotated[int, Field(ge=1, le=_MOST_IMAGES)]
    data_sha256: Digest
    metric: str
    expected: float
    logits: ArrayRecord

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "data_settings" or value is not None}


class SamplesRecord(Record):
    """Test inputs that travel in the folder, and what the detector reads for each region of it, without gain."""

    origin: str
    count: Annotated[int, Field(ge=1, le=_MOST_SAMPLES)]
    images: ArrayRecord
    labels: ArrayRecord | None
    readings: ArrayRecord
