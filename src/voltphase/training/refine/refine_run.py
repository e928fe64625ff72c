"""Refining a finished run into a run folder of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch

from voltphase.core import checks
from voltphase.core.errors import OutputError
from voltphase.core.files import atomic_directory, checked_path, write_errors, write_json
from voltphase.data import Data, given_datasets
from voltphase.tasks import loss_of
from voltphase.training import provenance
from voltphase.training.build import build_datasets, split_validation
from voltphase.training.evaluation import final_figures
from voltphase.training.processes.machine import cpu_threads
from voltphase.training.refine.search import refine
from voltphase.training.resume import load_run
from voltphase.training.run_folder import RunFolder
from voltphase.training.weights import save_model


def refine_run(
    run: str | Path,
    out: str | Path,
    *,
    images: int = 10_000,
    evaluations: int = 60,
    data_dir: str | Path | None = None,
    data: Data | None = None,
    watch: Callable[[int, float], None] = lambda evaluations, loss: None,
) -> dict[str, Any]:
    """Refine the levels of a finished run with :func:`refine`, and leave the result as a finished run in ``out``.

    ``out`` holds what the run's folder does but its checkpoints. In ``summary.json`` the accuracies are those of the
    refined states, and ``refined`` tells what was done. The test images are answered at the end, never refined with.

    Args:
        run: The folder of the finished run.
        out: The folder to make.
        images: How many of the run's training images to lower the loss on, drawn by the run's seed; all if it has
            fewer.
        evaluations: Number of passes of these images through the system; one with gradients counts twice.
        data_dir: Folder of the data sets; the one in the run's configuration by default.
        data: Images of a run that was trained on images given in Python, as they were given to train.
        watch: Function that is told of each evaluation, see :func:`refine`.

    Returns:
        The content of ``summary.json``.

    Raises:
        OutputError: if ``out`` exists already or cannot be written. It is tried before anything is computed.
        DataError: if the run is not finished or damaged, or its data set cannot be read.
        ConfigError: if there is nothing to refine with, or nothing to choose among.
    """
    out, source = checked_path(out, OutputError), RunFolder(run)
    if out.exists():
        raise OutputError(f"expected a new folder, but {out} exists already: choose another or remove it")
    checks.function(watch, "watch")
    checks.whole(images, "the number of images to refine with", least=1)
    model, config, summary = load_run(run)
    given = {} if data is None else split_validation(config, given_datasets(data, config.seed))
    source.require_data(summary, **given)
    source.read_metrics(least=min(summary["epochs"], 1))
    with write_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=out.parent).close()
    datasets = given or build_datasets(config, data_dir)
    train_set = datasets["train"]
    model.to("cuda" if torch.cuda.is_available() and config.training.accelerator != "cpu" else "cpu")
    with cpu_threads(config.training.threads):
        drawn = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(config.seed))[:images]
        started = time.perf_counter()
        result = refine(
            model,
            train_set.images[drawn],
            train_set.labels[drawn],
            loss=partial(loss_of, model.task),
            evaluations=evaluations,
            batch_size=config.training.batch_size,
            watch=watch,
        )
        seconds = time.perf_counter() - started
        found, light = final_figures(model, datasets, config.training.batch_size)
    refined = {
        "loss_before": result.loss_before,
        "loss_after": result.loss_after,
        **{f"{column}_before": summary.get(column) for column in found},
        "images": len(drawn),
        "evaluations": result.evaluations,
        "changed_pixels": result.changed,
        "converged": result.converged,
        "seconds": round(seconds, 3),
        "commit": provenance.commit(),
    }
    summary = summary | found | light | {"refined": refined}
    with atomic_directory(out) as folder:
        target = RunFolder(folder)
        shutil.copyfile(source.config_file, target.config_file)
        shutil.copyfile(source.metrics_file, target.metrics_file)
        if source.reference_file.is_file():
            shutil.copyfile(source.reference_file, target.reference_file)
        save_model(model, target.model_file)
        write_json(target.summary_file, summary)
    return summary
