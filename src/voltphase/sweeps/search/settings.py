"""The file of a sweep: what is searched, on what, how, and what is best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from annotated_types import Ge, MinLen
from pydantic import Field, ValidationError

from voltphase.config import Config, Source, load_config, presets, read_source
from voltphase.core import checks
from voltphase.core.errors import ConfigError, VoltphaseError
from voltphase.core.files import checked_path, read_text
from voltphase.devices import load as load_device
from voltphase.settings.fields import Section
from voltphase.settings.keys import enumerate_words, keys
from voltphase.settings.messages import describe, nearest
from voltphase.settings.yaml_io import LARGEST, read_yaml
from voltphase.sweeps.runs import digests_of
from voltphase.sweeps.search.aims import Aim, parse_metric
from voltphase.sweeps.search.space import MOST_TRIALS, Dimension, Values, ends, grid, parse_search
from voltphase.training.build import file_digests, may_validate
from voltphase.training.experiment import settings

_Seed = Annotated[int, Ge(0)]
#: What decides which values are tried next.
Sampler = Literal["grid", "random", "tpe", "nsga2"]
# Settings below which devices and masks of files are named.
_WITH_FILES: Final = ("device", "optics.source", "optics.distances", "optics.detectors")


class SweepConfig(Section):
    """What a sweep's file holds.

    Attributes:
        config: Name of a preset, or path of a YAML file, that all trials start from.
        set: Settings that all trials share, by their dotted keys.
        search: Settings that are searched, each with its choices or its range.
        sampler: What decides which values are tried next.
        trials: Number of trials; null for all of a grid.
        seeds: Seeds that each trial is trained with, or how many of them, from the configuration's own on.
        metric: What is best, or two of them; a direction after each where that does not go without saying.
        prune: Whether a trial ends early that is worse than half of the others after as many epochs; null for where
            that can be done and is no grid.
        storage: ``sqlite`` or ``journal``, files of the sweep's folder, or the URL of a database.
    """

    config: str
    set: dict[str, Any] = Field(default={})
    search: dict[str, Any]
    sampler: Sampler = "tpe"
    trials: Annotated[int, Ge(1)] | None = None
    seeds: Annotated[int, Ge(1)] | Annotated[list[_Seed], MinLen(1)] = 1
    metric: str | list[str] | dict[str, Literal["maximize", "minimize"]] | None = None
    prune: bool | None = None
    storage: str = "sqlite"


@dataclass(frozen=True)
class Sweep:
    """A sweep that makes sense as a whole."""

    given: SweepConfig
    source: str  # what it is called in sentences
    folder: Path  # that its paths are named from
    data_dir: str | None

    @cached_property
    def dimensions(self) -> list[Dimension]:
        """What is searched."""
        return parse_search(self.given.search)

    @cached_property
    def grid(self) -> list[Values] | None:
        """The values of each trial of a grid; None for another sampler."""
        if self.given.sampler != "grid":
            return None
        points = grid(self.dimensions)
        return points[: self.given.trials]

    @cached_property
    def trials(self) -> int:
        """Number of trials."""
        if self.grid is not None:
            return len(self.grid)
        if self.given.trials is None:
            raise ConfigError(f"expected trials: how many, for sampler {self.given.sampler}, but it is not given")
        if self.given.trials > MOST_TRIALS:
            raise ConfigError(f"expected at most {MOST_TRIALS:,} trials, but got {self.given.trials}: lower it")
        return self.given.trials

    @cached_property
    def base(self) -> Config:
        """The configuration of the first values of all that is searched, or else the last."""
        first, last = ends(self.dimensions)
        try:
            return self.config_of(first)
        except ConfigError as error:
            try:
                return self.config_of(last)
            except ConfigError:
                raise error from None

    @cached_property
    def aims(self) -> list[Aim]:
        """What is best."""
        aims = parse_metric(self.given.metric, self.base, self.given.search)
        strange = [aim.name for aim in aims if aim.name.startswith("val_")]
        if strange and not self._validates:
            raise ConfigError(
                f"metric: expected images to validate with for {strange[0]}, but data.val_fraction is 0: set it, or "
                "choose another metric"
            )
        return aims

    @property
    def _validates(self) -> bool:
        """Whether there may be images to validate with: as far as can be known without the data."""
        return any(one.key.startswith("data.") for one in self.dimensions) or may_validate(self.base)

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that each trial is trained with."""
        seeds = self.given.seeds
        first = self.base.seed
        return list(range(first, first + seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))

    @property
    def prunes(self) -> bool:
        """Whether bad trials end early."""
        able = len(self.aims) == 1 and self.aims[0].of_epochs and self.base.training.epochs > 1
        if self.given.prune and not able:
            raise ConfigError(
                "expected one metric that each epoch has, and several epochs, for prune: true, but got "
                f"{enumerate_words([aim.name for aim in self.aims], 'and')} and {self.base.training.epochs} epochs: "
                "leave prune out"
            )
        return able and self.grid is None if self.given.prune is None else self.given.prune

    @cached_property
    def start(self) -> Source:
        """What all trials start from, as it was when the sweep was read."""
        config = self.given.config
        return read_source(config if config in presets() else self.folder / config)

    def config_of(self, values: Values, seed: int | None = None) -> Config:
        """Return the configuration with values of what is searched, and a seed.

        Raises:
            ConfigError: if they do not fit.
        """
        given = {**_flat(self.given.set), **values}
        given |= {} if seed is None else {"seed": seed}
        given |= {} if self.data_dir is None else {"data.dir": self.data_dir}
        try:
            return load_config(self.start, values=given, folder=self.folder)
        except ConfigError as error:
            raise ConfigError(str(error).removeprefix("--set: ").removeprefix("--set ")) from error

    def definition(self) -> dict[str, Any]:
        """Return all that makes a trial what it is: what joins a sweep has to have the same."""
        given = self.given
        content: dict[str, Any] = {
            "settings": settings(self.base),
            "search": given.search,
            "sampler": given.sampler,
            "seeds": self.seeds,
            "metric": {aim.name: aim.direction for aim in self.aims},
            "prune": self.prunes,
            "devices": self.tables(),
        }
        return json.loads(json.dumps(content))

    def tables(self) -> dict[str, list[str | None]]:
        """Return digests of the devices of files, None for a model, and of masks, with each choice that is searched.

        Raises:
            VoltphaseError: if a file of all trials cannot be read; what else is wrong a trial says of itself.
        """
        choices = {"": {}}
        for one in self.dimensions:
            if one.key.startswith(_WITH_FILES):
                choices |= {f"{one.key}={value}": {one.key: value} for value in one.choices or ()}
        first, found = ends(self.dimensions)[0], {}
        for name, values in choices.items():
            try:
                config = self.config_of({**first, **values})
                digests = digests_of(config)
            except VoltphaseError:
                if len(choices) == 1:
                    self._require_files()
                continue
            of_devices = file_digests(config, digests)
            found[name] = [*of_devices, *digests[len(of_devices) :]]
        return found

    def _require_files(self) -> None:
        """Refuse files of all trials that cannot be read."""
        for file in {device.file for device in self.base.layer_devices} - {None}:
            load_device(str(file))
        self.base.optics.source.build()
        self.base.optics.read_masks()


def read_sweep(given: str | PathLike[str] | Mapping[str, Any], data_dir: str | Path | None = None) -> Sweep:
    """Return a sweep as a file or a mapping describes it.

    Args:
        given: Path of a YAML file, or what one holds.
        data_dir: Folder of the data sets on this machine.

    Raises:
        ConfigError: if it cannot be read, a key or a value does not fit, or no trial could be trained.
    """
    raw, source, folder = _read(given)
    try:
        content = SweepConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{source}: {describe(error, SweepConfig, raw)[0]}") from error
    data = None if data_dir is None else str(checked_path(data_dir, ConfigError).resolve())
    sweep = Sweep(content, source, folder, data)
    try:
        _check_keys(sweep)
        _ = sweep.trials, sweep.prunes
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    return sweep


def _read(given: str | PathLike[str] | Mapping[str, Any]) -> tuple[dict[str, Any], str, Path]:
    what = "the path of a YAML file or a mapping of its keys"
    checks.instance(given, (str, PathLike, Mapping), what)
    if isinstance(given, Mapping):
        return _plain(given, ""), "sweep", Path.cwd()
    path = checked_path(given, ConfigError)
    if not path.is_file():
        found = "is no file" if path.exists() else "is not there"
        raise ConfigError(f"expected the YAML file of a sweep, but {path} {found}: check the path")
    raw = read_yaml(read_text(path, ConfigError, LARGEST), str(path))
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected keys such as config, search and trials, but got {checks.shown(raw)}")
    if not {"config", "search"} & raw.keys() and (
        of_training := raw.keys() & {"preset", "recipe", *Config.model_fields}
    ):
        raise ConfigError(
            f"{path}: expected keys such as config, search and trials, but got {checks.shown(min(of_training))}, as "
            "the configuration of a training has: name that as config in a sweep's file, or use voltphase train"
        )
    return raw, str(path), path.resolve().parent


def _plain(given: Any, where: str) -> Any:
    """Return what Python gives as a file would: without types that YAML has not."""
    if isinstance(given, Mapping):
        return {key: _plain(value, f"{where}.{key}" if where else str(key)) for key, value in given.items()}
    if isinstance(given, list | tuple | range | np.ndarray):
        return [_plain(value, where) for value in given]
    if isinstance(given, np.generic):
        return given.item()
    if isinstance(given, PathLike):
        return str(checked_path(given, ConfigError))
    if given is None or isinstance(given, bool | int | float | str):
        return given
    raise ConfigError(
        f"sweep: {where}: expected numbers, texts, true, false, null, or lists or groups of them, but got "
        f"{checks.shown(given)}: give what a YAML file could hold"
    )


def _check_keys(sweep: Sweep) -> None:
    """Refuse keys that no configuration has: a trial of each would say so."""
    known = {"recipe", *(key.path for key in keys(Config))}
    shared = _flat(sweep.given.set)
    for group, given in (("set", shared), ("search", sweep.given.search)):
        for key in given:
            plain = ".".join(step for step in key.split(".") if not step.isdigit())
            if plain not in known:
                close = nearest(plain, known)
                hint = f"did you mean {close}?" if close else "voltphase presets --settings names them all"
                raise ConfigError(f"{group}: there is no setting {key}: {hint}")
    if "seed" in sweep.given.search:
        raise ConfigError("search: expected no seed in it: seeds: 3 trains each trial three times and takes the mean")
    if both := [key for key in sweep.given.search if key in shared]:
        raise ConfigError(f"{both[0]}: expected it in set or in search, but it is in both: leave one out")
    before = list(shared)
    for key in sweep.given.search:
        if lost := [other for other in before if other.startswith(f"{key}.")]:
            raise ConfigError(
                f"search.{key}: expected no {lost[0]} in set, or before it in search, as each choice replaces all of "
                f"{key}: write it into the choices, or below"
            )
        before.append(key)


def _flat(group: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in group.items():
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, Mapping) else {f"{path}{key}": value}
    return flat
