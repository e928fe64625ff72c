"""Real trainings: the time of an epoch and where it goes, accuracies, and the same seed twice."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.base import Row, Run, wait
from voltphase.config import Config, load_config
from voltphase.training import load_run, train
from voltphase.training.build import build_datasets
from voltphase.training.evaluation import evaluate

# Names of kernels, and of operations where there is no GPU. What is none of these is element-wise.
SHARES = {
    "products": re.compile(
        r"gemm|gemv|cutlass|xmma|cublas|nvjet|_modulated_columns|_rows_product|aten::(add)?(b)?mm", re.IGNORECASE
    ),
    "optimiser": re.compile(r"adam|multi_tensor|FusedOptimizer", re.IGNORECASE),
    "copies": re.compile(r"memcpy|memset|aten::copy_", re.IGNORECASE),
}
TINY = (
    "optics.size=16",
    "optics.depth=1",
    "data.train_limit=60",
    "data.test_limit=20",
    "training.batch_size=20",
    "training.accelerator=cpu",
)


def trainings(run: Run) -> Iterator[Row]:
    """Three epochs in TF32, twice, and in single precision; and where the time of an epoch goes in each."""
    reduced = "single" if run.quick else "tf32"
    with TemporaryDirectory() as folder:
        first: bytes | None = None
        for name, precision, epochs, profiled in (
            ("tf32", reduced, 3, False),
            ("single", "single", 3, False),
            ("tf32, same seed again", reduced, 3, True),
            ("single, profiled", "single", 2, True),
        ):
            out = Path(folder) / name
            config = configured("paper", run, f"optics.precision={precision}", f"training.epochs={epochs}")
            row = {"name": name, **trained(config, out, run, profiled=profiled)}
            if not profiled:
                row |= on_a_cpu(config, out)
            maps = (out / "model.safetensors").read_bytes()
            first = first or maps
            if "again" in name:
                row["same_maps"] = maps == first
            yield row


def configured(preset: str, run: Run, *settings: str) -> Config:
    """A preset, trained on MNIST where it is and on digits where it is not; in the trial something tiny."""
    if run.quick:
        return load_config("digits", [*TINY, *settings])
    folder = Path(os.environ.get("VOLTPHASE_DATA", "~/.cache/voltphase")).expanduser()
    data = "mnist" if (folder / "MNIST" / "raw").is_dir() else "digits"
    return load_config(preset, [f"data.name={data}", "training.batch_size=500", *settings])


def trained(config: Config, out: Path, run: Run, *, profiled: bool) -> Row:
    """The figures of a training; with a profile of its second epoch, which takes longer for it."""
    activity = ProfilerActivity.CUDA if run.device == "cuda" else ProfilerActivity.CPU
    watching = profile(activities=[activity])
    epochs: list[dict[str, float]] = []

    def watch(figures: dict[str, float]) -> None:
        epochs.append(figures)
        if profiled and figures["epoch"] == 1:
            wait()
            watching.start()
        elif profiled and figures["epoch"] == 2:
            wait()
            watching.stop()

    summary = train(config, out, watch=watch)
    last = epochs[1 if profiled else -1]
    row = {
        "data": summary["data"],
        "levels": summary["devices"][0]["levels"],
        "precision": summary["precision"],
        "backend": summary["backend"],
        "cuda_graph": summary["cuda_graph"],
        "epoch_seconds": last["seconds"],
        "training_seconds": summary["train_images"] / last["images_per_second"],
        "loop_part": summary["host_seconds"] / summary["seconds"],
        "test_accuracy": summary["test_accuracy"],
    }
    return row | (split(watching, last["seconds"], run) if profiled else {})


def split(watched: profile, seconds: float, run: Run) -> Row:
    """Seconds of an epoch, with its look at the test images, by what was done; a GPU that waits is idle."""
    found: dict[str, Any] = dict.fromkeys((*SHARES, "element-wise"), 0.0)
    longest: list[tuple[float, str, int]] = []
    for event in watched.key_averages():
        if event.key.startswith(("Optimizer.", "ProfilerStep")):  # spans of kernels that are counted themselves
            continue
        taken = 1e-6 * (event.self_device_time_total if run.device == "cuda" else event.self_cpu_time_total)
        share = next((name for name, pattern in SHARES.items() if pattern.search(event.key)), "element-wise")
        found[share] += taken
        longest.append((taken, event.key[:90], event.count))
    if not sum(found.values()):
        return {"error": "the profiler saw no kernel"}
    found["idle"] = max(0.0, seconds - sum(found.values()))
    top = [
        {"kernel": key, "seconds": taken, "calls": count} for taken, key, count in sorted(longest, reverse=True)[:12]
    ]
    return {"shares_seconds": found, "idle_part": found["idle"] / seconds, "longest": top}


def on_a_cpu(config: Config, out: Path) -> Row:
    """The accuracy of the same states, computed on the CPU."""
    model, _, _ = load_run(out)
    found = evaluate(model, build_datasets(config)["test"], 100)
    return {"test_accuracy_on_cpu": found.metrics["accuracy"], "cpu_threads": torch.get_num_threads()}
