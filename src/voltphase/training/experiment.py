"""What defines an experiment: settings by their dotted names, and in which of them two experiments differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from voltphase.config import HOW_IT_RUNS, Config, current_settings

# Where the data lie, how the machine is used and who looks on are no part of the experiment: a run may go on elsewhere.
_PLACES: Final = ("data.dir", "device.file", "devices.file", "optics.source.mask")
_MASKS: Final = ("optics.distances.file", "optics.detectors.distances.file")
_NOT_THE_EXPERIMENT: Final = {*_PLACES, *_MASKS, *(f"training.{key}" for key in HOW_IT_RUNS)}


def settings(config: Config) -> dict[str, Any]:
    """Return what defines the experiment, by dotted names: not where the data lie, nor how the machine is used.

    Entries of a list have their numbers as names; of an empty list there is nothing.
    """
    return dict(_flattened(config.model_dump()))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each setting that differs, and its value in both; see :func:`settings`."""
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            yield key, _value(one, key), _value(other, key)


def unlike(config: Config, kept: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield in what a configuration differs from the settings that a summary has kept, as :func:`differences`.

    A setting that an earlier version did not know is not in its summaries, and has to be as it is unless it is given.

    Args:
        config: The configuration.
        kept: Settings by the names of the version that wrote them; none in summaries of old.
    """
    if not kept:
        return
    known, usual, now = current_settings(kept), settings(Config()), settings(config)
    found = {key: value for key, value in now.items() if key in known or _is_given(key, value, usual)}
    yield from differences(found, known)


def _is_given(key: str, value: Any, usual: Mapping[str, Any]) -> bool:
    """Return whether a setting that is not in a summary is no default, as far as that is the same for all choices."""
    listed = any(step.isdigit() for step in key.split("."))
    return (listed or key.startswith("optics.")) and value != usual.get(key)


def _value(found: Mapping[str, Any], key: str) -> Any:
    below = [value for name, value in found.items() if name.startswith(f"{key}.")]
    return found.get(key, below or None)


def _flattened(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if ".".join(step for step in path if not step.isdigit()) in _NOT_THE_EXPERIMENT:
        return
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _flattened(value, (*path, str(key)))
    else:
        yield ".".join(path), content
