"""Training several designs into run folders: together on a GPU, one after another on a CPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from voltphase.config import Config
from voltphase.core.advice import once
from voltphase.core.dtypes import readable_precision
from voltphase.core.errors import ConfigError, OutputError, VoltphaseError
from voltphase.data import Data, ImageDataset
from voltphase.network import footprint
from voltphase.training.build import load_datasets
from voltphase.training.loop import EpochMetrics
from voltphase.training.processes import process_count
from voltphase.training.processes.machine import accelerator_of, same_gpu
from voltphase.training.progress import Recorder, progress_table, quiet_lightning
from voltphase.training.run import ReadyRun, check_call, prepare, train
from voltphase.training.run_folder import RunFolder
from voltphase.training.several.lockstep import run_in_lockstep

# What each failed with, or its summary.
_Outcome = dict[str, Any] | VoltphaseError


@once()
def train_several(
    configs: Sequence[Config],
    outs: Sequence[str | Path],
    *,
    names: Sequence[str] | None = None,
    data: Data | None = None,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
    watch: Callable[[EpochMetrics], None] | None = None,
) -> list[dict[str, Any]]:
    """Train several designs, each into a run folder and to the bits that :func:`train` comes to.

    On a CUDA GPU they are trained together: small systems do not fill it. A step of all is one CUDA graph, in which
    each has a branch of its own with the kernels that it has alone. Data that they have in common are on the GPU once.
    On a CPU they are trained one after another. One that diverges leaves the others alone.

    Args:
        configs: What to train, with the same batch size, number of training images, accelerator and threads.
        outs: Path of the run folder of each.
        names: What each is called where progress is shown; by default its path.
        data: Images in place of those of the configurations; see :func:`train`.
        resume: Continue each that was interrupted from its last whole epoch; one that is finished is left as it is.
        overwrite: Replace runs that are there.
        console: Console to show progress on, of all in one table; nothing is shown without one.
        watch: Called with the figures of each epoch of each design once they are kept. What it raises ends all, and no
            whole epoch is lost.

    Returns:
        What the ``summary.json`` of each holds.

    Raises:
        VoltphaseError: if something given does not fit; where it can be known, before any is trained. If one fails in
            training, such as a TrainingError where it diverges, once all others are finished.
        KeyboardInterrupt: if interrupted; every whole epoch of each is kept for ``resume``.

    Examples:
        >>> from voltphase.config import load_config
        >>> small = ["optics.size=16", "training.epochs=1", "data.train_limit=60", "data.test_limit=20"]
        >>> configs = [load_config("digits", [*small, f"codesign.gain={gain}"]) for gain in (1, 3)]
        >>> [summary["epochs"] for summary in train_several(configs, ["gain-1", "gain-3"])]
        [1, 1]
    """
    check_call(configs, resume, overwrite, console, watch)
    folders = [RunFolder(out, OutputError) for out in outs]
    names = [str(out) for out in outs] if names is None else list(names)
    _require_alike(configs, folders, names)
    for config, folder in zip(configs, folders, strict=True):
        folder.check(config, resume=resume, overwrite=overwrite)
    options: dict[str, Any] = {"data": data, "resume": resume, "overwrite": overwrite}
    outcomes: list[_Outcome]
    if accelerator_of(configs[0]) == "cuda" and process_count(configs[0].training) == 1:
        outcomes = train_together(configs, outs, names, console=console, watch=watch, **options)
    else:
        outcomes = []
        for config, out, name in zip(configs, outs, names, strict=True):
            if console is not None:
                console.print(name, markup=False, highlight=False, soft_wrap=True)
            try:
                outcomes.append(train(config, out, console=console, watch=watch, **options))
            except VoltphaseError as error:
                outcomes.append(error)
    for name, outcome in zip(names, outcomes, strict=True):
        if isinstance(outcome, VoltphaseError):
            outcome.add_note(f"in {name}; what else was to be trained with it was trained, or has failed too")
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, dict)]


def train_together(
    configs: Sequence[Config],
    outs: Sequence[str | Path],
    names: Sequence[str],
    *,
    console: Console | None,
    watch: Callable[[EpochMetrics], None] | None,
    **options: Any,
) -> list[_Outcome]:
    """Train designs by common steps, and return for each its summary or what it failed with."""
    datasets_of = _Datasets()
    prepared = [
        prepare(config, out, datasets_of=datasets_of, **options) for config, out in zip(configs, outs, strict=True)
    ]
    ready = [(one, name) for one, name in zip(prepared, names, strict=True) if isinstance(one, ReadyRun)]
    if not ready:
        return [one for one in prepared if isinstance(one, dict)]
    _require_fitting([one for one, _ in ready])
    # Ends all at the end of an epoch, when each has kept it.
    ending: list[BaseException] = []
    table, failures = progress_table(console), []

    def noting(figures: EpochMetrics) -> None:
        try:
            if watch is not None:
                watch(figures)
        except BaseException as error:
            ending.append(error)

    with ExitStack() as held:
        fits, moved = [], {}
        for one, name in ready:
            held.enter_context(one.writing(console))
            one.module.share_images(moved)
            recorder = Recorder(one.folder, console, noting, name=name, table=table)
            fits.append(partial(_fit, one, recorder, same_gpu(accelerator_of(one.config))))
        with quiet_lightning(), readable_precision():
            try:
                failures = run_in_lockstep(
                    [one.module for one, _ in ready], fits, lambda: ending[0] if ending else None
                )
            finally:
                table.stop()
        finished = {id(one): failure or one.finish() for (one, _), failure in zip(ready, failures, strict=True)}
    return [one if isinstance(one, dict) else finished[id(one)] for one in prepared]


def _fit(ready: ReadyRun, recorder: Recorder, gpu: Any) -> None:
    with gpu:  # the current GPU is a thread's own
        ready.fit(recorder)


class _Datasets:
    """Loads the images of each configuration, those that are the same once."""

    def __init__(self) -> None:
        self._loaded: dict[str, dict[str, ImageDataset]] = {}

    def __call__(self, config: Config, data: Data | None) -> dict[str, ImageDataset]:
        drawn = config.seed if data is not None or config.data.val_fraction else None
        key = json.dumps([config.data.model_dump(), config.task.model_dump(), drawn], sort_keys=True)
        if key not in self._loaded:
            self._loaded[key] = load_datasets(config, data)
        return self._loaded[key]


def _require_alike(configs: Sequence[Config], folders: Sequence[RunFolder], names: Sequence[str]) -> None:
    if not len(configs) == len(folders) == len(names) > 0:
        raise ConfigError(
            f"expected designs with a folder and a name each, but got {len(configs)} configurations, {len(folders)} "
            f"folders and {len(names)} names"
        )
    if len({folder.path.resolve() for folder in folders}) < len(folders):
        raise OutputError("expected a folder for each design, but some have the same: choose others")
    for key in ("batch_size", "accelerator", "threads", "accumulate", "devices", "nodes"):
        found = list(dict.fromkeys(getattr(config.training, key) for config in configs))
        if len(found) > 1:
            raise ConfigError(
                f"expected designs that are trained together to have the same training.{key}, but got {found[0]} and "
                f"{found[1]}: train those that differ by themselves"
            )


def _require_fitting(ready: Sequence[ReadyRun]) -> None:
    counts = list(dict.fromkeys(len(one.datasets["train"]) for one in ready))
    if len(counts) > 1:
        raise ConfigError(
            f"expected designs that are trained together to see as many images in an epoch, but got {counts[0]} and "
            f"{counts[1]}: train those that differ by themselves"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = min(ready[0].config.training.batch_size, counts[0])
    footprint.require(
        sum(one.module.model.footprint.training(batch, device) for one in ready),
        f"training {len(ready)} designs together",
        "train fewer at once",
        on_gpu=device == "cuda",
    )
