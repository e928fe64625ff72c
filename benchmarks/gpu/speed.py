"""Training step and inference: ours with each back end and precision, others, and the bare products."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from functools import partial

import torch

from benchmarks.contenders import CONTENDERS, Calls, Missing, Setting, training_step
from benchmarks.gpu.base import Call, Row, Run, in_turns, sentence, summary, wait

OURS = ("voltphase-graph-tf32", "voltphase-graph", "voltphase-tf32", "voltphase")
FUSED = tuple(f"voltphase-graph-fused-{rounding}" for rounding in ("ieee", "tf32", "tf32x3"))
PEERS = ("torch-fft", "lightridge-pad50", "lightridge-pad100")
NAMES = (*OURS, "voltphase-reference", *PEERS, "floor-gpu", "floor-gpu-tf32")
BY_SIZE = ("voltphase-graph-tf32", "voltphase-graph", "voltphase-reference", "torch-fft")
LEVELS = (8, 256, 784)
SIZES = (64, 100, 400, 800)
WARM_UP = 6  # a step is recorded as a CUDA graph after the first ones


def steps(run: Run) -> Iterator[Row]:
    """The cell that targets are set for: 200 x 200, depth 5, 8 levels, batches of 500."""
    yield from compare(NAMES, run.cell(), run, seconds=0.8 * run.seconds)


def fused(run: Run) -> Iterator[Row]:
    """The same by fused kernels, which take the longest to compile, beside the step they are to be faster than."""
    yield from compare(("voltphase-graph-tf32", "voltphase-graph", *FUSED), run.cell(), run, seconds=0.8 * run.seconds)


def levels(run: Run) -> Iterator[Row]:
    """The same with more levels."""
    for count in LEVELS:
        yield from compare(("voltphase-graph-tf32", "voltphase-graph"), run.cell(levels=count), run, seconds=10)


def sizes(run: Run) -> Iterator[Row]:
    """The same at other sizes, with about as many samples in a step, but no more images than 500."""
    for size in SIZES if not run.quick else SIZES[:1]:
        yield from compare(BY_SIZE, run.cell(size=size, batch=min(500, 500 * 200**2 // size**2)), run, seconds=8)


def designs(run: Run) -> Iterator[Row]:
    """A step of eight designs of 64 x 64 that differ in their seeds, one after another and together."""
    count, cell = (2 if run.quick else 8), run.cell(size=64)
    calls: dict[str, Call] = {}
    for name, at_once in (("one after another", 1), ("together", count)):
        made = [replace(cell, seed=seed) for seed in range(count)]
        groups = [training_step(made[first : first + at_once]) for first in range(0, count, at_once)]
        calls[name] = partial(_each, groups)
        for _ in range(1 if run.quick else WARM_UP):
            calls[name]()
    found, errors = in_turns(calls, run, seconds=0.5 * run.seconds)
    for name in calls:
        about = {"error": errors[name]} if name in errors else summary(found[name], "train")
        yield {"name": name, "designs": count, **asdict(cell), **about}


def _each(calls: Sequence[Call]) -> None:
    for call in calls:
        call()


def compare(names: Sequence[str], setting: Setting, run: Run, *, seconds: float) -> list[Row]:
    """Rows of contenders that take turns, made and timed in so many seconds; what cannot run says why."""
    end = time.perf_counter() + seconds
    made: dict[str, Calls] = {}
    rows: dict[str, Row] = {name: {"name": name, **asdict(setting)} for name in names}
    for name in names:
        torch.manual_seed(setting.seed)
        before = _allocated(reset=True)
        try:
            with redirect_stdout(io.StringIO()):
                calls = CONTENDERS[name](setting)
            for _ in range(1 if run.quick else WARM_UP):
                calls.train()
            calls.infer()
            wait()
        except Missing as error:
            rows[name]["error"] = f"not there: {error}"
        except Exception as error:  # what one cannot do here is reported, and the others go on
            rows[name]["error"] = sentence(error)
        else:
            made[name] = calls
            if run.device == "cuda":
                # At its peak, of all that it keeps and needs for a moment; a graph's memory is taken as it is recorded.
                rows[name]["peak_memory_mb"] = (torch.cuda.max_memory_allocated() - before) / 1e6
    for kind, part in (("train", 0.5), ("infer", 1.0)):
        calls = {name: getattr(both, kind) for name, both in made.items()}
        found, errors = in_turns(calls, run, seconds=part * (end - time.perf_counter()))
        for name, milliseconds in found.items():
            rows[name] |= summary(milliseconds, kind)
        for name, error in errors.items():
            rows[name]["error"] = error
            del made[name]
    made.clear()
    _allocated(reset=True)
    return list(rows.values())


def _allocated(*, reset: bool) -> int:
    if not torch.cuda.is_available():
        return 0
    if reset:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()
