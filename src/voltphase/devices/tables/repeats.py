"""Several readings of one level: their mean, and how far they spread."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Mean(NamedTuple):
    """The readings brought down to one per level, in ascending order of level."""

    first: NDArray[np.intp]  # index of the first reading of each level
    amplitude: NDArray[np.float64]
    phase: NDArray[np.float64]  # in radians, on the turn nearest to the first reading
    spread: NDArray[np.float64]  # standard deviation of the complex readings; NaN for a level read once
    note: str  # what was done, for the source of the device; empty if every level was read once


def mean_of_repeats(level: NDArray[np.float64], amplitude: NDArray[np.float64], phase: NDArray[np.float64]) -> Mean:
    """Return the mean reading of each level, taken on the complex plane.

    There a phase of 3.1 and one of -3.1 are neighbours, and a dark reading's meaningless phase has no weight; a mean of
    the phases would have neither. Readings that scatter in phase by a standard deviation s lose amplitude, to
    exp(-s**2 / 2) of it: that is the light the level gives on average, coherently.
    """
    _, first, group, counts = np.unique(level, return_index=True, return_inverse=True, return_counts=True)
    # Turned back by the first reading's phase, what is left is small and keeps the turn that the reading was on. As
    # differences from the first reading, equal readings have just that as their mean, to the last digit.
    start = amplitude[first].astype(np.complex128)
    turned = amplitude * np.exp(1j * (phase - phase[first][group])) - start[group]
    mean = _sums(group, turned) / counts
    squares = _sums(group, np.abs(turned - mean[group]) ** 2).real
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(squares / (counts - 1))
    low, high = int(counts.min()), int(counts.max())
    several = f"{low} to {high}" if low != high else str(high)
    return Mean(
        first=first,
        amplitude=np.abs(start + mean),
        phase=phase[first] + np.angle(start + mean),
        spread=spread,
        note=f"mean of {several} repeats of each level, taken on the complex plane" if high > 1 else "",
    )


def _sums(group: NDArray[np.intp], values: NDArray) -> NDArray[np.complex128]:
    sums = np.zeros(int(group.max()) + 1, dtype=np.complex128)
    np.add.at(sums, group, values)
    return sums
