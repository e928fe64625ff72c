"""Whether a sum of separable kernels beats the FFT for kernels that do not separate.

    python scripts/low_rank.py [--batch 16] [--threads 1] [--repeats 15] [--json FILE]

For the angular spectrum over a range of sizes and of departures from the paraxial approximation: how many separable
terms leave no more of the kernel than single precision rounds away, the error of either engine in complex64 against
complex128, and the time of either for one field (the least of the repeats, interleaved).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from voltphase.core.files import write_json
from voltphase.optics import AngularSpectrum
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.common_grid import CommonGrid, common_grid
from voltphase.optics.kernels.kernel import Convolution
from voltphase.optics.kernels.maps import FourierMap, LinearMap
from voltphase.optics.methods.accuracy.exact_light import Waves, half_bands, response
from voltphase.optics.methods.formulas import carrier
from voltphase.optics.methods.geometry import Geometry
from voltphase.training.provenance import hardware, versions
from voltphase.validation.comparison import relative

WAVELENGTH = 532e-9
# What single precision rounds away.
LEFT = 1e-6
SIZES = (32, 48, 64, 100, 128, 200, 256)
# Sine of the steepest angle of a pitch, along an axis; the distance is such that it crosses half the plane.
SINES = (0.01, 0.03, 0.1, 0.2)
COLUMNS = ("size", "sine", "paraxial_phase_error", "terms", "left")
COLUMNS += ("low_rank_error", "fft_error", "low_rank_ms", "fft_ms")


class LowRank:
    """The sum over terms of ``rows @ field @ columns.T``, in two products.

    The fewest terms that leave no more than ``LEFT`` of the kernel: its singular value decomposition.
    """

    def __init__(self, table: Tensor, rows: CommonGrid, columns: CommonGrid) -> None:
        left, singular, right = torch.linalg.svd(table)
        rest = singular.square().flip(0).cumsum(0).flip(0).sqrt() / torch.linalg.vector_norm(singular)
        self.terms = int((rest > LEFT).sum())
        self.left = float(rest[self.terms])
        root = singular[: self.terms].sqrt()[:, None]
        row_terms = (root * left[:, : self.terms].mT)[:, rows.indices()]
        column_terms = (root * right[: self.terms])[:, columns.indices()]
        # Side by side, so that the sum over terms is done inside the second product.
        self.rows = torch.cat(tuple(row_terms), 1).to(torch.complex64)
        self.columns = torch.cat(tuple(column_terms), 0).to(torch.complex64)

    def __call__(self, field: Tensor) -> Tensor:
        parts = (field @ self.columns.mT).unflatten(-1, (self.terms, -1))
        return self.rows @ parts.movedim(-2, -3).flatten(-3, -2)


def engines(geometry: Geometry) -> tuple[LinearMap, LinearMap, LowRank]:
    """The FFT in double and in single precision, and the sum of separable kernels."""
    kernel = AngularSpectrum().kernel(geometry)
    assert isinstance(kernel, Convolution)
    rows, columns = common_grid(geometry.source, geometry.target, 0), common_grid(geometry.source, geometry.target, 1)
    if rows is None or columns is None:
        raise RuntimeError("equal grids share points")
    y, x = (Waves.of(band, geometry.wavelength) for band in half_bands(geometry))
    table = response(geometry, (y, x), (rows.displacements(), columns.displacements()))
    low = LowRank(table * carrier(geometry.wavelength, geometry.distance), rows, columns)
    return FourierMap(kernel, torch.complex128), FourierMap(kernel, torch.complex64), low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    out = sys.stdout.write
    out(f"{'size':>5s}{'sine':>7s}{'paraxial error':>16s}{'terms':>7s}{'left':>9s}")
    out(f"{'error':>10s}{'fft error':>11s}{'ms':>9s}{'fft ms':>9s}{'fft / low-rank':>16s}\n")
    rows = []
    for size in SIZES:
        for sine in SINES:
            pitch = WAVELENGTH / (2 * sine)
            grid = Grid(size, pitch)
            distance = size * pitch / 2 / (sine / math.sqrt(1 - sine**2))
            geometry = Geometry(grid, grid, WAVELENGTH, distance)
            exact, fft, low = engines(geometry)
            field = torch.randn(options.batch, size, size, dtype=torch.complex128)
            expected, single = exact(field), field.to(torch.complex64)
            times = {}
            for _ in range(options.repeats):
                for engine in (low, fft):
                    start = time.perf_counter()
                    engine(single)
                    elapsed = (time.perf_counter() - start) / options.batch * 1e3
                    times[engine] = min(times.get(engine, math.inf), elapsed)
            errors = [relative(engine(single), expected) for engine in (low, fft)]
            values = size, sine, geometry.paraxial_phase_error(), low.terms, low.left, *errors, times[low], times[fft]
            rows.append(dict(zip(COLUMNS, values, strict=True)))
            line = "{:5d}{:7.2f}{:12.3g} rad{:7d}{:9.0e}{:10.0e}{:11.0e}{:9.4f}{:9.4f}{:16.2f}\n"
            out(line.format(*values, times[fft] / times[low]))
    if options.json is not None:
        settings = {"batch": options.batch, "threads": options.threads, "repeats": options.repeats}
        about = {"settings": settings, "versions": versions(), "hardware": hardware(torch.device("cpu"))}
        write_json(options.json, {"rows": rows, **about})


if __name__ == "__main__":
    main()
