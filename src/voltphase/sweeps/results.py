"""What runs leave behind: a JSON file each, and how tables and figures look things up in them."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from voltphase.config import Config, parse_config
from voltphase.config.masks import mask_settings
from voltphase.core.errors import ConfigError, DataError, OutputError
from voltphase.core.files import checked_path, read_json
from voltphase.sweeps.runs import Label, Run, devices_of, identity
from voltphase.training.run_folder import Summary

WORK = ".work"


class ResultFolder:
    """A folder of results: ``EXPERIMENT/RUN.json``, and what is in progress below ``.work``."""

    def __init__(self, path: str | Path) -> None:
        self.path = checked_path(path, OutputError)
        self.work = self.path / WORK
        # Of each file what its time and size were, and whose result it was then.
        self._identities: dict[Path, tuple[tuple[int, ...], tuple[str | None, bool] | None]] = {}

    def file(self, run: Run) -> Path:
        """Return where the result of a run belongs."""
        return self.path / run.experiment / f"{run.name}.json"

    def state(self, run: Run) -> Literal["done", "to do", "damaged", "other device"]:
        """Return whether the file of the run's name is of this run, other settings, no result, or another's device."""
        own = read_result(self.file(run))
        if own is None:
            return "damaged" if self.file(run).exists() else "to do"
        if _identity(own) == (run.digest, run.own_process):
            return "done"
        return "to do" if _devices(own) == run.devices else "other device"

    def read(self, run: Run) -> dict[str, Any] | None:
        """Return the result under the run's name, if it is of these settings, whatever the device's states."""
        own = read_result(self.file(run))
        settings = None if own is None else _config(own)
        return own if settings is not None and identity(settings, []) == identity(run.config, []) else None

    def same_run(self, run: Run) -> dict[str, Any] | None:
        """Return the result of this very run under whatever name, as two experiments may have a run in common."""
        there = (path for path in sorted(self.path.glob("*/*.json")) if path.parent.name != WORK)
        same = (path for path in there if self._identity(path) == (run.digest, run.own_process))
        return next((result for path in same if (result := read_result(path)) is not None), None)

    def _identity(self, path: Path) -> tuple[str | None, bool] | None:
        """Return what tells a result from others; a file that has not changed since is not read again."""
        with suppress(OSError):  # removed in between
            about = path.stat()
            version = (about.st_mtime_ns, about.st_size, about.st_ino)
            if self._identities.get(path, (None, None))[0] != version:
                self._identities[path] = (version, _identity(read_result(path)))
            return self._identities[path][1]
        return None

    def outcomes(self, runs: Iterable[Run]) -> Outcomes:
        """Return the runs with their results, as far as there are any."""
        return Outcomes(Outcome(run, self.read(run)) for run in runs)


class _Summary(Summary):
    test_accuracy: float
    train_accuracy: float


class _Deployed(BaseModel):
    accuracy: float | None


class _Result(BaseModel):
    """What a result holds at least: somebody may have edited it."""

    config: dict[str, Any]
    summary: _Summary
    devices: list[str]
    accuracy_when_cut: dict[str, float]
    deployed: _Deployed
    measured: dict[str, Any]
    finishing_seconds: float
    epochs: list[dict[str, float]]


def read_result(path: Path) -> dict[str, Any] | None:
    """Return what a result's file holds; None if there is none, or it is damaged."""
    try:
        content = read_json(path, DataError)
        _Result.model_validate(content)
    except (DataError, ValidationError):
        return None
    return content


def _identity(content: dict[str, Any] | None) -> tuple[str | None, bool] | None:
    if content is None:
        return None
    config = _config(content)
    settings = None if config is None else identity(config, _devices(content))
    return settings, content.get("own_process", False)


def _devices(content: dict[str, Any]) -> list[Any]:
    summary, config = content["summary"], _config(content)
    masks = ([summary["mask"]] if "mask" in summary else []) + summary.get("masks", [])
    digests = [device["digest"] for device in summary["devices"]] + masks
    return digests if config is None else devices_of(config, digests)


def _config(content: dict[str, Any]) -> Config | None:
    try:
        # Settings that came after a result was kept have their defaults in it: parsing fills them in.
        return parse_config(content["config"])
    except ConfigError:
        return None


def public_settings(config: Config) -> dict[str, Any]:
    """Return all settings, without where on this machine data and tables lie."""
    content = config.model_dump()
    content["data"]["dir"] = None
    optics = content["optics"]
    for one in [content.get("device"), *(content.get("devices") or []), *mask_settings(optics)]:
        if one and one.get("file"):
            one["file"] = Path(one["file"]).name
    source = optics["source"]
    if source["mask"]:
        source["mask"] = Path(source["mask"]).name
    return {key: value for key, value in content.items() if value is not None}


class Outcome(NamedTuple):
    """A run and, if it is finished, its result: what its JSON file holds."""

    run: Run
    result: dict[str, Any] | None


class Outcomes(list[Outcome]):
    """Runs with their results, in the order in which tables show them, to choose from by label."""

    def where(self, **labels: Label) -> Outcomes:
        """Return those with these labels; ``lambda_`` stands for the label ``lambda``."""
        wanted = {key.rstrip("_"): value for key, value in labels.items()}
        return Outcomes(one for one in self if all(one.run.labels.get(k) == v for k, v in wanted.items()))

    def distinct(self, label: str) -> list[Any]:
        """Return the values of a label, in the order they come."""
        return list(dict.fromkeys(one.run.labels[label] for one in self if label in one.run.labels))

    def by(self, *labels: str) -> Iterator[tuple[Any, ...]]:
        """Yield the outcomes of each combination of values, after the values: ``for data, depth, here in …``."""
        for values in itertools.product(*map(self.distinct, labels)):
            yield *values, self.where(**dict(zip(labels, values, strict=True)))

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results there are, of runs that are finished."""
        return [one.result for one in self if one.result is not None]

    def numbers(self, *path: str) -> list[float]:
        """Return one number of each result that has it, found under the keys ``path``."""
        found = []
        for result in self.results:
            at: Any = result
            for key in path:
                at = at.get(key) if isinstance(at, dict) else None
            if isinstance(at, int | float):
                found.append(float(at))
        return found

    def mean(self, *path: str) -> float | None:
        """Return the mean of a number over the results; None if there is none."""
        numbers = self.numbers(*path)
        return statistics.fmean(numbers) if numbers else None

    def spread(self, *path: str) -> float | None:
        """Return the standard deviation of a number over the results; None if there are fewer than two."""
        numbers = self.numbers(*path)
        return statistics.stdev(numbers) if len(numbers) > 1 else None
