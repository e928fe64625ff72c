"""The whole path in Python: train into a folder, load what was trained, deploy it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from rich.console import Console

from voltphase import deployment, training
from voltphase.config import Config, load_config
from voltphase.core.advice import once
from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.core.words import counted
from voltphase.data import Data, ImageDataset, Images, dataset_of, given_datasets
from voltphase.deployment.targets import Target
from voltphase.network.donn import DONN
from voltphase.training.loop import EpochMetrics


@dataclass(frozen=True)
class TrainedRun:
    """A run folder with what was trained in it; it unpacks into the network, the configuration and the summary.

    Args:
        path: Path of the run folder.
        model: Trained network in evaluation mode.
        config: Configuration of the run.
        summary: Content of ``summary.json``.
        test_set: Test images, where they were given in Python; None where the configuration names them.
    """

    path: Path
    model: DONN
    config: Config
    summary: dict[str, Any]
    test_set: ImageDataset | None = None

    def __repr__(self) -> str:
        metric, images = self.model.task.metrics[0], self.summary.get("data", self.config.data.name)
        return (
            f"TrainedRun({str(self.path)!r}, test {metric.name} {metric.text(self.summary[metric.column('test')])}\n"
            f"  after {counted(self.summary['epochs'], 'epoch')} on {images})"
        )

    def __iter__(self) -> Iterator[Any]:
        return iter((self.model, self.config, self.summary))


@once()
def train(
    config: Config | str | Path,
    *,
    out: str | Path,
    data: Data | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    watch: Callable[[EpochMetrics], None] | None = None,
) -> TrainedRun:
    """Train a network into a run folder, and return the run.

    Args:
        config: Configuration, the name of a preset, or the path of a YAML file.
        out: Path of the run folder to make.
        data: Images to train on in place of the configuration's data set, such as ``(images, labels)``; see
            :func:`voltphase.training.train`.
        resume: Whether to continue an interrupted run.
        overwrite: Whether to replace a run that is there.
        progress: Whether to show what runs and a line for each epoch, and a bar in a terminal or a notebook.
        watch: Function that is called with the figures of each epoch.

    Raises:
        VoltphaseError: if something given does not fit, or training fails.

    Examples:
        >>> few = ["optics.depth=1", "training.epochs=1", "data.train_limit=100", "data.test_limit=20"]
        >>> run = train(load_config("digits", few), out="runs/few", progress=False)
        >>> sorted(path.name for path in run.path.iterdir())
        ['checkpoints', 'config.yaml', 'metrics.csv', 'model.safetensors', 'summary.json']
        >>> model, config, summary = load_run("runs/few")
        >>> config.optics.depth, summary == run.summary
        (1, True)
        >>> deploy(run, "bench").name
        'bench'
    """
    config = config if isinstance(config, Config) else load_config(config)
    # Taken apart once, for training and for the run.
    given = None if data is None else given_datasets(data, config.seed)
    console = Console(highlight=False, soft_wrap=True) if progress else None
    training.train(config, out, data=given, resume=resume, overwrite=overwrite, console=console, watch=watch)
    return load_run(out, None if given is None else given[1])


def load_run(path: str | Path, test_set: Images | None = None) -> TrainedRun:
    """Return the run in a run folder.

    Args:
        path: Path of the run folder.
        test_set: Test images of a run that was trained on images given in Python, a data set or ``(images, labels)``.

    Raises:
        DataError: if the folder does not hold a finished run, or is damaged.

    Examples:
        >>> model, config, summary = load_run("runs/mine")  # doctest: +SKIP
    """
    path = checked_path(path, DataError)
    return TrainedRun(path, *training.load_run(path), None if test_set is None else dataset_of(test_set))


def deploy(
    design: TrainedRun | DONN | str | PathLike[str],
    out: str | PathLike[str],
    *,
    target: str | Target = "slm-image",
    test_set: Images | None = None,
) -> Path:
    """Write the maps of the devices of a design, with all that is needed to rebuild and verify the system.

    Args:
        design: Run, path of a run folder, or trained network.
        out: Folder to make.
        target: Kind of thing to deploy to, by name or as an object.
        test_set: Images to verify the deployed system with, a data set or ``(images, labels)``; those of the run by
            default, and none for a network.

    Returns:
        The path ``out``.

    Raises:
        VoltphaseError: if the folder cannot be made, or the design cannot be deployed.

    Examples:
        >>> run = load_run("runs/mine")  # doctest: +SKIP
        >>> deploy(run, "bench")  # doctest: +SKIP
    """
    if isinstance(design, DONN):
        return deployment.deploy(design, out, dataset=test_set, target=target)
    path, known = (design.path, design.test_set) if isinstance(design, TrainedRun) else (design, None)
    return deployment.deploy_run(path, out, dataset=known if test_set is None else test_set, target=target)
