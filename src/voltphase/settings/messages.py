"""What is wrong with a configuration, in a sentence a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from voltphase.core import checks
from voltphase.core.units import DISTANCE, PITCH, WAVELENGTH, length_in
from voltphase.settings.fields import Choice
from voltphase.settings.keys import Key, content_at, enumerate_words, in_words, keys, variants_of, words_of

_LENGTHS = {"wavelength": WAVELENGTH, "pitch": PITCH, "distances": DISTANCE}
# The second is of keys that are no words: YAML has numbers, dates and nothing at all for keys.
_UNKNOWN = ("extra_forbidden", "invalid_key")
# Letters of a word that is a part of another, at least, and how like a key of another group has to be.
_PART, _FAR = 3, 0.75


def describe(error: ValidationError, schema: type[BaseModel], given: Any) -> tuple[str, str]:
    """Return the first problem and how many follow, as a sentence, and the dotted path of what it concerns."""
    problems: dict[str, tuple[list[str], ErrorDetails]] = {}
    for problem in error.errors(include_url=False):
        steps = list(_path(problem, given, {key.path for key in keys(schema)}))
        # Of a field that may be one thing or another, what is wrong with the one that fits best: deepest inside.
        if len(steps) > len(problems.get(_plain(steps), ([], None))[0]) or _plain(steps) not in problems:
            problems[_plain(steps)] = steps, problem
    # An unknown key is most often a misspelt one, and the cause of what else is wrong.
    steps, first = min(problems.values(), key=lambda one: one[1]["type"] not in _UNKNOWN)
    sentence = _sentence(first, steps, schema, given)
    if len(problems) > 1:
        sentence += f" (and {len(problems) - 1} more problem{'s' if len(problems) > 2 else ''})"
    # What is missing is missing from a group.
    return sentence, ".".join(steps[:-1] if first["type"] == "missing" else steps)


def nearest(word: str, choices: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of ``choices`` most like ``word``, or else the only one that it is a part of, if any is."""
    choices = list(choices)
    if close := difflib.get_close_matches(word.lower(), choices, n=1, cutoff=cutoff):
        return close[0]
    longer = [choice for choice in choices if len(word) >= _PART and word.lower() in choice]
    return longer[0] if len(longer) == 1 else None


def yaml_shown(value: Any) -> str:
    """Return a value as a sentence about a file names it: on one line, cut short, with the words of YAML."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else checks.shown(value)


def _sentence(problem: ErrorDetails, steps: list[str], schema: type[BaseModel], given: Any) -> str:
    kind, context, value, path = problem["type"], problem.get("ctx", {}), problem["input"], ".".join(steps)
    if kind in _UNKNOWN:
        return _unknown_key(steps, schema, given)
    if kind == "misfit":
        return context["sentence"] if context["named"] else f"{path}: {context['sentence']}"
    if not path:
        return f"expected a group of keys such as seed: 0, but got {yaml_shown(value)}"
    whole, item = _split_items(steps)
    key = next((key for key in _keys_there(schema, given, whole[:-1]) if key.path == _plain(steps)), None)
    wanted = "another kind of value" if key is None else in_words(key.field.annotation, key.field.metadata)
    if kind == "missing":
        return f"expected {path} to be {wanted}, but it is missing"
    given_as = f"item {'.'.join(item)} is" if item else "got"
    sentence = f"expected {'.'.join(whole)} to be {wanted}, but {given_as} {yaml_shown(value)}"
    words = words_of(key.field.annotation, key.field.metadata) if key is not None and isinstance(value, str) else ()
    if isinstance(value, str) and "in metres" in wanted and (meant := length_in(value)) is not None:
        return f"{sentence}: {value} is {meant:g}"
    if isinstance(value, str) and any(key.path == f"{_plain(steps)}.name" for key in keys(schema)):
        return f"{sentence}: use {path}.name={value}"
    if wanted == "a group of keys" and key is not None:
        inside = [one.name for one in _keys_there(schema, given, whole) if one.parent == key.path]
        return f"{sentence}: its keys are {enumerate_words(inside, 'and')}"
    length = _LENGTHS.get(whole[-1])
    if length is not None and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{sentence}: {length.meant(max(value, 0))}"
    close = nearest(str(value), words)
    if close is None and whole[-1] == "name" and words and _chosen(schema, given, whole[:-1]) is not None:
        return f"{sentence}: install the package that it comes from, or import it first"
    return f"{sentence}: did you mean {close}?" if close else sentence


def _unknown_key(steps: list[str], schema: type[BaseModel], given: Any) -> str:
    *parents, name = steps
    path, prefix, parent = ".".join(steps), "".join(f"{step}." for step in parents), _plain(parents)
    group = content_at(given, parents)
    if isinstance(group, Mapping) and any(str(key) == name and value is None for key, value in group.items()):
        return f"unknown key {path}: it has no value, and several values are a list in brackets, as [1, 2]"
    siblings = {key.name: key for key in _keys_there(schema, given, parents) if key.parent == parent}
    others = [key.of for key in keys(schema) if key.path == _plain(steps) and key.of is not None]
    if others and (chosen := _chosen(schema, given, parents)) is not None:
        return f"{path} is of {enumerate_words(others, 'and')}, not of {chosen}"
    if (close := nearest(name, siblings)) is not None:
        return f"unknown key {path}: did you mean {prefix}{close}?"
    elsewhere = [key for key in keys(schema) if key.parent != parent and not key.parent.endswith(".parameters")]
    last_words = {key.name: key.path for key in reversed(elsewhere)}
    if (close := name if name in last_words else nearest(name, last_words, cutoff=_FAR)) is not None:
        return f"unknown key {path}: did you mean {last_words[close]}?"
    if not siblings:
        return f"unknown key {path}: there are no keys in {'.'.join(parents)}"
    return f"unknown key {path}: expected {enumerate_words([prefix + sibling for sibling in siblings])}"


def _keys_there(schema: type[BaseModel], given: Any, parents: list[str]) -> Iterator[Key]:
    """Yield the keys there are, in the group under ``parents`` only those of what is chosen there."""
    parent, chosen = _plain(parents), _chosen(schema, given, parents)
    return (key for key in keys(schema) if key.parent != parent or key.of in (None, chosen))


def _chosen(schema: type[BaseModel], given: Any, steps: list[str]) -> str | None:
    """Return the name on which it depends what is in a group; None if it depends on none."""
    for key in keys(schema):
        if key.path == _plain(steps) and (variants := variants_of(key.field)) is not None:
            if isinstance(variants, Choice):
                return variants.chosen(content_at(given, steps))
            return content_at(given, [*steps[:-1], "model"]) or variants.default
    return None


def _plain(steps: Iterable[str]) -> str:
    return ".".join(step for step in steps if not step.isdecimal())


def _split_items(steps: list[str]) -> tuple[list[str], list[str]]:
    end = len(steps)
    while steps[end - 1].isdecimal():
        end -= 1
    return steps[:end], steps[end:]


def _path(problem: ErrorDetails, given: Any, known: set[str]) -> Iterator[str]:
    # pydantic's location names the alternative of a union too, which is no key of the file.
    steps, path = problem["loc"], ""
    for number, step in enumerate(steps, start=1):
        missing = number == len(steps) and problem["type"] == "missing"
        if isinstance(step, int):
            if isinstance(given, list | tuple):
                given = given[step] if step < len(given) else None
                yield str(step)
        elif missing or f"{path}{step}" in known or (isinstance(given, Mapping) and step in given):
            # What is in a group that is not given has its default, which may not fit.
            given, path = given.get(step) if isinstance(given, Mapping) else None, f"{path}{step}."
            yield step
    if problem["type"] == "invalid_key":
        yield yaml_shown(problem["input"])
