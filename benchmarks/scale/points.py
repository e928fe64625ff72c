"""Trainings that are measured, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).resolve().parents[2]
#: Bytes of the images that are fetched from their file.
FILE: Final = 1 << 28
_SIDE: Final = 128


@dataclass(frozen=True)
class Point:
    """A system and a batch.

    Args:
        size: Samples along each side of every plane.
        depth: Number of layers.
        batch: Images in a step.
        levels: States of the modelled liquid crystal.
        steps: Steps of the one epoch that is trained; the first is not timed where there are more.
        checkpointed: Whether fields are checkpointed.
        relaxation: Recipe of the relaxation.
    """

    size: int
    depth: int
    batch: int
    levels: int = 8
    steps: int = 3
    checkpointed: bool = False
    relaxation: str = "proximity"

    def settings(self) -> list[str]:
        """Return the settings of its training."""
        return [
            f"codesign.relaxation.name={self.relaxation}",
            *(f"optics.size={self.size}", f"optics.depth={self.depth}", "optics.pitch=8e-6", "optics.distances=0.05"),
            *("device.model=tn-slm", f"device.levels={self.levels}", "device.pick=even"),
            *("training.epochs=1", f"training.batch_size={self.batch}", "training.threads=1"),
            f"training.checkpoint_fields={str(self.checkpointed).lower()}",
        ]


def apart(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what one measurement says, made in a fresh process."""
    words = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale", kind, json.dumps(given)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"expected {kind} of {given} to be measured, but got {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def training(given: dict[str, Any]) -> dict[str, Any]:
    """Train at a point; return its peak of memory beside the estimate, and the CPU seconds of a step."""
    from voltphase.config import load_config
    from voltphase.optics.backends import BACKENDS
    from voltphase.optics.paths import stack_of
    from voltphase.training import run
    from voltphase.training.steps import TrainingStep

    point, models, seconds = Point(**given), [], []
    config = load_config("digits", point.settings())
    build, step = run.build_model, TrainingStep.__call__
    run.build_model = lambda *words, **more: models.append(build(*words, **more)) or models[-1]
    TrainingStep.__call__ = _timed(step, seconds)
    count = point.steps * point.batch
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    before, code = _status("VmRSS"), _status("RssFile")
    with tempfile.TemporaryDirectory() as folder:
        split = images, np.arange(count) % 10
        run.train(config, Path(folder) / "run", data={"train": split, "test": (images[:1], split[1][:1])})
    model = models[0]
    window = model.readout.window_rows.tolist(), model.readout.window_columns.tolist()
    stack = stack_of(model.paths).onto(*window).behind(model.source.kernel())
    cost = BACKENDS[model.backend]().cost(stack, model.options)
    return {
        **asdict(point),
        "peak_bytes": _status("VmHWM") - before - max(0, _status("RssFile") - code),
        "estimated_bytes": model.footprint.training(point.batch),
        "cpu_seconds_a_step": min(seconds[1:] or seconds),
        "estimated_seconds_a_step": cost * point.batch / 1e9,
        "engines": sorted({*model.executor.engines}),
    }


def fetching(given: dict[str, Any]) -> dict[str, Any]:
    """Take steps in turn with batches in memory and of a file; return the CPU seconds of each with its fetching.

    And by how much the memory grows that is the process's own, for either.
    """
    import torch

    import voltphase.data.mapped as module
    from voltphase.config import load_config
    from voltphase.data import ImageDataset
    from voltphase.training import ImageBatches, build_devices
    from voltphase.training.build import build_model

    torch.set_num_threads(1)
    folder, steps = Path(given["folder"]), given["steps"]
    config = load_config("digits", [f"optics.size={given['size']}", f"optics.depth={given['depth']}"])
    model = build_model(config, build_devices(config), (_SIDE, _SIDE)).train()
    optimizer = torch.optim.Adam(model.parameter_groups())
    images, targets = np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "targets.npy")
    classes = tuple("0123456789")
    own = [_status("RssAnon")]
    in_memory = ImageDataset(np.array(images), targets, "memory", classes)  # type: ignore[arg-type]
    own.append(_status("RssAnon"))
    module.MOST = 0.0  # what a machine with less memory would do
    in_file = ImageDataset(images, targets, "file", classes)
    for some, _ in ImageBatches(in_file, given["batch"], seed=1):
        some.sum()
    own.append(_status("RssAnon"))
    assert in_file.mapped
    assert not in_memory.mapped
    both = [iter(ImageBatches(one, given["batch"], seed=0)) for one in (in_memory, in_file)]
    spent: list[list[float]] = [[], []]
    for _ in range(steps):
        for batches, times in zip(both, spent, strict=True):
            started = time.process_time()
            some, wanted = next(batches)
            loss = model.task.compute_loss(model(some), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            times.append(time.process_time() - started)
    memory, mapped = (sorted(times[1:])[len(times[1:]) // 2] for times in spent)
    grown = {"own_bytes_in_memory": own[1] - own[0], "own_bytes_from_file": own[2] - own[1]}
    return {**given, "seconds_in_memory": memory, "seconds_from_file": mapped, **grown}


def write_images(folder: Path) -> None:
    """Write :data:`FILE` bytes of images, a part at a time, and their labels."""
    count, drawn = FILE // _SIDE**2, np.random.default_rng(0)
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=(count, _SIDE, _SIDE))
    for start in range(0, count, 8192):
        images[start : start + 8192] = drawn.integers(0, 256, images[start : start + 8192].shape, dtype=np.uint8)
    np.save(folder / "targets.npy", np.arange(count) % 10)


#: Measurements by the word that :func:`apart` starts them with.
KINDS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "training": training,
    "fetching": fetching,
}


def main(kind: str, given: str) -> None:
    """Measure one thing and print it as JSON."""
    warnings.simplefilter("ignore")
    print(json.dumps(KINDS[kind](json.loads(given))))


def _timed(step: Callable[..., None], seconds: list[float]) -> Callable[..., None]:
    def timed(self: Any, batches: Any) -> None:
        started = time.process_time()
        step(self, batches)
        seconds.append(time.process_time() - started)

    return timed


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
