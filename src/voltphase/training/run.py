"""Training a network into a run folder, and loading it from there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from voltphase.config import Config
from voltphase.config.panels import check_panel
from voltphase.core import checks
from voltphase.core.advice import once
from voltphase.core.dtypes import readable_precision
from voltphase.core.errors import ConfigError, DataError, OutputError, VoltphaseError
from voltphase.core.files import write_json
from voltphase.core.limits import memory_for
from voltphase.data import Data, ImageDataset
from voltphase.devices import Device
from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.tasks import readout_of
from voltphase.training.advice.device_notes import note_devices, show_choice
from voltphase.training.advice.estimate import check_training
from voltphase.training.batches import Augmentation, ImageBatches, targets_move
from voltphase.training.build import (
    as_started,
    build_devices,
    build_model,
    file_digests,
    load_datasets,
    settled_by_data,
)
from voltphase.training.experiment import settings
from voltphase.training.loop import Checkpoints, EpochMetrics, TrainingModule, lightning, make_trainer
from voltphase.training.processes import ALONE, Call, Ranks, training_together
from voltphase.training.processes.agreement import require_alike
from voltphase.training.processes.machine import accelerator_of, cpu_threads, same_gpu
from voltphase.training.progress import Follower, Recorder, quiet_lightning
from voltphase.training.provenance import data_notes, summary_of
from voltphase.training.resume import Left, left_in
from voltphase.training.run_folder import RunFolder
from voltphase.training.watching.watcher import Watcher
from voltphase.training.weights import mask_digests, save_model


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
    call = Call(config, RunFolder(out, OutputError).path, resume, overwrite)
    with training_together(call) as ranks:
        options = {"resume": resume, "overwrite": overwrite, "console": console, "watch": watch}
        return train_as(ranks, config, out, data=data, **options)


def train_as(
    ranks: Ranks,
    config: Config,
    out: str | Path,
    *,
    data: Data | None = None,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
    watch: Callable[[EpochMetrics], None] | None = None,
) -> dict[str, Any]:
    """Train as one of several processes, or alone; for the other arguments and what it returns see :func:`train`.

    Args:
        ranks: The processes.
        config: As for :func:`train`.
        out: Path of the run folder, which the first process alone reads and writes.
        data: As for :func:`train`; the others may be given none where the first has started them.
        resume: As for :func:`train`.
        overwrite: As for :func:`train`.
        console: As for :func:`train`, in the first process.
        watch: As for :func:`train`, in the first process.
    """
    with memory_for(config.training.devices):
        ready = prepare(config, out, data=data, resume=resume, overwrite=overwrite, ranks=ranks)
        if not isinstance(ready, ReadyRun):
            return ready
        with ready.writing(console):
            make = Recorder if ranks.first else Follower
            _fit_alone(ready, make(ready.folder, console, watch))
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


@dataclass(eq=False, kw_only=True)
class ReadyRun:
    """A training that was found to be possible, and has written nothing yet."""

    config: Config
    made_of: Config  # the same, with the devices that it was started with
    folder: RunFolder
    left: Left
    overwrite: bool
    devices: Sequence[Device]
    notes: Sequence[list[str]]  # on each device
    datasets: Mapping[str, ImageDataset]
    module: TrainingModule
    watcher: Watcher

    @contextmanager
    def writing(self, console: Console | None) -> Iterator[None]:
        """Hold the folder, for a training in the block, and say what is trained."""
        with ExitStack() as held:
            if self.module.ranks.first:
                held.enter_context(self.folder.writing(self.config, resume=self.left.resume, overwrite=self.overwrite))
            held.enter_context(cpu_threads(self.config.training.threads, self.config.training.devices))
            self.watcher.console = console
            if console is not None:
                show_choice(self.made_of, console)
                for line in _opening(self.config, self.module.model, self.datasets):
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
            yield

    def fit(self, recorder: Recorder) -> None:
        """Train to the end of the last epoch.

        Raises:
            TrainingError: if training diverges.
            DataError: if the checkpoint to go on from is one that Lightning does not take.
            SystemExit: if interrupted, in the main thread.
        """
        accelerator, checkpoint = accelerator_of(self.config), self.left.checkpoint
        # The watcher logs what the recorder has kept, in the first process alone.
        callbacks = [recorder, *([self.watcher] if self.module.ranks.first else [])]
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
        ranks, about = self.module.ranks, (self.datasets, self.devices, self.notes, trained)
        summary = summary_of(self.config, self.module.model, *about, ranks)
        return ranks.of_first(lambda: self._write(summary))

    def _write(self, summary: dict[str, Any]) -> dict[str, Any]:
        summary |= ({"data_given": True} if self.left.data_given else {}) | self.watcher.noted
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
    ranks: Ranks = ALONE,
) -> ReadyRun | dict[str, Any]:
    """Return a training that may begin, or the summary of a run that is finished already; for arguments see `train`.

    The first of several processes alone looks into the run folder and tells the others.

    Raises:
        VoltphaseError: if it may not.
    """
    folder = RunFolder(out, OutputError)
    left = ranks.of_first(lambda: left_in(folder, config, data is not None, resume=resume, overwrite=overwrite))
    made_of = config if left.devices is None else as_started(config, left.devices, folder.path, old=left.old)
    watcher = Watcher(folder, config)
    devices, light = build_devices(made_of), config.optics.source.build()
    check_panel(config.optics, devices)
    light.beam(Grid(config.optics.sizes[0], config.optics.pitches[0]))  # light that does not fit is found at once, too
    masks = config.optics.read_masks()
    digests, masked = [device.digest for device in devices], mask_digests(light.mask, masks)
    left.require_same_masks(folder, masked)
    if left.finished is not None:
        return left.finished
    notes = note_devices(made_of)
    accelerator = accelerator_of(config)
    on_gpu = accelerator == "cuda"
    asked = config.task.build()
    # Regions that do not fit are found before data are downloaded.
    config.optics.combination.read_by(readout_of(asked, config.optics.sizes[-1]))
    datasets = _datasets(config, data, left.data_given, ranks, datasets_of or load_datasets)
    task = asked.for_data(datasets["train"].classes, datasets["train"].targets)
    model = build_model(
        config, devices, datasets["train"].image_shape, task=task, light=light, masks=masks, for_gpu=on_gpu
    )
    at_once = -(-config.training.batch_size // (ranks.count * config.training.accumulate))
    check_training(model, datasets["train"].images, at_once, on_gpu=on_gpu)
    about = {"devices": digests, "settings": settings(config), "data_given": left.data_given}
    about |= masked
    require_alike(ranks, {**about, "devices": file_digests(config, digests)}, datasets)
    return ReadyRun(
        config=config,
        made_of=made_of,
        folder=folder,
        left=left,
        overwrite=overwrite,
        devices=devices,
        notes=notes,
        datasets=datasets,
        # Its back end is to say where the network is.
        module=_module(config, model.to(accelerator), datasets, about, ranks),
        watcher=watcher,
    )


def _datasets(
    config: Config,
    data: Data | None,
    given: bool,
    ranks: Ranks,
    load: Callable[[Config, Data | None], dict[str, ImageDataset]],
) -> dict[str, ImageDataset]:
    """Return the images, which have to be at least as many as processes that share them."""
    if given and ranks.data_from_first:
        datasets = ranks.of_first(lambda: load(config, data))
    else:
        # One process of a machine after the other, so that what is missing is fetched there once.
        loaded = load(config, data) if ranks.local_rank == 0 else None
        ranks.gathered(None)
        datasets = load(config, data) if loaded is None else loaded
    fewest = min(len(datasets["train"]), config.training.batch_size)
    if fewest < ranks.count:
        raise ConfigError(
            f"expected at least one image of a batch for each of {ranks.count} processes, but got {fewest}: lower "
            "training.devices, or take more images"
        )
    return datasets


def _augmentation(config: Config) -> Augmentation | None:
    asked = Augmentation(**config.training.augmentation.model_dump())
    return None if asked == Augmentation() else asked


def _module(
    config: Config, model: DONN, datasets: Mapping[str, ImageDataset], about: dict[str, Any], ranks: Ranks
) -> TrainingModule:
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
            ranks=ranks,
        ),
        ImageBatches(datasets[watched], batch_size, ranks=ranks),
        watched=watched,
        temperature_per_epoch=config.codesign.schedule.per == "epoch",
        about=about,
        ranks=ranks,
    )
    return module


def _opening(config: Config, model: DONN, datasets: Mapping[str, ImageDataset]) -> list[str]:
    """Return what is said before training begins."""
    settled = ", ".join(f"{name} {value}" for name, value in settled_by_data(model.task, config.task.build()).items())
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


def _trained(module: TrainingModule) -> dict[str, Any]:
    return {
        "epochs": module.epochs,
        "seconds": round(sum(figures["seconds"] for figures in module.history), 3),
        "host_seconds": round(module.host_seconds, 3),
        "watched": module.watched,
        "cuda_graph": module.recorded,
        **({"trained_together": module.trained_together} if module.trained_together > 1 else {}),
    }
