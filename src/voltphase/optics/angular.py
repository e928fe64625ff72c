"""The angular spectrum of plane waves, without the paraxial approximation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from voltphase.errors import GeometryError
from voltphase.optics import kernels
from voltphase.optics.cost import Cost, product_cost
from voltphase.optics.engines import Engine, SpectrumEngine
from voltphase.optics.geometry import Geometry
from voltphase.optics.lattice import good_size, lattice
from voltphase.optics.methods import Method, Plan, lit_limits
from voltphase.optics.sampling import Limit
from voltphase.optics.tabulated import table_plan
from voltphase.units import metres

# A period half as long again as the farthest light of the band goes: against Rayleigh-Sommerfeld the error of a
# square aperture then is what the sampling of the aperture leaves, 1e-3; at the bare period it is ten times that.
SPARE = 1.5
# Frequencies are made finer no further than this many times, nor beyond this many points along an axis, but up to so
# many whatever the planes.
LARGEST_OVERSAMPLING, LARGEST_SIZE, SMALL_SIZE = 8.0, 8192, 256
# Frequencies left by the cut below which the result is coarse, and below which it has lost the light: against
# Rayleigh-Sommerfeld fields are out by 3e-4 with 51 of them, by 2e-2 with 31, by 1e-1 with 21.
KEPT_GOOD, KEPT_WRONG = 48, 24
# Rows of the transfer function transformed at a time while the kernel is made.
ROWS_AT_A_TIME = 512


@dataclass(frozen=True)
class AngularSpectrum(Method):
    """The angular spectrum of plane waves, band-limited after Matsushima & Shimobaba (2009).

    The transfer function is sampled at the frequencies of a DFT and goes out where these no longer resolve it. The
    period of the DFT covers both planes, so that nothing wraps around; where light of the samples' band goes farther,
    the period is made longer, as far as is sensible, before anything is cut. That is paid when the kernel is made: of
    the kernel only the part between the two planes is kept.

    Args:
        oversampling: How many times longer the period is than the two planes demand; chosen as said if None.
    """

    oversampling: float | None = None
    name: ClassVar[str] = "angular-spectrum"
    title: ClassVar[str] = "band-limited angular spectrum"

    def __post_init__(self) -> None:
        if self.oversampling is not None and not 1 <= self.oversampling < math.inf:
            raise GeometryError(f"expected an oversampling of at least 1, but got {self.oversampling}")

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        limits = list(lit_limits(geometry))
        axes = [Frequencies(geometry, axis, self.oversampling) for axis in (0, 1)]
        cut = [axis for axis in axes if axis.cut]
        if cut:
            kept = min(axis.kept for axis in cut)
            limits.append(
                Limit(
                    "share of the resolved band one frequency has",
                    1 / kept if kept else math.inf,
                    1 / KEPT_GOOD,
                    1 / KEPT_WRONG,
                    "",
                    f"a distance short enough that {KEPT_GOOD} frequencies or more resolve the transfer function",
                    f"{metres(abs(geometry.distance))}, which leaves {kept}",
                )
            )
        return tuple(limits)

    def cuts(self, geometry: Geometry) -> bool:
        """Whether light that the samples can carry is left out, as the frequencies do not resolve it."""
        return any(Frequencies(geometry, axis, self.oversampling).cut for axis in (0, 1))

    def plans(self, geometry: Geometry) -> list[Plan]:
        rows, columns = (Frequencies(geometry, axis, self.oversampling) for axis in (0, 1))
        source, target = geometry.source.shape, geometry.target.shape

        def build(dtype: torch.dtype) -> Engine:
            y, x = rows.values[rows.inside], columns.values[columns.inside]
            transfer = kernels.angular_spectrum(y[:, None], x[None, :], geometry.wavelength, geometry.distance)
            transfer = transfer * kernels.carrier(geometry.wavelength, geometry.distance)
            return SpectrumEngine(
                rows.analysis(), columns.analysis(), transfer, rows.synthesis(), columns.synthesis(), dtype
            )

        there = product_cost((rows.kept, source[0]), source, (source[1], columns.kept))
        back = product_cost((target[0], rows.kept), (rows.kept, columns.kept), (columns.kept, target[1]))
        cost = there + back + Cost(points=rows.kept * columns.kept, calls=1)
        plan = Plan("matrix", cost, f"through {rows.kept} x {columns.kept} frequencies", build)
        if rows.lattice is None or columns.lattice is None:
            return [plan]
        lattices = (rows.lattice, columns.lattice)
        return [plan, table_plan(lattices, lambda: self.table(geometry, rows, columns))]

    def table(self, geometry: Geometry, rows: Frequencies, columns: Frequencies) -> Tensor:
        """The kernel over all displacements, a row of frequencies at a time so that it never exists whole."""
        half_way = torch.zeros((rows.size, columns.displacement_count), dtype=torch.complex128)
        placing = columns.placing()
        used = rows.inside.nonzero()[:, 0]
        for some in used.split(ROWS_AT_A_TIME) if len(used) else ():
            transfer = kernels.angular_spectrum(
                rows.values[some][:, None], columns.values, geometry.wavelength, geometry.distance
            )
            half_way[some] = columns.to_displacements(transfer * placing)
        half_way *= rows.placing()[:, None] * kernels.carrier(geometry.wavelength, geometry.distance)
        return rows.to_displacements(half_way.mT).mT


class Frequencies:
    """The frequencies of one axis of a DFT between two planes, and which of them are used."""

    def __init__(self, geometry: Geometry, axis: int, oversampling: float | None) -> None:
        self.source = geometry.source.coordinates()[axis]
        self.target = geometry.target.coordinates()[axis]
        self.pitch = geometry.source.pitch[axis]
        self.lattice = points = lattice(geometry, axis)
        if points is None:
            spans = (len(self.source) - 1) * self.pitch + (len(self.target) - 1) * geometry.target.pitch[axis]
            step, stride, smallest = self.pitch, 1, math.ceil(spans / self.pitch) + 1
        else:
            step, stride, smallest = points.step, points.source_stride, points.displacement_count
        if oversampling is None:
            sine = geometry.nyquist_sine(axis)
            farthest = abs(geometry.distance) * sine / math.sqrt(max(1 - sine**2, 1e-12)) + abs(geometry.shift(axis))
            needed = 2 * SPARE * farthest / (smallest * step)
            largest = max(min(LARGEST_OVERSAMPLING, LARGEST_SIZE / smallest), SMALL_SIZE / smallest, 1.0)
            oversampling = min(max(needed, 1.0), largest)
        self.displacement_count = smallest
        self.size = good_size(math.ceil(oversampling * smallest))
        self.period, self.stride = self.size * step, stride
        counts = torch.fft.fftfreq(self.size, 1 / self.size, dtype=torch.float64).round()
        self.values = counts / self.period
        # A source stretched with zeros repeats its spectrum: one copy, of the source's own band, is light.
        band = (2 * stride * counts >= -self.size) & (2 * stride * counts < self.size)
        needed = smallest * step / self.period
        passed = kernels.band_limit(
            self.values, geometry.wavelength, geometry.distance, self.period, geometry.shift(axis), needed
        )
        self.inside = band & (passed > 0)
        self.passed = passed * band
        self.cut = bool((band & ~self.inside).any())

    @property
    def kept(self) -> int:
        return int(self.inside.sum())

    def placing(self) -> Tensor:
        """What each frequency is multiplied by to cut the band and to put the first samples' displacement at 0."""
        shift = float(self.target[0] - self.source[0])
        return self.passed * self.stride * kernels.phasor(2 * math.pi * shift * self.values)

    def to_displacements(self, spectrum: Tensor) -> Tensor:
        """From all frequencies, along the last axis, to all displacements of the lattice, ascending."""
        if self.lattice is None:
            raise TypeError("displacements are few only on a lattice")
        kernel = torch.roll(torch.fft.ifft(spectrum), self.lattice.source_span - 1, -1)
        return kernel[..., : self.displacement_count]

    def analysis(self) -> Tensor:
        """From source samples to the frequencies used."""
        return kernels.phasor(-2 * math.pi * self.values[self.inside][:, None] * self.source)

    def synthesis(self) -> Tensor:
        """From the frequencies used to target samples."""
        waves = kernels.phasor(2 * math.pi * self.target[:, None] * self.values[self.inside])
        return waves * (self.passed[self.inside] * (self.pitch / self.period))
