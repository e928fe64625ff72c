"""What cells leave behind: a JSON file each, and how tables and figures look things up in them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from voltphase.config import Config, parse_config
from voltphase.core.errors import ConfigError, DataError, OutputError
from voltphase.core.files import checked_path, read_json
from voltphase.sweeps.runs import Cell, Label, identity

WORK = ".work"


class ResultFolder:
    """The results of a preset: ``EXPERIMENT/CELL.json``, and what is in progress below ``.work``.

    Raises:
        OutputError: if there can be no such path.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = checked_path(path, OutputError)
        self.work = self.path / WORK

    def file(self, cell: Cell) -> Path:
        """Where the result of a cell belongs."""
        return self.path / cell.experiment / f"{cell.name}.json"

    def damaged(self, cell: Cell) -> bool:
        """Whether there is a file under the cell's name that is no result."""
        return self.file(cell).exists() and _read(self.file(cell)) is None

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """The result under the cell's name, if it can be read and is of these settings, whatever the device's states.

        Raises:
            ConfigError: if the cell is not configured as it can be.
        """
        own = _read(self.file(cell))
        return own if own is not None and _settings(own, []) == identity(cell.config, []) else None

    def finished(self, cell: Cell) -> bool:
        """Whether the result under the cell's name is of this very run, and not of one that was configured otherwise.

        Raises:
            VoltphaseError: if the cell is not configured as it can be, or a device cannot be had.
        """
        own = _read(self.file(cell))
        return own is not None and _is_of(own, cell)

    def other_devices(self, cell: Cell) -> list[str]:
        """What the result under the cell's name was made with if that is not the cell's own; empty if there is none.

        Raises:
            VoltphaseError: as ``finished`` does.
        """
        own = _read(self.file(cell))
        return [] if own is None or _device_digests(own) == cell.device_digests else own["devices"]

    def same_run(self, cell: Cell) -> dict[str, Any] | None:
        """The result of this very run under whatever name, as two experiments may have a cell in common."""
        everything = (_read(path) for path in sorted(self.path.glob("*/*.json")) if path.parent.name != WORK)
        return next((one for one in everything if one is not None and _is_of(one, cell)), None)

    def outcomes(self, cells: Iterable[Cell]) -> Outcomes:
        """The cells with their results, as far as there are any."""
        return Outcomes([Outcome(cell, self.read(cell)) for cell in cells])


class _DeviceContent(BaseModel):
    digest: str


class _HardwareContent(BaseModel):
    gpu: str | None = None
    processor: str = ""
    threads: int = 0


class _VersionsContent(BaseModel):
    torch: str


class _SummaryContent(BaseModel):
    test_accuracy: float
    train_accuracy: float
    epochs: int
    seconds: float
    hardware: _HardwareContent
    versions: _VersionsContent
    commit: str | None
    devices: list[_DeviceContent]


class _DeployedContent(BaseModel):
    accuracy: float | None


class _Content(BaseModel):
    """What a result holds at least: somebody may have edited it."""

    config: dict[str, Any]
    summary: _SummaryContent
    devices: list[str]
    accuracy_when_cut: dict[str, float]
    deployed: _DeployedContent
    measured: dict[str, Any]
    finishing_seconds: float
    epochs: list[dict[str, float]]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = read_json(path, DataError)
        _Content.model_validate(content)
    except (DataError, ValidationError):
        return None
    return content


def _is_of(content: dict[str, Any], cell: Cell) -> bool:
    if content.get("own_process", False) != cell.own_process:
        return False
    return _settings(content, _device_digests(content)) == cell.digest


def _device_digests(content: dict[str, Any]) -> list[str]:
    return [device["digest"] for device in content["summary"]["devices"]]


def _settings(content: dict[str, Any], device_digests: Sequence[str]) -> str | None:
    """The identity of a result's settings and these devices; None if they are not of today."""
    try:
        # Settings that came after a result was kept have their defaults in it: parsing fills them in.
        return identity(parse_config(content["config"]), device_digests)
    except ConfigError:
        return None


def public_settings(config: Config) -> dict[str, Any]:
    """All settings, without where on this machine data and tables lie."""
    content = config.model_dump()
    content["data"]["dir"] = None
    for device in [content.get("device"), *(content.get("devices") or [])]:
        if device and device.get("file"):
            device["file"] = Path(device["file"]).name
    return {key: value for key, value in content.items() if value is not None}


@dataclass(frozen=True)
class Outcome:
    """A cell and, if it was run, its result."""

    cell: Cell
    result: dict[str, Any] | None


class Outcomes(Sequence[Outcome]):
    """Cells with their results, to choose from by label."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = list(outcomes)

    def __getitem__(self, index: Any) -> Any:
        return self._outcomes[index]

    def __len__(self) -> int:
        return len(self._outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self._outcomes)

    def where(self, **labels: Label) -> Outcomes:
        """Those with these labels; ``lambda_`` stands for the label ``lambda``."""
        wanted = {key.rstrip("_"): value for key, value in labels.items()}
        return Outcomes([one for one in self if all(one.cell.labels.get(k) == v for k, v in wanted.items())])

    def distinct(self, label: str) -> list[Any]:
        """The values of a label, in the order they come."""
        return list(dict.fromkeys(one.cell.labels[label] for one in self if label in one.cell.labels))

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results there are."""
        return [one.result for one in self if one.result is not None]

    def numbers(self, *path: str) -> list[float]:
        """One number of each result, found under keys ``path``, where it is there."""
        found = []
        for result in self.results:
            at: Any = result
            for key in path:
                at = at.get(key) if isinstance(at, dict) else None
            if isinstance(at, int | float):
                found.append(float(at))
        return found

    def mean(self, *path: str) -> float | None:
        """The mean of a number over the results, None if there is none."""
        numbers = self.numbers(*path)
        return statistics.fmean(numbers) if numbers else None

    def spread(self, *path: str) -> float | None:
        """The standard deviation of a number over the results, None if there are fewer than two."""
        numbers = self.numbers(*path)
        return statistics.stdev(numbers) if len(numbers) > 1 else None
