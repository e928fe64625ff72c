"""What a table of states is like, in figures and in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voltphase.core.advice import advise
from voltphase.core.errors import VoltphaseWarning
from voltphase.core.units import LARGEST_PHASE, metres
from voltphase.devices.device import Device
from voltphase.devices.noise import Noise, measure_noise
from voltphase.devices.states import DeviceStates

# States nearer than this, relative to the largest amplitude, are one and the same for any optics.
_SAME = 1e-9
# An amplitude above 1 by more than the noise of a calibration, a tenth of the power, means that light was gained. It is
# a warning and no error: a common factor changes no prediction, and a table has to be readable to be calibrated.
_GAIN = 0.05
# So many times its scatter noise hardly lifts one of some hundred states.
_RARE = 4
# Amplitudes up to this, and above half of it, look like per cent; above it, like what a detector counts.
_PER_CENT = 105.0
# A modulator for visible light turns the phase by about a full turn: what that is in units of pi, and in turns.
_FULL_IN_PI, _FULL_IN_TURNS = (1.5, 2.05), (0.85, 1.02)
# Noise this large against the step from level to level decides which of neighbouring levels is the better one; less of
# it than this part of the largest amplitude is none that light could tell.
_NOISY, _FAINT = 0.6, 0.005
# Of few states each counts: two this close, relative to the largest amplitude, are no choice.
_FEW, _CLOSE = 16, 0.05
_MOST_NAMED = 3
# In radians: about what a calibration is right to.
_OFF_PHASE = 0.05
# Repeats of a stable bench agree within a few percent; a tenth of the largest amplitude is 0.1 rad of a bright state.
_UNSTEADY = 0.1


class DeviceWarning(VoltphaseWarning):
    """A table of states in which something looks wrong, and that is used as it is."""


@dataclass(frozen=True)
class Note:
    """One thing worth a look in a table."""

    kind: str  # its subject, in a word
    text: str  # what there is to say, in a plain sentence
    doubtful: bool = False  # whether the table is likely to be wrong, rather than the device to be limited


@dataclass(frozen=True)
class Summary:
    """A device in a few figures.

    Attributes:
        levels: Number of states.
        phase_stroke: Largest less smallest phase, in radians, as the table gives them.
        amplitude_range: Smallest and largest amplitude.
        phase_monotonic: Whether the phase never falls, or never rises, with the control value.
        amplitude_monotonic: Whether the amplitude never falls, or never rises, with the control value.
        largest_gap: The widest arc of the circle, in radians, that no state's phase falls into. States without light
            do not count; 2 pi / ``levels`` is the least it can be, 2 pi means that all phases are one.
        duplicates: Number of states that repeat another one's complex value.
        largest_spread: Largest spread of repeated readings of a level; None if none is known.
        notes: What is worth a look.
    """

    levels: int
    phase_stroke: float
    amplitude_range: tuple[float, float]
    phase_monotonic: bool
    amplitude_monotonic: bool
    largest_gap: float
    duplicates: int
    largest_spread: float | None
    notes: tuple[Note, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """A plain sentence for each thing worth a look."""
        return tuple(note.text for note in self.notes)


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
        notes=(),
    )
    noise = measure_noise(states)
    notes = (
        *_of_choice(states, figures),
        *_of_units(states, figures, noise),
        *_of_measurement(states, figures.amplitude_range[1], noise),
    )
    return replace(figures, notes=notes)


def _of_wavelength(states: DeviceStates, wavelength: float | None) -> Iterator[Note]:
    """Yield a note if a table was measured or computed for a wavelength so different that its phases are wrong.

    A device turns the phase about in inverse proportion to the wavelength: where that puts no state's phase off by more
    than 0.05 rad, as a wavelength within 0.8 % does for a full turn, nothing is noted.
    """
    if states.wavelength is None or wavelength is None:
        return
    off = float(np.ptp(states.phase)) * abs(states.wavelength / wavelength - 1)
    if off <= _OFF_PHASE:
        return
    text = (
        f"Its states hold at a wavelength of {metres(states.wavelength)}, but that of the light is "
        f"{metres(wavelength)}, where phases are about {states.wavelength / wavelength:.3g} times as large: up to "
        f"{off:.2g} rad off. Use states at {metres(wavelength)}, or light of {metres(states.wavelength)}."
    )
    yield Note("wavelength", text, doubtful=True)


def warn_of(
    device: Device, wavelength: float | None = None, *, doubtful_only: bool = False, one_of_several: bool = False
) -> list[str]:
    """Warn of what is worth a look in a device's tables, also at this wavelength of the light; return the sentences.

    With ``doubtful_only``, what describes a sound but limited device is left out; of a wavelength that is
    ``one_of_several`` sentences name it, as levels that are alike there may differ at another.

    Warns:
        DeviceWarning: for each of them.
    """
    said = []
    at = f" at {metres(wavelength)}" if one_of_several and wavelength is not None else ""
    for table in {table.digest: table for table in device.tables}.values():
        for note in (*summary(table).notes, *_of_wavelength(table, wavelength)):
            if note.doubtful or not doubtful_only:
                said.append(f"device {table.name}{at}: {note.text}")
                advise(said[-1], DeviceWarning, f"{table.name}{at}", note.kind)
    return said


def _of_choice(states: DeviceStates, figures: Summary) -> Iterator[Note]:
    brightest = figures.amplitude_range[1]
    if figures.phase_stroke == 0 and figures.amplitude_range[0] == brightest:
        yield Note("same", "All states are the same: no choice of levels can change the light.")
    elif figures.duplicates:
        text = f"{figures.duplicates} of {figures.levels} states repeat another state's amplitude and phase."
        yield Note("duplicates", text)
    elif figures.levels <= _FEW and closest(states)[2] <= _CLOSE * brightest:
        first, second, apart = closest(states)
        text = f"Levels {first} and {second} lie {apart:.2g} apart on the complex plane: light sees them as one."
        yield Note("close", text)


def _of_units(states: DeviceStates, figures: Summary, noise: Noise | None) -> Iterator[Note]:
    between = states.control[states.control != np.round(states.control)]
    if len(between) and states.control_unit == "grey level":
        text = (
            f"The control value {between[0]:g} is not whole, but without a unit control values are grey levels: name "
            "theirs in a line of the table, such as '# control_unit: V'."
        )
        yield Note("control unit", text, doubtful=True)
    largest, brightest = float(np.abs(states.phase).max()), figures.amplitude_range[1]
    if largest > LARGEST_PHASE:
        text = f"The phases reach {largest:.4g} rad, which looks like degrees: convert them to radians."
        yield Note("phase unit", text, doubtful=True)
    elif 0 < figures.phase_stroke < math.pi:
        hint = _other_unit(figures.phase_stroke, largest)
        text = (
            f"The phase stroke is {figures.phase_stroke:.2f} rad, less than half a turn: light cannot be sent to "
            f"interfere destructively by phase alone{hint}."
        )
        yield Note("stroke", text, doubtful=bool(hint))
    if brightest > 1 + max(_GAIN, 0.0 if noise is None else _RARE * noise.scatter):
        text = (
            f"The largest amplitude is {brightest:.4g}, above 1: a device that does not amplify has been scaled, or "
            f"the column holds {_not_amplitudes(brightest)}. Shares of light come out too large by it; divide by a "
            "reference."
        )
        yield Note("gain", text, doubtful=True)


def _of_measurement(states: DeviceStates, brightest: float, noise: Noise | None) -> Iterator[Note]:
    order = np.argsort(states.control)
    jumps = np.abs(np.diff(states.phase[order]))
    if jumps.max() > math.pi:
        below, above = order[jumps.argmax() :][:2]
        text = (
            f"The phase jumps by more than pi between levels {below} and {above}: wrapped, or too few levels measured."
        )
        yield Note("jump", text)
    if states.spread is not None and np.nanmax(states.spread) > _UNSTEADY * brightest:
        level = int(np.nanargmax(states.spread))
        text = (
            f"Repeated readings of level {level} spread by {states.spread[level]:.2g} about an amplitude of "
            f"{states.amplitude[level]:.2g}: the bench drifted between them, or each scan has a phase reference of "
            "its own."
        )
        yield Note("unsteady", text, doubtful=True)
    if noise is not None and len(noise.spikes):
        yield Note("spikes", _spikes(noise), doubtful=True)
    if noise is not None and noise.scatter > max(_NOISY * noise.step, _FAINT * brightest):
        text = (
            f"The states scatter by {noise.scatter:.2g} about a smooth curve, and lie {noise.step:.2g} apart along it: "
            "training will choose for many pixels the few levels that noise favoured. Take the mean of repeated "
            "readings, or smooth the table."
        )
        yield Note("noise", text, doubtful=True)


def _other_unit(stroke: float, largest: float) -> str:
    """Return what a small stroke may be in another unit, as the end of a sentence; nothing where it is not likely."""
    for unit, (low, high), factor in (("units of π", _FULL_IN_PI, "pi"), ("turns", _FULL_IN_TURNS, "2 pi")):
        if low <= stroke <= high and largest <= high:
            return f"; or the column is in {unit}, where this is a full turn, and has to be multiplied by {factor}"
    return ""


def _not_amplitudes(largest: float) -> str:
    if largest > _PER_CENT:
        return "readings of a detector, of which an amplitude is the square root, relative to a reference"
    if largest > _PER_CENT / 2:
        return "per cent: of the power, of which an amplitude is the square root of a hundredth"
    return "something else, such as powers"


def closest(states: DeviceStates) -> tuple[int, int, float]:
    """Return the two nearest states on the complex plane, and their distance."""
    values = states.values()
    best = (0, 1, math.inf)
    for i in range(len(values) - 1):
        apart = np.abs(values[i + 1 :] - values[i])
        j = int(apart.argmin())
        if apart[j] < best[2]:
            best = (i, i + 1 + j, float(apart[j]))
    return best


def _spikes(noise: Noise) -> str:
    named = ", ".join(str(level) for level in noise.spikes[:_MOST_NAMED])
    more = len(noise.spikes) - _MOST_NAMED
    if more > 0:
        levels = f"Levels {named} and {more} more stand"
    else:
        levels = f"Level {named} stands" if len(noise.spikes) == 1 else f"Levels {named} stand"
    return (
        f"{levels} out from the levels beside by up to {noise.deviations[0]:.2g} on the complex plane: a spike of the "
        "measurement, which training would choose for many pixels. Measure again, leave it out, or smooth the table."
    )


def _monotonic(values: NDArray[np.float64]) -> bool:
    steps = np.diff(values)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _largest_gap(phase: NDArray[np.float64]) -> float:
    around = np.sort(np.mod(phase, 2 * np.pi))
    return float(np.diff(around, append=around[0] + 2 * np.pi).max())


def _duplicates(values: NDArray[np.complex128]) -> int:
    """Return how many values lie on an earlier one; along the sorted real parts only close ones are compared."""
    tolerance = _SAME * float(np.abs(values).max())
    values = values[np.argsort(values.real, kind="stable")]
    first = np.searchsorted(values.real, values.real - tolerance)
    return sum(bool((np.abs(values[first[i] : i] - values[i]) <= tolerance).any()) for i in range(1, len(values)))
