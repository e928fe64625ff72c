"""Measure what the back ends cost, and fit the constants of their cost models.

    python scripts/calibrate_backends.py [--batch 16] [--threads 1] [--repeats 7] [--sizes 64 200] [--json FILE]

Measures the reference back end's maps one by one, and training steps of the CPU's. Prints the measured time for one
field (the least of the repeats, interleaved, as other work on a machine only ever adds), what the present constants
expect, and the constants that fit best. One thread is timed by what it uses of a processor, several by the clock. With
``--json`` writes the figures with the hardware, the versions and the commit. The constants live in
``voltphase.optics.kernels.map_choice`` and ``voltphase.optics.backends.cpu.costs``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from voltphase.core.files import write_json
from voltphase.optics.backends import CpuBackend, Options
from voltphase.optics.backends.cpu import costs
from voltphase.optics.backends.cpu.planner import make_plan
from voltphase.optics.kernels import map_choice
from voltphase.optics.kernels.axis import Matrix, Toeplitz
from voltphase.optics.kernels.common_grid import CommonGrid
from voltphase.optics.kernels.kernel import Convolution, Kernel, Separable
from voltphase.optics.stack import Stack
from voltphase.training.provenance import commit, hardware, versions

SIZES = (32, 48, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800)
# More points than these make the large sizes slow without changing what they say.
POINTS = 16 * 320 * 320
DEPTH = 3
CONSTANTS = {
    "reference": (map_choice, ("PER_MULTIPLICATION", "PER_BUTTERFLY", "PER_POINT", "PER_FAR_POINT", "PER_CALL")),
    "cpu": (costs, ("PER_MULTIPLICATION", "PER_NUMBER", "PER_BUTTERFLY", "PER_BUTTERFLY_2D")),
}


@dataclass
class Case:
    """What is timed: work in the terms of a back end's cost model, for each field."""

    backend: str
    name: str
    size: int
    fields: int
    terms: tuple[float, ...]
    expected: float
    call: Callable[[], object]


def kernels(size: int) -> dict[str, Kernel]:
    """Return a kernel of each kind between two equal planes, with values as a chirp has them."""
    points = CommonGrid(1.0, 0.0, size, 1, size, 1)
    centred = Toeplitz(True, points, partial(_chirp, points))
    any_matrix = Matrix(False, (size, size), partial(_noise, size))
    return {
        "separable, centred": Separable(centred, centred),
        "separable": Separable(any_matrix, any_matrix),
        "convolution": Convolution.of_table(points, points, partial(_table, points)),
    }


def cases(sizes: list[int], most: int) -> Iterator[Case]:
    """Yield everything that is timed."""
    for size in sizes:
        fields = max(1, min(most, POINTS // size**2))
        for name, kernel in kernels(size).items():
            field = torch.randn(fields, size, size, dtype=torch.complex64)
            for way in map_choice.ways(kernel):
                *terms, calls = astuple(way.cost)
                apply, expected = partial(way.build(torch.complex64), field), way.cost.nanoseconds
                yield Case("reference", f"{name}, {way.name}", size, fields, (*terms, calls / fields), expected, apply)
            stack = Stack(((kernel,),) * (DEPTH + 1))
            for engine in ("fft",) if name == "convolution" else ("matrix", "fft"):
                plan = make_plan(stack, engine)
                if engine in plan.engines[0]:
                    step = _training_step(stack, Options(engine=engine), size, fields)
                    yield Case(
                        "cpu", f"{name}, {engine}", size, fields, astuple(plan.work), plan.work.nanoseconds, step
                    )


def measure(found: list[Case], repeats: int, clock: Callable[[], float]) -> list[float]:
    """Return the least nanoseconds of each case for one field, over rounds in which each has its turn."""
    best = [float("inf")] * len(found)
    for _ in range(repeats + 1):
        for index, case in enumerate(found):
            start = clock()
            case.call()
            best[index] = min(best[index], (clock() - start) * 1e9 / case.fields)
    return best


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = list(cases(options.sizes, options.batch))
    measured = measure(found, options.repeats, time.process_time if options.threads == 1 else time.perf_counter)
    rows: list[dict[str, Any]] = []
    constants: dict[str, dict[str, float]] = {}
    out = sys.stdout.write
    out(f"{'back end':12s}{'kernel and engine':28s}{'size':>5s}{'measured ms':>13s}{'expected':>10s}{'fitted':>10s}\n")
    for backend, (module, names) in CONSTANTS.items():
        mine = [(case, ns) for case, ns in zip(found, measured, strict=True) if case.backend == backend]
        times, terms = np.array([ns for _, ns in mine]), np.array([case.terms for case, _ in mine])
        # Relative errors, so that small sizes count as much as large ones.
        fitted, _ = scipy.optimize.nnls(terms / times[:, None], np.ones(len(times)))
        for (case, ns), row in zip(mine, terms, strict=True):
            about = {"backend": backend, "name": case.name, "size": case.size}
            spent = {
                "measured_ms": ns / 1e6,
                "expected_ms": case.expected / 1e6,
                "fitted_ms": float(row @ fitted) / 1e6,
            }
            rows.append({**about, **spent})
            out("{:12s}{:28s}{:5d}{:13.4f}{:10.4f}{:10.4f}\n".format(*rows[-1].values()))
        constants[backend] = {name: float(value) for name, value in zip(names, fitted, strict=True)}
        for name, value in constants[backend].items():
            out(f"{backend}: {name} = {value:.3g} (now {getattr(module, name):g})\n")
    if options.json is not None:
        settings = {"batch": options.batch, "threads": options.threads, "repeats": options.repeats}
        about = {"versions": versions(), "hardware": hardware(torch.device("cpu")), "commit": commit()}
        write_json(options.json, {"constants": constants, "rows": rows, "settings": settings, **about})


def _training_step(stack: Stack, options: Options, size: int, fields: int) -> Callable[[], object]:
    executor = CpuBackend().compile(stack, options)
    images = torch.rand(fields, size, size)
    modulations = [torch.randn(size, size, dtype=torch.complex64, requires_grad=True) for _ in range(DEPTH)]
    masks = torch.ones(size, 2)
    return lambda: executor.sums(images, modulations, masks, masks).sum().backward()


def _chirp(points: CommonGrid) -> Tensor:
    distance = points.displacements().abs()
    return torch.polar(torch.ones_like(distance), distance.square() / points.sources)


def _noise(size: int) -> Tensor:
    return torch.randn(size, size, dtype=torch.complex128)


def _table(points: CommonGrid) -> Tensor:
    values = _chirp(points)
    return values[:, None] * values


if __name__ == "__main__":
    main()
