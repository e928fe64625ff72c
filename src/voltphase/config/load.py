"""From a preset's name or a YAML file, and ``key=value`` overrides, to a checked configuration."""

from __future__ import annotations

import copy
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from voltphase.config import migrate
from voltphase.config.masks import mask_settings
from voltphase.config.sections import Config
from voltphase.config.training import HOW_IT_RUNS
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError
from voltphase.core.files import checked_path, read_text
from voltphase.panels.profile import PROFILE_SUFFIXES
from voltphase.settings.fields import Choice
from voltphase.settings.keys import enumerate_words, keys, kinds, variants_of
from voltphase.settings.messages import describe, nearest, yaml_shown
from voltphase.settings.yaml_io import LARGEST, Kind, read_setting, read_yaml

SchemaT = TypeVar("SchemaT", bound=Config)

# Two spellings of one thing: a file that gives one replaces the other of the preset it starts from.
_EXCLUSIVE = {"device": "devices", "devices": "device"}
# What a device is: a later word on one of them takes the place of an earlier one on the other, and of its parameters.
_SOURCES = {"file": ("model", "parameters"), "model": ("file",)}

# What a recipe leaves alone in the sections it settles: where on the detector, how long, on which machine.
_LEFT_BY_RECIPES = {
    "codesign": (),
    "task": ("name", "regions"),
    "training": ("epochs", "batch_size", *HOW_IT_RUNS),
}


@dataclass(frozen=True)
class Preset:
    """A configuration that comes with voltphase.

    Attributes:
        name: What to type.
        description: What it is for, in a line.
        text: Its YAML.
    """

    name: str
    description: str
    text: str


def presets() -> dict[str, Preset]:
    """Return the configurations that come with voltphase, by name."""
    return _shipped("presets")


def recipes() -> dict[str, Preset]:
    """Return ways to learn a design (relaxation, schedule, gain, task, learning rates), by name.

    ``default`` is what measurement showed to train best for its time, ``paper`` is faithful to the paper.
    """
    return _shipped("presets/recipes")


def _shipped(path: str) -> dict[str, Preset]:
    folder = importlib.resources.files("voltphase").joinpath(path)
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name, _, suffix = entry.name.rpartition(".")
        if suffix == "yaml":
            text = entry.read_text(encoding="utf-8")
            found[name] = Preset(name, text.partition("\n")[0].removeprefix("#").strip(), text)
    return found


@dataclass(frozen=True)
class Source:
    """What a preset or a file says, read once.

    Attributes:
        raw: Its settings.
        place: What errors call it.
    """

    raw: dict[str, Any]
    place: str


def read_source(source: str | Path) -> Source:
    """Read a preset or a file for :func:`load_config`, whatever becomes of the file afterwards.

    Raises:
        ConfigError: if there is no such preset or file, or it is not YAML.
    """
    return _read(source, Config)


def load_config(
    source: str | Path | Source,
    overrides: Sequence[str] = (),
    *,
    values: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Config:
    """Return the configuration of a preset or a file, with single settings overridden.

    A file may start from a preset by ``preset: NAME`` and give only what differs. ``recipe: NAME`` (see
    :func:`recipes`) settles how the design is learned where nothing else is said; what is given nowhere has its
    default. A recipe in ``overrides`` or ``values`` wins over the file, as all of them do: of what the file itself says
    of codesign, task and training only the detector's regions, epochs, batch size and the machine's use stay. Relative
    paths in a file are taken from the file's folder, those in ``overrides`` and ``values`` from ``folder``.

    Args:
        source: A preset's name (see :func:`presets`), the path of a YAML file, or what one of them was read as.
        overrides: ``"training.epochs=5"`` and the like; an item of a list is named by its number:
            ``"devices.0.levels=4"``. A setting that is a text, such as a file's name, is all that follows the ``=``,
            unless that is in quotes as a whole; ``null`` is none. Other values are read as YAML.
        values: Settings that win over all of these, by their dotted keys, as they are.
        folder: Path of the folder that relative paths in them are taken from; the current one by default.

    Raises:
        ConfigError: if there is no such preset or file, it is not YAML, or a key or value does not fit.
    """
    return load_as(Config, source, overrides, values or {}, folder)


def load_as(
    schema: type[SchemaT],
    source: str | Path | Source,
    overrides: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> SchemaT:
    """Return what a file describes that has more sections than a configuration; see :func:`load_config`.

    Args:
        schema: Configuration with the sections that are added.
        source: As for :func:`load_config`.
        overrides: Likewise.
        values: Likewise.
        folder: Likewise.
    """
    given_as = source if isinstance(source, Source) else _read(source, schema)
    raw, place = copy.deepcopy(given_as.raw), given_as.place
    given = [*(_override(override, schema) for override in overrides), *(values or {}).items()]
    overridden = [key for key, _ in given]
    if "recipe" in overridden:
        raw = _without_recipe(raw)
    for key, value in given:
        _set(raw, key, copy.deepcopy(value), overridden)  # which later keys and paths may change
    _settle_paths(raw, Path.cwd() if folder is None else folder)
    if "recipe" in raw:
        said_at = "--set" if "recipe" in overridden else place
        raw = _merge(_content_of(recipes(), raw.pop("recipe"), "recipe", said_at), raw)
    return _checked(schema, raw, place, overridden)


def parse_config(raw: Any) -> Config:
    """Return the configuration that nested mappings describe, in the spelling of today or of version 0.1.0.

    Raises:
        ConfigError: for the first key or value that does not fit, and how many more there are.
    """
    return _checked(Config, migrate.migrate(raw, choices()) if isinstance(raw, Mapping) else raw, "", ())


def _checked(schema: type[SchemaT], raw: Any, place: str, overridden: Sequence[str]) -> SchemaT:
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        sentence, path = describe(error, schema, raw)
        if overridden and not path:
            place = ""
        elif any(f"{path}.".startswith(f"{key}.") or key.startswith(f"{path}.") for key in overridden):
            place = "--set"
        raise ConfigError(f"{place}: {sentence}" if place else sentence) from error


def _read(source: str | Path, schema: type[BaseModel]) -> Source:
    known = presets()
    path, name = checked_path(source, ConfigError, "the name of a preset or the path of a YAML file"), str(source)
    if name in known:
        return Source(_parsed(known[name].text, name), f"preset {name}")
    if path.is_dir():
        raise ConfigError(
            f"expected a preset or a YAML file, but {source} is a folder: a run's file is config.yaml in it"
        )
    if not path.exists():
        siblings = [str(file) for pattern in ("*.yaml", "*.yml") for file in path.parent.glob(pattern)]
        close = nearest(name, known) or nearest(str(path), siblings)
        hint = f" (did you mean {close}?)" if close else ""
        raise ConfigError(f"{source} is neither a preset nor a file{hint}: the presets are {', '.join(known)}")
    raw = migrate.migrate(_parsed(read_text(path, ConfigError, LARGEST), name, schema), choices(), name)
    if {"config", "search"} <= raw.keys():
        raise ConfigError(
            f"{name} is the file of a sweep, of which each trial is a training: use voltphase sweep {name}"
        )
    _settle_paths(raw, path.resolve().parent)
    if "preset" in raw:
        raw = _merge(_content_of(known, raw.pop("preset"), "preset", name), raw)
    return Source(raw, name)


def _content_of(known: Mapping[str, Preset], name: Any, what: str, place: str) -> dict[str, Any]:
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"{place}: expected {what} to be {enumerate_words(known)}, but got {yaml_shown(name)}")
    return _parsed(known[name].text, name)


def _parsed(text: str, place: str, schema: type[BaseModel] = Config) -> dict[str, Any]:
    raw = read_yaml(text, place, _kind_finder(schema))
    if raw is not None and not isinstance(raw, dict):
        raise ConfigError(f"{place}: expected a group of keys such as seed: 0, but got {yaml_shown(raw)}")
    return raw or {}


@cache
def choices() -> dict[str, Choice]:
    """Return what is chosen by name, by its dotted name."""
    found = ((key.path, variants_of(key.field)) for key in keys(Config))
    return {path: variants for path, variants in found if isinstance(variants, Choice)}


def current_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by their dotted names in today's spelling, as an earlier version may have kept them."""
    return migrate.migrate_settings(settings, choices())


@cache
def _kinds(schema: type[BaseModel], *registered: int) -> dict[str, Kind]:  # anew where something was registered since
    return kinds(schema)


def _kind_finder(schema: type[BaseModel]) -> Callable[[tuple[str, ...]], Kind]:
    known = _kinds(schema, *(len(choice.registry) for choice in choices().values()))
    return lambda path: known.get(migrate.renamed(".".join(step for step in path if not step.isdecimal())), "any")


def _without_recipe(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        section: {key: value for key, value in content.items() if key in _LEFT_BY_RECIPES[section]}
        if section in _LEFT_BY_RECIPES and isinstance(content, dict)
        else content
        for section, content in raw.items()
    }


def _merge(base: dict[str, Any], over: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    merged = copy.deepcopy(base)
    if "name" in over:
        _choose(merged, path, over["name"])
    for key, value in over.items():
        if value is not None and key in _EXCLUSIVE:
            merged.pop(_EXCLUSIVE[key], None)
        if value is not None and path == "device":
            for other in _SOURCES.get(key, ()):
                if other not in over:
                    merged.pop(other, None)
        if isinstance(value, Mapping) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value, f"{path}.{key}".lstrip("."))
        else:
            merged[key] = value
    return merged


def _choose(group: dict[str, Any], path: str, name: Any, kept: Sequence[str] = ()) -> None:
    """Remove from a group what is not of the entry that is chosen now; what was said of another is said no more."""
    choice = choices().get(path)
    if choice is not None and isinstance(name, str) and name in choice.models and choice.chosen(group) != name:
        for key in group.keys() - choice.models[name].model_fields:
            if f"{path}.{key}" not in kept:
                del group[key]


def _override(override: str, schema: type[BaseModel]) -> tuple[str, Any]:
    key, value = read_setting(override, _kind_finder(schema), "training.epochs=5")
    new = migrate.renamed(key)
    if new != key:
        advise(f"--set: {key} is called {new} now", migrate.OldSettingWarning)
    return new, value


def _set(raw: dict[str, Any], key: str, value: Any, overridden: Sequence[str]) -> None:
    *parents, last = key.split(".")
    at: Any = raw
    for depth, step in enumerate(parents):
        place = _place(at, step, key, ".".join(parents[:depth]))
        if isinstance(at, dict) and at.get(place) is None:
            at[place] = {}
        at = at[place]
    place = _place(at, last, key, ".".join(parents))
    if place == "name":
        _choose(at, ".".join(parents), value, overridden)
    at[place] = value
    if value is not None and parents and parents[0] in ("device", "devices") and last in _SOURCES:
        # What a device was otherwise, and only that: two sources that are set together are refused.
        for other in _SOURCES[last]:
            place = ".".join((*parents, other))
            if not any(f"{one}.".startswith(f"{place}.") for one in overridden):
                at.pop(other, None)
    if key in _EXCLUSIVE and value is not None:
        raw.pop(_EXCLUSIVE[key], None)


def _place(at: Any, step: str, key: str, where: str) -> Any:
    if isinstance(at, dict):
        return step
    if not isinstance(at, list):
        raise ConfigError(f"--set {key}: {where} holds no keys, it is {at!r:.60}")
    if not step.isdecimal() or len(step) > 9 or int(step) >= len(at):
        raise ConfigError(f"--set {key}: expected a number from 0 to {len(at) - 1} after {where}, but got {step!r}")
    return int(step)


def _settle_paths(raw: dict[str, Any], folder: Path) -> None:
    devices = raw.get("devices")
    each = [raw.get("device"), *(devices if isinstance(devices, list) else [])]
    optics = raw.get("optics")
    source = optics.get("source") if isinstance(optics, dict) else None
    if isinstance(optics, dict) and str(optics.get("panel")).endswith(PROFILE_SUFFIXES):  # others are names
        optics["panel"] = str(folder / checked_path(optics["panel"], ConfigError))
    each += mask_settings(optics)
    for section, key in [(raw.get("data"), "dir"), (source, "mask"), *((one, "file") for one in each)]:
        if isinstance(section, dict) and isinstance(section.get(key), str):
            section[key] = str(folder / checked_path(section[key], ConfigError))
