"""Settings as version 0.1.0 spelled them, in today's spelling.

It kept the settings of all relaxations in one group, and those of all schedules, whichever was chosen: what is not of
the one that is chosen has no meaning, and is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, VoltphaseWarning
from voltphase.settings.fields import Choice
from voltphase.settings.keys import content_at

# Dotted names of then, and those of now.
_RENAMED: Final = {"readout": "task", "training.loss": "task.loss"}
# What each setting of another relaxation or schedule could be, and changed nothing.
_IDLE: Final[dict[str, dict[str, Callable[[str, Any], bool]]]] = {
    "codesign.relaxation": {
        "hard": lambda name, value: name != "reinmax" or value is True,
        "mix": lambda name, value: name != "proximity" or value == "complex",
        "nearest": lambda name, value: value == "control",
        "order": lambda name, value: value is None,
        "spread": lambda name, value: value is False,
    },
    "codesign.schedule": {
        "start": lambda name, value: True,
        "end": lambda name, value: True,
        "temperatures": lambda name, value: value is None,
        "shares": lambda name, value: value is None,
    },
}
# A file with all of these was written by voltphase.
_WRITTEN: Final = {"seed", "data", "optics", "codesign", "training"}


class OldSettingWarning(VoltphaseWarning):
    """A setting in the spelling of an earlier version, which still works."""


def renamed(key: str) -> str:
    """Return today's dotted name of a setting."""
    for old, new in _RENAMED.items():
        if key == old or key.startswith(f"{old}."):
            return new + key.removeprefix(old)
    return key


def migrate(raw: Mapping[str, Any], choices: Mapping[str, Choice], place: str = "") -> dict[str, Any]:
    """Return nested settings in today's spelling.

    With the ``place`` that they come from, what is spelled otherwise today is warned of, but in a file that voltphase
    itself wrote.

    Raises:
        ConfigError: if a setting is there in both spellings, with different values.
    """
    settings, said = copy.deepcopy(dict(raw)), []
    for old, new in _RENAMED.items():
        *parents, last = old.split(".")
        group = content_at(settings, parents)
        if isinstance(group, dict) and last in group:
            _put(settings, old, new, group.pop(last), f"{place}: " if place else "")
            said.append(f"{old} is called {new} now")
    for path in _IDLE:
        group = content_at(settings, path.split("."))
        for key in _without_effect(path, group, choices[path]) if isinstance(group, dict) else ():
            del group[key]
            said.append(f"{path}.{key} has no effect with {choices[path].chosen(group)} and is left out")
    if said and place and not raw.keys() >= _WRITTEN:
        advise(f"{place}: {'; '.join(said)}", OldSettingWarning)
    return settings


def migrate_settings(settings: Mapping[str, Any], choices: Mapping[str, Choice]) -> dict[str, Any]:
    """Return settings by their dotted names in today's spelling, as run summaries and checkpoints hold them."""
    kept = {renamed(key): value for key, value in settings.items()}
    for path in _IDLE:
        group = {key.removeprefix(f"{path}."): value for key, value in kept.items() if key.startswith(f"{path}.")}
        for key in _without_effect(path, group, choices[path]):
            del kept[f"{path}.{key}"]
    return kept


def _without_effect(path: str, group: Mapping[str, Any], choice: Choice) -> list[str]:
    name, idle = choice.chosen(group), _IDLE[path]
    known = choice.models[name].model_fields if name in choice.models else group
    return [key for key, value in group.items() if key not in known and key in idle and idle[key](name, value)]


def _put(settings: dict[str, Any], old: str, new: str, value: Any, place: str) -> None:
    *parents, last = new.split(".")
    for step in parents:
        settings = settings.setdefault(step, {})
        if not isinstance(settings, dict):
            return  # what is there is refused as it is
    _join(settings, last, value, (old, new), place)


def _join(group: dict[str, Any], key: str, value: Any, names: tuple[str, str], place: str) -> None:
    there = group.setdefault(key, value)
    if isinstance(value, dict) and isinstance(there, dict):
        for below, one in value.items():
            _join(there, below, one, (f"{names[0]}.{below}", f"{names[1]}.{below}"), place)
    elif there != value:
        raise ConfigError(
            f"{place}{names[0]} is called {names[1]} now, and expected to be the same as that, but they are "
            f"{checks.shown(value)} and {checks.shown(there)}: leave out {names[0]}"
        )
