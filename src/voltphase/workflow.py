"""The whole path in Python: train into a folder, load what was trained, deploy it, report on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from rich.console import Console

from voltphase import deployment, importing, training
from voltphase.config import Config, load_config
from voltphase.config.describe import config_of
from voltphase.core import checks
from voltphase.core.advice import once
from voltphase.core.display.card import card
from voltphase.core.errors import ConfigError, DataError, OutputError, VoltphaseError
from voltphase.core.files import atomic_directory, checked_path
from voltphase.core.words import counted
from voltphase.data import DATASETS, Data, ImageDataset, Images, dataset_of, given_datasets, load
from voltphase.deployment.targets import Target
from voltphase.devices import Device, DevicePanel, DeviceSpectrum
from voltphase.importing.finished import write_finished
from voltphase.network.donn import DONN
from voltphase.optics.paths import masks_in
from voltphase.training.build import test_images_of

if TYPE_CHECKING:
    from voltphase.training.loop import EpochMetrics

_NOTE: Final = """\
# Saved from Python: a loop of one's own trained this network. Its settings are those below, but for training, the
# schedule of the temperature and augmentation, which this file does not know: they stand at their defaults.
"""


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
        metric, epochs = self.model.task.metrics[0], self.summary["epochs"]
        images = self.summary.get("data", self.config.data.name)
        return (
            f"TrainedRun({str(self.path)!r}, test {metric.name} {metric.text(self.summary[metric.column('test')])}\n"
            f"  after {counted(epochs, 'epoch') if epochs else 'a training elsewhere'} on {images})"
        )

    def _repr_html_(self) -> str:
        values = {metric.column("test"): metric for metric in self.model.task.metrics}
        facts = {column.replace("_", " "): metric.text(self.summary[column]) for column, metric in values.items()}
        return card(str(self.path), facts) + self.model._repr_html_()

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
    what = "a configuration, the name of a preset or the path of a YAML file"
    checks.instance(config, (Config, str, PathLike), what)
    config = config if isinstance(config, Config) else load_config(config)
    console = Console(highlight=False, soft_wrap=True) if checks.flag(progress, "progress") else None
    # Taken apart once, for training and for the run.
    given = None if data is None else given_datasets(data, config.seed)
    training.train(config, out, data=given, resume=resume, overwrite=overwrite, console=console, watch=watch)
    return load_run(out, None if given is None else given["test"])


@once()
def save(model: DONN, out: str | Path, *, train: Images, test: Images) -> TrainedRun:
    """Write a network that was trained in a loop of one's own as the folder of a finished run, and return the run.

    Reports, deployment, verification and refinement then take it as any run. Its ``config.yaml`` says what the network
    is, with its devices' tables and its masks beside it, but nothing of how it was trained: ``metrics.csv`` has
    no epochs.

    Args:
        model: Trained network; it stays as it is, where it is.
        out: Path of the run folder to make.
        train: Images that it was trained on, a data set or ``(images, targets)``.
        test: Images to judge it by, likewise. Where both are the first images of a data set that its name says all of,
            the configuration names it; else they are to be given again, as those of a run on images given in Python.

    Raises:
        OutputError: if ``out`` exists already or cannot be written.
        ConfigError: if the network was never trained, or a configuration cannot describe it.
        DataError: if the images do not fit one another or the network.

    Warns:
        DataWarning: if a class has no image.

    Examples:
        >>> run = save(model, "runs/mine", train=(images, labels), test=test_set)  # doctest: +SKIP
        >>> deploy(run, "bench")  # doctest: +SKIP
    """
    out = checked_path(out, OutputError)
    if out.exists():
        raise OutputError(f"expected a new folder, but {out} exists already: choose another or remove it")
    datasets = given_datasets({"train": train, "test": test}, 0)
    named, devices = _named(datasets), [layer.device_states for layer in model.layers]
    with atomic_directory(out) as temporary:
        masks = _write_masks(model, temporary)
        config = config_of(model, _write_devices(devices, temporary), named or {}, *masks)
        _require_trained(model)  # behind what no training mends
        given = {} if named else {"data_given": True}
        write_finished(temporary, config, model, devices, datasets, note=_NOTE, about=given)
    return load_run(out, None if named else datasets["test"])


def import_design(folder: str | Path, out: str | Path, overrides: Sequence[str] = ()) -> TrainedRun:
    """Make a finished run of a design that somebody else made, and return the run.

    Args:
        folder: Folder with the maps, or the trained weights, and ``design.yaml``; see
            :func:`voltphase.importing.import_design`.
        out: Path of the run folder to make.
        overrides: Single settings in place of those in ``design.yaml``, such as ``"device.file=slm.csv"``.

    Raises:
        VoltphaseError: if the folder cannot be made, or the design is incomplete or does not fit.

    Examples:
        >>> run = import_design("lens", "runs/lens")  # doctest: +SKIP
        >>> deploy(run, "bench")  # doctest: +SKIP
    """
    importing.import_design(folder, out, overrides)
    return load_run(out)


def load_run(path: str | Path, test_set: Images | None = None) -> TrainedRun:
    """Return the run in a run folder.

    Args:
        path: Path of the run folder.
        test_set: Test images of a run that was trained on images given in Python, a data set or ``(images, labels)``;
            or all that were given to train in one piece, of which the run's ``test_set`` then has those held out.

    Raises:
        DataError: if the folder does not hold a finished run, or is damaged.

    Examples:
        >>> model, config, summary = load_run("runs/mine")  # doctest: +SKIP
    """
    path = checked_path(path, DataError)
    model, config, summary = training.load_run(path)
    tested = None if test_set is None else dataset_of(test_images_of(test_set, config, summary))
    return TrainedRun(path, model, config, summary, tested)


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
    what = "a trained network, a run or the path of a run folder"
    checks.instance(design, (TrainedRun, str, PathLike), what, error=DataError)
    path, known = (design.path, design.test_set) if isinstance(design, TrainedRun) else (design, None)
    return deployment.deploy_run(path, out, dataset=known if test_set is None else test_set, target=target)


def report(run: TrainedRun | str | PathLike[str], *, test_set: Images | None = None) -> Path:
    """Draw ``report.html`` into a run folder, in place of an earlier one, and return its path.

    Args:
        run: Run, or path of a run folder.
        test_set: Test images of a run that was trained on images given in Python, a data set or ``(images, labels)``;
            those of the run by default.

    Raises:
        DataError: if it is no finished run, is damaged, or its data set cannot be had.
        OutputError: if the report cannot be written.

    Examples:
        >>> run = load_run("runs/mine")  # doctest: +SKIP
        >>> report(run)  # doctest: +SKIP
        PosixPath('runs/mine/report.html')
    """
    from voltphase.reporting import write_report  # with matplotlib, which nothing else here needs

    checks.instance(run, (TrainedRun, str, PathLike), "a run or the path of a run folder", error=DataError)
    path, known = (run.path, run.test_set) if isinstance(run, TrainedRun) else (run, None)
    return write_report(str(path), test_set=known if test_set is None else test_set)


def _require_trained(model: DONN) -> None:
    if not model.readout.calibrated:
        raise ConfigError(
            "expected a trained network, but this one has never seen images in training mode, which set its readout's "
            "scale: train it, or call model.train()(images) once, or give its task a scale"
        )
    if bad := next((name for name, one in model.named_parameters() if not bool(one.isfinite().all())), None):
        raise ConfigError(
            f"expected a network of finite parameters, but {bad} has others: train it again, with a lower learning rate"
        )


def _named(datasets: dict[str, ImageDataset]) -> dict[str, Any] | None:
    """Return the section ``data`` that names the images, or None if a name would be that of others."""
    name, limits = datasets["train"].name, {}
    if name not in DATASETS:
        return None
    with suppress(VoltphaseError):  # of a data set with settings, or that is not where data are
        for split, given in datasets.items():
            whole = load(name, split, download=False)
            same = len(given) <= len(whole) and given.name == name
            first = whole.take(len(given)) if same else whole
            if not (same and torch.equal(first.images, given.images) and torch.equal(first.targets, given.targets)):
                return None
            limits |= {f"{split}_limit": len(given)} if len(given) < len(whole) else {}
        return {"name": name, **limits}
    return None


def _write_devices(devices: Sequence[Device], folder: Path) -> list[dict[str, Any]]:
    names: dict[str, str] = {}
    for device in devices:
        if device.digest not in names:
            panel = isinstance(device, DevicePanel | DeviceSpectrum)
            names[device.digest] = f"device-{len(names) + 1}" + ("" if panel else ".csv")
            device.save(folder / names[device.digest])
    return [{"file": names[device.digest], "levels": None} for device in devices]


def _write_masks(model: DONN, folder: Path) -> tuple[str | None, list[str]]:
    """Write the masks of a network; return the file of that of its source, if it has one, and those of the others."""
    source, between = model.source.light.mask, masks_in(model.layout.every_span)
    names = [f"mask-{number}.npy" for number in range(1, len(between) + 1)]
    for name, mask in [("source-mask.npy", source), *zip(names, between, strict=True)]:
        if mask is not None:
            np.save(folder / name, mask.values)
    return None if source is None else "source-mask.npy", names
