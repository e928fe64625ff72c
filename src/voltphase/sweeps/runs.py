"""The runs of an experiment: trainings, each named and described by what it changes."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from voltphase.config import HOW_IT_RUNS, Config, load_config
from voltphase.config.masks import mask_settings
from voltphase.training import build_devices
from voltphase.training.build import file_digests

Label = str | int | float


@dataclass(frozen=True)
class Run:
    """One training run of an experiment."""

    experiment: str
    labels: Mapping[str, Label]  # what tells it from its siblings: {"data": "mnist", "depth": 5, "seed": 0}
    system: str  # the configuration it starts from, as load_config takes it
    settings: Mapping[str, Any] = field(default_factory=dict)  # those that it changes, by dotted keys
    own_process: bool = False  # whether it is trained in a process of its own, which measuring memory needs

    @property
    def name(self) -> str:
        """File name of its result, without suffix: its labels, one after the other."""
        words = (value if isinstance(value, str) else f"{key}{_word(value)}" for key, value in self.labels.items())
        return "-".join(words).replace(" ", "-")

    @cached_property
    def config(self) -> Config:
        """All its settings."""
        overrides = [f"{key}={json.dumps(value)}" for key, value in self.settings.items() if value is not None]
        return load_config(self.system, overrides)

    @cached_property
    def device_digests(self) -> list[str]:
        """Digests of its devices and masks; see :func:`digests_of`."""
        return digests_of(self.config)

    @cached_property
    def devices(self) -> list[Any]:
        """What its devices are, on whatever machine; see :func:`devices_of`."""
        return devices_of(self.config, self.device_digests)

    @cached_property
    def digest(self) -> str:
        """A digest of all that decides how it ends; two entries with the same digest are one run."""
        return identity(self.config, self.devices)

    @property
    def former_digest(self) -> str:
        """What the digest was when that of a model's states was a part of it."""
        return identity(self.config, self.device_digests)

    def fits(self, words: Iterable[str], depth: int | None = None) -> bool:
        """Return whether each word is one of its labels or a pattern that its name matches, and the depth is its own.

        Words are labels (``mnist``, ``levels=8``) and patterns (``*lambda90*``).
        """
        labels = {key: _word(value) for key, value in self.labels.items()}
        own = {*labels.values(), *(f"{key}={value}" for key, value in labels.items())}
        fitting = all(word in own or fnmatch.fnmatchcase(self.name, word) for word in words)
        return fitting and (depth is None or self.config.optics.depth == depth)


def _word(value: Label) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def digests_of(config: Config) -> list[str]:
    """Return digests of the devices of all layers, of the mask in front of the source if it has one, and of others."""
    source = config.optics.source.build().mask
    masks = ([] if source is None else [source]) + config.optics.read_masks()
    return [one.digest for one in (*build_devices(config), *masks)]


def devices_of(config: Config, digests: Sequence[str]) -> list[Any]:
    """Return what the devices of a run are: for each layer the digest of a file's states, or the settings of a model.

    Args:
        config: Configuration of the run.
        digests: Its digests, as :func:`digests_of` returns them; those of masks stay as they are.
    """
    settings = [device.model_dump(mode="json", exclude_defaults=True) for device in config.layer_devices]
    layers = [digest or model for digest, model in zip(file_digests(config, digests), settings, strict=False)]
    return [*layers, *digests[len(settings) :]]


def identity(config: Config, devices: Sequence[Any]) -> str:
    """Return a digest of all that decides how training ends.

    Where data and tables lie, how the machine is used and who looks on do not count. Only what differs from the
    defaults does, so that a setting added to voltphase makes no finished run another one.
    """
    content = config.model_dump(exclude_defaults=True)
    content.get("data", {}).pop("dir", None)
    for key in HOW_IT_RUNS:
        content.get("training", {}).pop(key, None)
    for key in ("device", "devices"):
        content.pop(key, None)
    content.get("optics", {}).get("source", {}).pop("mask", None)
    for mask in mask_settings(content.get("optics")):
        mask.pop("file", None)
    for key in ("panel", "panel_pixels"):  # which settle the pitch, and nothing else
        content.get("optics", {}).pop(key, None)
    # A section of which nothing is left is one that was never given.
    given = {key: value for key, value in content.items() if value != {}}
    text = json.dumps([given, list(devices)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
