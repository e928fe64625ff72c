"""What a table of states is like, in figures and in plain sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voltphase.devices.states import DeviceStates

# States nearer than this, relative to the largest amplitude, are one and the same for any optics.
_SAME = 1e-9
# An amplitude above 1 by more than rounding means light was gained.
_GAIN = 1e-6
# Repeats of a stable bench agree within a few percent; a tenth of the largest amplitude is 0.1 rad of a bright state.
_UNSTEADY = 0.1


@dataclass(frozen=True)
class Summary:
    """A device in a few figures.

    Attributes:
        levels: How many states there are.
        phase_stroke: Largest less smallest phase, in radians, as the table gives them.
        amplitude_range: Smallest and largest amplitude.
        phase_monotonic: Whether the phase never falls, or never rises, with the control value.
        amplitude_monotonic: The same of the amplitude.
        largest_gap: The widest arc of the circle, in radians, that no state's phase falls into. States without light
            do not count; 2 pi / ``levels`` is the least it can be, 2 pi means that all phases are one.
        duplicates: How many states repeat another one's complex value.
        largest_spread: Of repeated readings of a level, as `DeviceStates.spread` has it; None where that is.
        warnings: A plain sentence for each thing worth a look.
    """

    levels: int
    phase_stroke: float
    amplitude_range: tuple[float, float]
    phase_monotonic: bool
    amplitude_monotonic: bool
    largest_gap: float
    duplicates: int
    largest_spread: float | None
    warnings: tuple[str, ...]


def summary(states: DeviceStates) -> Summary:
    """Describe a device, and say what may surprise whoever trains for it."""
    order = np.argsort(states.control)
    phase, amplitude = states.phase[order], states.amplitude[order]
    figures = Summary(
        levels=len(states),
        phase_stroke=float(np.ptp(phase)),
        amplitude_range=(float(amplitude.min()), float(amplitude.max())),
        phase_monotonic=_monotonic(phase),
        amplitude_monotonic=_monotonic(amplitude),
        largest_gap=_largest_gap(phase[amplitude > 0]),
        duplicates=_duplicates(states.values()),
        largest_spread=None if states.spread is None else float(np.nanmax(states.spread)),
        warnings=(),
    )
    return Summary(**{**vars(figures), "warnings": tuple(_warnings(states, figures))})


def _warnings(states: DeviceStates, figures: Summary) -> list[str]:
    warnings = []
    if figures.phase_stroke == 0 and figures.amplitude_range[0] == figures.amplitude_range[1]:
        warnings.append("All states are the same: no choice of levels can change the light.")
    elif figures.duplicates:
        warnings.append(f"{figures.duplicates} of {figures.levels} states repeat another state's amplitude and phase.")
    if 0 < figures.phase_stroke < math.pi:
        warnings.append(
            f"The phase stroke is {figures.phase_stroke:.2f} rad, less than half a turn: light cannot be sent to "
            "interfere destructively by phase alone."
        )
    if figures.amplitude_range[1] > 1 + _GAIN:
        warnings.append(
            f"The largest amplitude is {figures.amplitude_range[1]:.4g}, above 1: a device that does not amplify has "
            "been scaled, or the column holds something else."
        )
    order = np.argsort(states.control)
    jumps = np.abs(np.diff(states.phase[order]))
    if jumps.max() > math.pi:
        below, above = order[jumps.argmax() :][:2]
        warnings.append(
            f"The phase jumps by more than pi between levels {below} and {above}: wrapped, or too few levels measured."
        )
    if states.spread is not None and np.nanmax(states.spread) > _UNSTEADY * figures.amplitude_range[1]:
        level = int(np.nanargmax(states.spread))
        warnings.append(
            f"Repeated readings of level {level} spread by {states.spread[level]:.2g} about an amplitude of "
            f"{states.amplitude[level]:.2g}: the bench drifted between them, or each scan has a phase reference of "
            "its own."
        )
    return warnings


def _monotonic(values: NDArray[np.float64]) -> bool:
    steps = np.diff(values)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _largest_gap(phase: NDArray[np.float64]) -> float:
    around = np.sort(np.mod(phase, 2 * np.pi))
    return float(np.diff(around, append=around[0] + 2 * np.pi).max())


def _duplicates(values: NDArray[np.complex128]) -> int:
    """How many values lie on an earlier one; along the sorted real parts only close ones are compared."""
    tolerance = _SAME * float(np.abs(values).max())
    values = values[np.argsort(values.real, kind="stable")]
    first = np.searchsorted(values.real, values.real - tolerance)
    return sum(bool((np.abs(values[first[i] : i] - values[i]) <= tolerance).any()) for i in range(1, len(values)))
