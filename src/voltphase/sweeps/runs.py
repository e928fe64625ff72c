"""The runs of an experiment: trainings, each named and described by what it changes."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from voltphase.config import Config, load_config
from voltphase.training import build_devices

Label = str | int | float


@dataclass(frozen=True)
class Run:
    """One training run of an experiment.

    Attributes:
        experiment: Name of the experiment it belongs to.
        labels: What tells it from its siblings, such as ``{"data": "mnist", "depth": 5, "lambda": 1.8, "seed": 0}``.
        system: The configuration it starts from, see :func:`voltphase.config.load_config`.
        settings: The settings it changes, by dotted keys.
        own_process: Whether it is trained in a process of its own, which measuring memory needs.
    """

    experiment: str
    labels: Mapping[str, Label]
    system: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    own_process: bool = False

    @property
    def name(self) -> str:
        """File name of its result, without suffix: its labels, one after the other."""
        words = (value if isinstance(value, str) else f"{key}{_word(value)}" for key, value in self.labels.items())
        return "-".join(words).replace(" ", "-")

    @cached_property
    def config(self) -> Config:
        """All its settings.

        Raises:
            ConfigError: if one does not exist or does not fit.
        """
        overrides = [f"{key}={json.dumps(value)}" for key, value in self.settings.items() if value is not None]
        return load_config(self.system, overrides)

    @cached_property
    def device_digests(self) -> list[str]:
        """Digests of the devices of its layers.

        Raises:
            VoltphaseError: if its settings do not fit, or a device cannot be had.
        """
        return [states.digest for states in build_devices(self.config)]

    @cached_property
    def digest(self) -> str:
        """A digest of all that decides how it ends; two entries with the same digest are one run.

        Raises:
            VoltphaseError: if its settings do not fit, or a device cannot be had.
        """
        return identity(self.config, self.device_digests)

    def fits(self, words: Iterable[str], depth: int | None = None) -> bool:
        """Return whether each word is one of its labels or a pattern that its name matches, and the depth is its own.

        Args:
            words: Labels (``mnist``, ``levels=8``) and patterns (``*lambda90*``), all of which must fit.
            depth: Number of layers it must have; any number if None.

        Raises:
            ConfigError: if a depth is given and its settings do not fit.
        """
        labels = {key: _word(value) for key, value in self.labels.items()}
        own = {*labels.values(), *(f"{key}={value}" for key, value in labels.items())}
        fitting = all(word in own or fnmatch.fnmatchcase(self.name, word) for word in words)
        return fitting and (depth is None or self.config.optics.depth == depth)


def _word(value: Label) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def identity(config: Config, device_digests: Sequence[str]) -> str:
    """Return a digest of all that decides how training ends.

    Where data and tables lie and how the machine is used do not count. Only what differs from the defaults does, so
    that a setting added to voltphase makes no finished run another one.

    Args:
        config: All settings of a run.
        device_digests: Digests of the devices of its layers.
    """
    content = config.model_dump(exclude_defaults=True)
    for section, key in (("data", "dir"), ("training", "threads"), ("training", "accelerator")):
        content.get(section, {}).pop(key, None)
    for key in ("device", "devices"):
        content.pop(key, None)
    # A section of which nothing is left is one that was never given.
    given = {key: value for key, value in content.items() if value != {}}
    text = json.dumps([given, list(device_digests)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
