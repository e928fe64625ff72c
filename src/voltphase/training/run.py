"""Training a network into a run folder, and loading it from there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from voltphase.config import Config
from voltphase.config.panels import check_panel
from voltphase.core import checks
from voltphase.core.advice import once
from voltphase.core.dtypes import readable_precision
from voltphase.core.errors import ConfigError, DataError, OutputError, VoltphaseError
from voltphase.core.files import write_json
from voltphase.core.installed import triton_obstacle
from voltphase.data import Data, ImageDataset
from voltphase.devices import Device
from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.optics.masks import Mask
from voltphase.tasks import Task, readout_of
from voltphase.training.batches import Augmentation, ImageBatches, targets_move
from voltphase.training.build import (
    as_settled,
    as_started,
    build_devices,
    build_model,
    load_datasets,
    settled_by_data,
)
from voltphase.training.checkpoint import Checkpoints, read_checkpoint
from voltphase.training.device_notes import note_devices, show_choice
from voltphase.training.estimate import check_training
from voltphase.training.loop import EpochMetrics, TrainingModule, lightning, make_trainer
from voltphase.training.progress import Recorder, quiet_lightning
from voltphase.training.provenance import data_notes, summary_of
from voltphase.training.run_folder import RunFolder, settings
from voltphase.training.watching.watcher import Watcher
from voltphase.training.weights import read_model, restore, save_model


@once()
def train(
    config: Config,
    out: str | Path,
    *,
    data: Data | None = None,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
    watch: Callable[[EpochMetrics], None] | None = None,
) -> dict[str, Any]:
    """Train what a configuration describes and leave everything about it in a folder.

    The states after the last epoch are the result: the test images are watched, or those to validate with if there are
    some, never used to stop or to choose.

    Args:
        config: What to train and how.
        out: Path of the run folder; see :class:`RunFolder` for its files.
        data: Images in place of the configuration's data set: ``(images, targets)`` or a data set, of torch too, of
            which a fifth of each class, drawn by the seed, is held out as test images; or two of these to train and to
            test with, as a pair or as ``{"train": ..., "test": ...}``, with ``"val"`` for images to validate with.
        resume: Continue an interrupted run from its last whole epoch, to the result it would have had. A run that is
            finished already is left as it is, if its devices are those of ``config``.
        overwrite: Replace a run that is there.
        console: Console to show progress on; nothing is shown without one.
        watch: Called with the figures of each epoch once they are kept. A KeyboardInterrupt it raises ends training as
            Ctrl-C does, and nothing is lost.

    Returns:
        What ``summary.json`` holds: the task's metrics, such as ``test_accuracy`` and ``train_accuracy``, of the
        deployed states, or of continuous phases where ``deployable`` is false; the ``test_light_share`` of the input's
        light that the readout counts and the ``test_contrast_margin`` of the brightest answer over the second;
        ``seed``, all ``settings``, ``epochs``, ``seconds`` and, of the epochs since training began or was resumed,
        ``host_seconds``, which went neither into steps nor into answering test images; of each layer's device the
        ``notes`` on its table, if there are any, and for the baselines that fit a response to it, the ``response``'s
        order and root mean square errors at the states; the ``backend``, ``precision`` and ``engines`` that ran, and
        whether steps were a ``cuda_graph``; where several were ``trained_together`` on a GPU, how many, as its
        ``seconds`` are not its own then; and where and with what it was made.

    Raises:
        VoltphaseError: if something given does not fit; before training where it can be known before.
        TrainingError: if training diverges; the epochs before are kept, and ``resume`` comes to the same end.
        KeyboardInterrupt: if interrupted; every whole epoch is kept for ``resume``.
    """
    check_call([config], resume, overwrite, console, watch)
    ready = prepare(config, out, data=data, resume=resume, overwrite=overwrite)
    if not isinstance(ready, ReadyRun):
        return ready
    with ready.writing(console):
        _fit_alone(ready, Recorder(ready.folder, console, watch))
        return ready.finish()


def check_call(configs: Sequence[Config], resume: bool, overwrite: bool, console: object, watch: object) -> None:
    """Refuse what a training could not begin or go on with, before anything is done; for arguments see `train`."""
    for config in configs:
        checks.instance(config, Config, "a configuration", advice="read one with voltphase.load_config")
    checks.flag(resume, "resume")
    checks.flag(overwrite, "overwrite")
    if console is not None:
        checks.instance(console, Console, "a Console of rich or None")
    if watch is not None:
        checks.function(watch, "watch")


@dataclass(eq=False)
class ReadyRun:
    """A training that was found to be possible, and has written nothing yet."""

    config: Config
    made_of: Config  # the same, with the devices that it was started with
    folder: RunFolder
    module: TrainingModule
    datasets: Mapping[str, ImageDataset]
    devices: Sequence[Device]
    notes: Sequence[list[str]]  # on each device
    asked: Task  # before the data settled some of it
    checkpoint: dict[str, Any] | None
    data_given: bool
    start: Mapping[str, bool]  # whether to resume or to overwrite
    watcher: Watcher

    @contextmanager
    def writing(self, console: Console | None) -> Iterator[None]:
        """Hold the folder, for a training in the block, and say what is trained."""
        with self.folder.writing(self.config, **self.start), cpu_threads(self.config.training.threads):
            self.watcher.console = console
            if console is not None:
                show_choice(self.made_of, console)
                for line in _opening(self.config, self.module.model, self.datasets, self.asked):
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
            yield

    def fit(self, recorder: Recorder) -> None:
        """Train to the end of the last epoch.

        Raises:
            TrainingError: if training diverges.
            DataError: if the checkpoint to go on from is one that Lightning does not take.
            SystemExit: if interrupted, in the main thread.
        """
        accelerator, checkpoint = accelerator_of(self.config), self.checkpoint
        callbacks = [recorder, self.watcher]  # which logs what the recorder has kept
        trainer = make_trainer(accelerator, Checkpoints(checkpoint), max_epochs=self.module.epochs, callbacks=callbacks)
        self.module.train()
        try:
            # The name is for Lightning's log only: what was read and checked is what it is given.
            trainer.fit(self.module, ckpt_path="checkpoint" if checkpoint is not None else None, weights_only=True)
        except Exception as error:
            if checkpoint is None or recorder.started or isinstance(error, VoltphaseError):
                raise
            raise DataError(
                f"expected a checkpoint that can be gone on with in {recorder.folder.path}, but Lightning "
                f"{lightning.__version__} does not take it: start again with --overwrite"
            ) from error

    def finish(self) -> dict[str, Any]:
        """Write what a finished run leaves beside its epochs, and return the summary."""
        trained = _trained(self.module)
        summary = summary_of(self.config, self.module.model, self.datasets, self.devices, self.notes, trained)
        summary |= ({"data_given": True} if self.data_given else {}) | self.watcher.noted
        # A run cut off between its last checkpoint and metrics lacks a row.
        self.folder.write_metrics(self.module.history)
        save_model(self.module.model, self.folder.model_file)
        write_json(self.folder.summary_file, summary)
        return summary


def prepare(
    config: Config,
    out: str | Path,
    *,
    data: Data | None = None,
    resume: bool = False,
    overwrite: bool = False,
    datasets_of: Callable[[Config, Data | None], dict[str, ImageDataset]] | None = None,
) -> ReadyRun | dict[str, Any]:
    """Return a training that may begin, or the summary of a run that is finished already; for arguments see `train`.

    Raises:
        VoltphaseError: if it may not.
    """
    folder = RunFolder(out, OutputError)
    folder.check(config, resume=resume, overwrite=overwrite)
    watcher = Watcher(folder, config)
    resume = resume and folder.config_file.is_file()
    finished, checkpoint, started_with = _left_by(folder, config) if resume else (None, None, None)
    _require_same_data(folder, checkpoint, data)
    made_of = config if started_with is None else as_started(config, started_with)
    devices, light = build_devices(made_of), config.optics.source.build()
    check_panel(config.optics, devices)
    light.beam(Grid(config.optics.sizes[0], config.optics.pitches[0]))  # light that does not fit is found at once, too
    digests = [device.digest for device in devices]
    if started_with not in (None, digests):
        raise ConfigError(
            f"expected the devices that {folder.path} was started with, but a device's table has changed since: "
            "restore it, or start again with --overwrite"
        )
    _require_same_mask(folder, finished or checkpoint, light.mask)
    if finished is not None:
        return finished
    notes = note_devices(made_of)
    accelerator = accelerator_of(config)
    on_gpu = accelerator == "cuda"
    asked = config.task.build()
    readout_of(asked, config.optics.sizes[-1])  # regions that do not fit are found before data are downloaded
    datasets = (datasets_of or load_datasets)(config, data)
    task = asked.for_data(datasets["train"].classes, datasets["train"].targets)
    model = build_model(config, devices, datasets["train"].image_shape, task=task, light=light, for_gpu=on_gpu)
    check_training(model, datasets["train"].images, config.training.batch_size, on_gpu=on_gpu)
    about = {"devices": digests, "settings": settings(config), "data_given": data is not None}
    about |= {} if light.mask is None else {"mask": light.mask.digest}
    # Its back end is to say where the network is.
    module = _module(config, model.to(accelerator), datasets, about)
    start = {"resume": resume, "overwrite": overwrite}
    return ReadyRun(
        config, made_of, folder, module, datasets, devices, notes, asked, checkpoint, data is not None, start, watcher
    )


def load_run(path: str | Path) -> tuple[DONN, Config, dict[str, Any]]:
    """Return the trained network of a run folder in evaluation mode, its configuration and its summary.

    Nothing but the folder is needed: the device tables and the mask of the source are in ``model.safetensors``.

    Args:
        path: Path of the folder of a finished run.

    Raises:
        DataError: if the folder is no finished run, is damaged, or its files contradict each other.
    """
    folder = RunFolder(path)
    config = folder.read_config()
    if config.data.dir is not None and not Path(config.data.dir).is_dir():
        # The data have moved since the run was trained: they are where data are by default, or nowhere.
        config = config.model_copy(update={"data": config.data.model_copy(update={"dir": None})})
    summary = folder.read_summary(config.task.build().metrics)
    stored = read_model(folder.model_file)
    if len(stored.devices) != config.optics.depth:
        raise DataError(
            f"expected {folder.model_file} to hold {config.optics.depth} layers as its config.yaml says, "
            f"but it holds {len(stored.devices)}: one of them is of another run"
        )
    task = as_settled(config.task.build(), summary.get("task", {}), folder.summary_file)
    masked = config.optics.source.mask is not None
    if masked != (stored.mask is not None):
        raise DataError(
            f"expected {folder.model_file} to hold {'a mask' if masked else 'no mask'} as its config.yaml says, but it "
            f"holds {'none' if masked else 'one'}: one of them is of another run"
        )
    light = config.optics.source.build(stored.mask)
    model = build_model(config, stored.devices, stored.image_shape, task=task, light=light)
    restore(model, stored.parameters, folder.model_file)
    folder.check_settings(config, summary)
    return model.eval(), config, summary


def _augmentation(config: Config) -> Augmentation | None:
    asked = Augmentation(**config.training.augmentation.model_dump())
    return None if asked == Augmentation() else asked


def _module(config: Config, model: DONN, datasets: Mapping[str, ImageDataset], about: dict[str, Any]) -> TrainingModule:
    batch_size = config.training.batch_size
    watched = "val" if "val" in datasets else "test"
    module: TrainingModule
    module = TrainingModule(
        model,
        config.training,
        config.codesign.schedule.build(),
        ImageBatches(
            datasets["train"],
            batch_size,
            seed=config.seed,
            epoch=lambda: module.current_epoch,
            augmentation=_augmentation(config),
        ),
        ImageBatches(datasets[watched], batch_size),
        watched=watched,
        temperature_per_epoch=config.codesign.schedule.per == "epoch",
        about=about,
    )
    return module


def _opening(config: Config, model: DONN, datasets: Mapping[str, ImageDataset], asked: Task) -> list[str]:
    """Return what is said before training begins."""
    settled = ", ".join(f"{name} {value}" for name, value in settled_by_data(model.task, asked).items())
    task = [f"task, as the data say: {settled}"] if settled else []
    pictures = datasets["train"].targets.ndim > 2 and _augmentation(config) is not None
    moves, size = targets_move(datasets["train"]), "complex or of another size"
    words = "moves target pictures with their images" if moves else f"leaves target pictures, {size}, as they are"
    told = [f"training.augmentation {words}"] * pictures
    return [*data_notes(datasets), *told, *task, model.explain().summary]


def _fit_alone(ready: ReadyRun, recorder: Recorder) -> None:
    main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main_thread else None
    with quiet_lightning(), readable_precision(), same_gpu(accelerator_of(ready.config)):
        try:
            ready.fit(recorder)
        except SystemExit as error:
            # Lightning turns Ctrl-C and SIGTERM into an exit of its own, with Ctrl-C ignored from then on.
            raise KeyboardInterrupt from error
        finally:
            if main_thread:
                signal.signal(signal.SIGINT, handler)


def _left_by(
    folder: RunFolder, config: Config
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, list[str] | None]:
    """Return what a run has left to go on from: its summary, its checkpoint, and the digests of its devices."""
    if folder.finished:
        epochs = folder.read_summary(config.task.build().metrics)["epochs"]
        folder.read_metrics(least=min(epochs, 1))
        summary = load_run(folder.path)[2]
        return summary, None, [about["digest"] for about in summary["devices"]]
    if folder.begun:
        checkpoint = read_checkpoint(folder.checkpoint_file, settings(config))
        return None, checkpoint, checkpoint["voltphase"]["devices"]
    return None, None, None


def _require_same_data(folder: RunFolder, checkpoint: dict[str, Any] | None, data: Data | None) -> None:
    given = data is not None
    if checkpoint is not None and checkpoint["voltphase"].get("data_given", given) != given:
        before, now = ("images given in Python", "the configuration's data set")[:: -1 if given else 1]
        raise ConfigError(
            f"expected to resume {folder.path} on {before}, which it was started on, but got {now}: give the same, or "
            "start again with --overwrite"
        )


def _require_same_mask(folder: RunFolder, left: dict[str, Any] | None, mask: Mask | None) -> None:
    if left is not None and left.get("voltphase", left).get("mask") != (None if mask is None else mask.digest):
        raise ConfigError(
            f"expected the mask that {folder.path} was started with, but optics.source.mask is another now: restore "
            "its file, or start again with --overwrite"
        )


def accelerator_of(config: Config) -> str:
    """Return what trains a network, ``"cuda"`` or ``"cpu"``.

    Raises:
        ConfigError: if the configuration asks for what is not there.
    """
    wanted, there = config.training.accelerator, torch.cuda.is_available()
    if wanted == "gpu" and not there:
        raise ConfigError("expected a CUDA GPU for training.accelerator gpu, but PyTorch finds none: use auto or cpu")
    chosen = "cuda" if there and wanted != "cpu" else "cpu"
    if config.optics.backend == "cuda" and (obstacle := triton_obstacle(chosen)):
        raise ConfigError(f"expected a CUDA GPU to train on for optics.backend cuda, because {obstacle}: use auto")
    if config.optics.precision == "tf32" and chosen == "cpu":
        raise ConfigError(
            "expected a CUDA GPU to train on for optics.precision tf32, but got the CPU, which does not know it: "
            "use auto or single"
        )
    return chosen


def same_gpu(accelerator: str) -> AbstractContextManager[object]:
    """Keep the GPU that the process computes on by default, where Lightning takes the first one."""
    return torch.cuda.device(torch.cuda.current_device()) if accelerator == "cuda" else nullcontext()


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Use a number of CPU threads in a block; None leaves it as it is."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _trained(module: TrainingModule) -> dict[str, Any]:
    return {
        "epochs": module.epochs,
        "seconds": round(sum(figures["seconds"] for figures in module.history), 3),
        "host_seconds": round(module.host_seconds, 3),
        "watched": module.watched,
        "cuda_graph": module.recorded,
        **({"trained_together": module.trained_together} if module.trained_together > 1 else {}),
    }
