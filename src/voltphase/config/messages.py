"""What is wrong with a configuration, in a sentence a person can act on."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a word",
    "bool_type": "true or false",
    "list_type": "a list",
    "finite_number": "a finite number",
    "model_type": "a group of keys",
    "model_attributes_type": "a group of keys",
    "dict_type": "a group of keys",
}
# The second is of keys that are no words: YAML has numbers, dates and nothing at all for keys.
_UNKNOWN = ("extra_forbidden", "invalid_key")


def describe(error: ValidationError, schema: type[BaseModel], given: Any) -> tuple[str, str]:
    """The first problem and how many follow, as a sentence, and the dotted path of the key it concerns.

    Args:
        error: What pydantic found.
        schema: The model that was checked against.
        given: What was checked.
    """
    problems = error.errors(include_url=False)
    # An unknown key is most often a misspelt one, and the cause of what else is wrong.
    first = min(problems, key=lambda problem: problem["type"] not in _UNKNOWN)
    steps = list(_path(first, given))
    sentence = _sentence(first, steps, schema)
    if len(problems) > 1:
        sentence += f" (and {len(problems) - 1} more problem{'s' if len(problems) > 2 else ''})"
    return sentence, ".".join(steps)


def nearest(word: str, choices: list[str]) -> str | None:
    """The one of ``choices`` most like ``word``, if any is."""
    close = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    return close[0] if close else None


def enumerate_words(words: list[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _sentence(problem: ErrorDetails, steps: list[str], schema: type[BaseModel]) -> str:
    kind, context, value, path = problem["type"], problem.get("ctx", {}), problem["input"], ".".join(steps)
    if kind in _UNKNOWN:
        return _unknown_key(steps, schema)
    if kind == "misfit":
        return str(context["message"])
    if kind == "missing":
        return f"expected the key {path}, but it is missing"
    if not path:
        return f"expected a group of keys such as seed: 0, but got {_shown(value)}"
    if (wanted := _description(path, schema)) is not None:
        key, item = _split_items(path)
        return f"expected {key} to be {wanted}, but {f'item {item} is' if item else 'got'} {_shown(value)}"
    if kind == "literal_error":
        return _unknown_word(path, str(context["expected"]), value)
    return f"expected {path} to be {_bound(kind, context)}, but got {_shown(value)}"


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    words = {
        "greater_than": ("gt", "above"),
        "greater_than_equal": ("ge", "at least"),
        "less_than": ("lt", "below"),
        "less_than_equal": ("le", "at most"),
    }
    if kind in words:
        key, phrase = words[kind]
        return f"{phrase} {context[key]:g}"
    return _EXPECTED.get(kind, "another kind of value")


def _split_items(path: str) -> tuple[str, str]:
    steps = path.split(".")
    end = len(steps)
    while steps[end - 1].isdigit():
        end -= 1
    return ".".join(steps[:end]), ".".join(steps[end:])


def _description(path: str, schema: type[BaseModel]) -> str | None:
    plain = ".".join(part for part in path.split(".") if not part.isdigit())
    model = dict(keys(schema)).get(plain)
    return model.model_fields[plain.rpartition(".")[2]].description if model is not None else None


def _unknown_key(steps: list[str], schema: type[BaseModel]) -> str:
    *parents, name = steps
    known, path = dict(keys(schema)), ".".join(steps)
    plain_parent = ".".join(part for part in parents if not part.isdigit())
    siblings = [key.rpartition(".")[2] for key in known if key.rpartition(".")[0] == plain_parent]
    prefix = "".join(f"{part}." for part in parents)
    elsewhere = [key for key in known if key.rpartition(".")[2] == name]
    if (close := nearest(name, siblings)) is not None:
        return f"unknown key {path}: did you mean {prefix}{close}?"
    if elsewhere:
        return f"unknown key {path}: did you mean {elsewhere[0]}?"
    last_words = {key.rpartition(".")[2]: key for key in known}
    if (close := nearest(name, list(last_words))) is not None:
        return f"unknown key {path}: did you mean {last_words[close]}?"
    return f"unknown key {path}: expected {enumerate_words([prefix + sibling for sibling in siblings])}"


def _unknown_word(path: str, expected: str, value: Any) -> str:
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    sentence = f"expected {path} to be {enumerate_words(words)}, but got {_shown(value)}"
    close = nearest(value, words) if isinstance(value, str) and len(words) > 1 else None
    return f"{sentence}: did you mean {close}?" if close else sentence


def _path(problem: ErrorDetails, given: Any) -> Iterator[str]:
    # pydantic's location names the alternative of a union too, which is no key of the file.
    steps = problem["loc"]
    for index, step in enumerate(steps):
        last = index == len(steps) - 1
        if (
            isinstance(given, Mapping)
            and isinstance(step, str)
            and (step in given or (last and problem["type"] == "missing"))
        ):
            given = given.get(step)
            yield step
        elif isinstance(given, list | tuple) and isinstance(step, int):
            given = given[step] if step < len(given) else None
            yield str(step)
    if problem["type"] == "invalid_key":
        yield _shown(problem["input"])


def keys(schema: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Each dotted key there is, without the numbers of lists, and the model whose field its last word is."""
    for name, field in schema.model_fields.items():
        yield f"{prefix}{name}", schema
        for model in _models(field.annotation):
            yield from keys(model, f"{prefix}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, Annotated, list):
        for part in get_args(annotation):
            yield from _models(part)


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
