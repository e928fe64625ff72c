"""The dotted keys there are, whatever is registered, and in words what each of them takes."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Len, MinLen, Unit
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from voltphase.settings.fields import Choice, Choices, Name, Parameters, Wording
from voltphase.settings.yaml_io import Kind


@dataclass(frozen=True)
class Key:
    """A setting."""

    path: str  # its dotted name, without the numbers of lists
    field: FieldInfo  # what it takes
    of: str | None = None  # name of the registered entry that it belongs to, if it does

    @property
    def parent(self) -> str:
        """The dotted name of the group it is in."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last word of its dotted name."""
        return self.path.rpartition(".")[2]


def keys(schema: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    """Yield each key there is, a group before what is in it."""
    for name, field in schema.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        yield Key(path, field)
        if (variants := variants_of(field)) is not None:
            yield from _keys_of_variants(variants, path)
            continue
        for model in _classes(field.annotation):
            if issubclass(model, BaseModel):
                yield from keys(model, f"{path}.")


def variants_of(field: FieldInfo) -> Choice | Parameters | None:
    """Return what says which keys are in a group, where that depends on a name; None where it does not."""
    return next(_variants(field.annotation, field.metadata), None)


def _variants(annotation: Any, metadata: Iterable[Any] = ()) -> Iterator[Choice | Parameters]:
    # An item of a list may be what is chosen by a name in it.
    yield from (part for part in metadata if isinstance(part, Choice | Parameters))
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
        yield from _variants(annotation, metadata)
    elif get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _variants(part)


def kinds(schema: type[BaseModel]) -> dict[str, Kind]:
    """Return which settings are texts and which are switches, so that what is written for them is read as that."""
    found: dict[str, set[type]] = {}
    for key in keys(schema):
        found.setdefault(key.path, set()).update(_classes(key.field.annotation))
    kinds: dict[str, Kind] = {"preset": "text", "recipe": "text"}
    for path, each in found.items():
        if each - {types.NoneType} == {str}:
            kinds[path] = "text"
        elif bool in each and each <= {types.NoneType, bool, str}:  # or a word of its own
            kinds[path] = "switch"
    return kinds


def enumerate_words(words: Iterable[str], last: str = "or") -> str:
    """Return ``a``, ``a or b``, ``a, b or c``."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end


def words_of(annotation: Any, metadata: Iterable[Any] = ()) -> list[str]:
    """Return the words that a type takes; none if it takes no words."""
    words = list(_words(annotation, metadata))
    if get_origin(annotation) is Annotated:
        words += words_of(get_args(annotation)[0], get_args(annotation)[1:])
    elif get_origin(annotation) in (Union, types.UnionType):
        words += [word for part in get_args(annotation) for word in words_of(part)]
    return words


def in_words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Return what a type takes, in words.

    Examples:
        >>> from annotated_types import Ge
        >>> in_words(list[Annotated[int, Ge(2)]] | None)
        'a list of whole numbers of at least 2, or null'
    """
    origin, parts, metadata = get_origin(annotation), get_args(annotation), [*metadata]
    if wording := next((part.text for part in metadata if isinstance(part, Wording)), ""):
        return wording
    if (choices := next((part for part in metadata if isinstance(part, Choices)), None)) is not None:
        return f"a list of {enumerate_words(choices.models)}, each by its name or as a group of keys"
    if origin is Annotated:
        return in_words(parts[0], [*parts[1:], *metadata])
    if words := list(_words(annotation, metadata)):
        return enumerate_words(words)
    if origin in (Union, types.UnionType):
        return _any_of([in_words(part) for part in parts if part is not types.NoneType], types.NoneType in parts)
    if origin is list:
        bounds = next((part for part in metadata if isinstance(part, Len | MinLen) and part.min_length), None)
        exact = isinstance(bounds, Len) and bounds.max_length == bounds.min_length
        count = "" if bounds is None else f"{bounds.min_length} {'' if exact else 'or more '}"
        return f"a list of {count}{_plural(in_words(parts[0]))}"
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        metres = any(isinstance(part, Unit) and part.unit == "m" for part in metadata)
        noun = "a whole number" if annotation is int else "a length in metres" if metres else "a number"
        return f"{noun}{_bounds(metadata)}"
    return "a text" if annotation is str else "a value" if annotation is Any else "a group of keys"


def _any_of(each: list[str], nullable: bool) -> str:
    # A list of what stands before it is a list of them.
    first, *rest = each
    if len(rest) > 1 and rest[-1] == f"a list of {_plural(_any_of(each[:-1], nullable=False))}":
        rest[-1] = "a list of either"
    each = [first, *(one.replace(f" {_plural(first)}", " of them").replace("list of of", "list of") for one in rest)]
    words = f"{first}, or {each[1]}" if len(each) == 2 and "of them" in each[1] else enumerate_words(each)
    return f"{words}, or null" if nullable else words


def _plural(words: str) -> str:
    for noun in ("whole number", "number", "length", "list", "text", "group", "value"):
        if words.startswith(f"a {noun}"):
            return words.replace(f"a {noun}", f"{noun}s", 1)
    return words


def _bounds(metadata: Iterable[Any]) -> str:
    bounds = {
        kind: str(bound) if isinstance(bound, int) else f"{bound:g}"
        for part in metadata
        for kind in ("gt", "ge", "lt", "le")
        if (bound := getattr(part, kind, None)) is not None
    }
    high = f"below {bounds['lt']}" if "lt" in bounds else bounds.get("le", "")
    if "ge" in bounds:
        return f" from {bounds['ge']} to {high}" if high else f" of at least {bounds['ge']}"
    words = [f"above {bounds['gt']}"] if "gt" in bounds else []
    words += [high if "lt" in bounds else f"at most {high}"] if high else []
    return f" {' and '.join(words)}" if words else ""


def _words(annotation: Any, metadata: Iterable[Any]) -> Iterator[str]:
    for part in metadata:
        if isinstance(part, Name):
            yield from part.names
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))


def _keys_of_variants(variants: Choice | Parameters, path: str) -> Iterator[Key]:
    shared = variants.base.model_fields
    for key, field in shared.items():
        names = FieldInfo(annotation=str, default=variants.default, description=field.description)
        names.metadata = [Name(variants)]
        yield Key(f"{path}.{key}", names if key == "name" else field)
    for name, model in variants.models.items():
        for key, field in model.model_fields.items():
            if key not in shared:
                yield Key(f"{path}.{key}", field, name)


def _classes(annotation: Any) -> Iterator[type]:
    if get_origin(annotation) is Literal:
        yield from map(type, get_args(annotation))
    elif parts := get_args(annotation):
        for part in parts:
            yield from _classes(part)
    elif isinstance(annotation, type):
        yield annotation


def content_at(given: Any, steps: Iterable[str]) -> Any:
    """Return what is given under keys and numbers of items; None where there is nothing."""
    for step in steps:
        if isinstance(given, Mapping):
            given = given.get(step)
        elif isinstance(given, list) and step.isdecimal() and int(step) < len(given):
            given = given[int(step)]
        else:
            return None
    return given
