"""Which settings are texts and which are switches, so that what is written for them is read as that."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin

from voltphase.config.messages import keys
from voltphase.config.sections import Config
from voltphase.config.yaml_io import Kind


def kind_at(path: tuple[str, ...]) -> Kind:
    """What a word for the setting at a path of keys and numbers is: a text, a switch, or whatever it looks like."""
    return _kinds().get(".".join(step for step in path if not step.isdecimal()), "any")


@cache
def _kinds() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {"preset": "text", "recipe": "text"}
    for key, model in keys(Config):
        types = set(_types(model.model_fields[key.rpartition(".")[2]].annotation)) - {type(None)}
        if types == {str}:
            kinds[key] = "text"
        elif types == {bool}:
            kinds[key] = "switch"
    return kinds


def _types(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from map(type, get_args(annotation))
    elif parts := get_args(annotation):
        for part in parts:
            yield from _types(part)
    elif isinstance(annotation, type):
        yield annotation
