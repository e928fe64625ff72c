"""Measure what engines cost, and fit the constants of voltphase.optics.cost to it.

    python scripts/calibrate_engines.py [--batch 16] [--threads 2] [--repeats 15]

Prints, for every engine and size, the measured time for one field (the least of the repeats, interleaved, as other
work on a machine only ever adds), what the present constants expect, and the constants that fit best.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.optimize
import torch

from voltphase.optics import FresnelTransfer, cost
from voltphase.optics.cost import Cost, mirrored_cost, product_cost
from voltphase.optics.grid import Grid
from voltphase.optics.maps import Engine, MatrixEngine, MirroredEngine
from voltphase.optics.methods.geometry import Geometry

SIZES = (32, 48, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800)
PITCH, WAVELENGTH = 4e-6, 532e-9
# Working sets beyond this many fields of 800 x 800 make the large sizes slow without changing what they say.
POINTS_AT_A_TIME = 16 * 320 * 320


class Candidate(NamedTuple):
    """An engine at a size, and what it is expected to cost."""

    name: str
    size: int
    cost: Cost
    engine: Engine


def candidates() -> list[Candidate]:
    """Every engine at every size."""
    found = []
    for size in SIZES:
        grid, shape = Grid(size, PITCH), (size, size)
        # The distance grows with the size, so that the shape of the kernel stays.
        geometry = Geometry(grid, grid, WAVELENGTH, size * 1e-4)
        matrices = FresnelTransfer().matrices(geometry)
        whole, halves = product_cost(shape, shape, shape), mirrored_cost(shape, shape)
        found += [
            Candidate("matrix", size, whole, MatrixEngine(*matrices, torch.complex64)),
            Candidate("matrix, halves", size, halves, MirroredEngine(*matrices, torch.complex64)),
        ]
        fft = next(plan for plan in FresnelTransfer().plans(geometry) if plan.engine == "fft")
        found.append(Candidate("fft", size, fft.cost, fft.build(torch.complex64)))
    return found


def least_times(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """The least time of each call in nanoseconds, over rounds in which each has its turn."""
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for index, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[index] = min(best[index], (time.perf_counter() - start) * 1e9)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases, calls, batches = candidates(), [], []
    for case in cases:
        batch = max(1, min(options.batch, POINTS_AT_A_TIME // case.size**2))
        field = torch.randn(batch, case.size, case.size, dtype=torch.complex64)
        batches.append(batch)
        calls.append(lambda engine=case.engine, field=field: engine(field))
    with torch.no_grad():
        times = least_times(calls, options.repeats)
    measured = np.array([time / batch for time, batch in zip(times, batches, strict=True)])
    terms = np.array(
        [
            (case.cost.multiplications, case.cost.butterflies, case.cost.points, case.cost.far, case.cost.calls / batch)
            for case, batch in zip(cases, batches, strict=True)
        ]
    )
    # Relative errors, so that small sizes count as much as large ones.
    fitted, _ = scipy.optimize.nnls(terms / measured[:, None], np.ones(len(measured)))
    out = sys.stdout.write
    out(f"{'engine':16s}{'size':>5s}{'measured ms':>13s}{'expected':>10s}{'fitted':>10s}\n")
    for case, ns, row in zip(cases, measured, terms, strict=True):
        expected = case.cost.nanoseconds
        out(f"{case.name:16s}{case.size:5d}{ns / 1e6:13.4f}{expected / 1e6:10.4f}{row @ fitted / 1e6:10.4f}\n")
    names = ("PER_MULTIPLICATION", "PER_BUTTERFLY", "PER_POINT", "PER_FAR_POINT", "PER_CALL")
    present = (cost.PER_MULTIPLICATION, cost.PER_BUTTERFLY, cost.PER_POINT, cost.PER_FAR_POINT, cost.PER_CALL)
    out(f"\ntorch {torch.__version__}, {torch.get_num_threads()} threads, batches of {options.batch}\n")
    for name, value, now in zip(names, fitted, present, strict=True):
        out(f"{name} = {value:.3g} (now {now:g})\n")


if __name__ == "__main__":
    main()
