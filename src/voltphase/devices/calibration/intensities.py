"""From raw readings to a table of states: each step a pure function that records in ``source`` what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.devices.states import DeviceStates, as_numbers


def from_readings(
    control: Sequence[float] | NDArray[np.float64],
    intensity: Sequence[float] | NDArray[np.float64],
    phase: Sequence[float] | NDArray[np.float64],
    *,
    reference: float | Sequence[float] | NDArray[np.float64],
    dark: float = 0.0,
    name: str,
    control_unit: str = "grey level",
    source: str = "",
) -> DeviceStates:
    """Return states from intensities: the amplitude is sqrt((intensity - dark) / (reference - dark)).

    Readings below the dark one, as noise has it where a state lets no light through, count as dark; how many is
    recorded.

    Args:
        control: ``K`` values that the driver was sent, one for each level.
        intensity: ``K`` intensities read, one for each level, in any unit.
        phase: ``K`` phases in radians.
        reference: Intensity read without the device, or with an ideal one: one number, or ``K`` taken along with the
            levels, which takes out the drift of the light source.
        dark: Intensity read without light.
        name: Name of the device.
        control_unit: Unit of the control values.
        source: Where the readings come from.

    Raises:
        DeviceError: if the readings are not numbers, their counts differ, a reference is not above the dark reading,
            or the states cannot be a device's.
    """
    amplitude, note = amplitude_of(intensity, reference, dark, name)
    control, phase = _numbers(control, "control values", name), _numbers(phase, "phase", name)
    states = DeviceStates(control, amplitude, phase, name, control_unit, source)
    return states.noting(note)


def amplitude_of(
    intensity: Sequence[float] | NDArray[np.float64],
    reference: float | Sequence[float] | NDArray[np.float64],
    dark: float,
    name: str,
) -> tuple[NDArray[np.float64], str]:
    """Return the amplitudes that `from_readings` makes of intensities, and what was done."""
    readings = _numbers(intensity, "intensity", name)
    references = _numbers(reference, "reference", name)
    if readings.ndim != 1 or references.shape not in ((), readings.shape):
        raise DeviceError(
            f"expected an intensity for each level of {name} and one reference, or one for each level too, but got "
            f"shapes {readings.shape} and {references.shape}"
        )
    checks.number(dark, f"the dark reading of {name}", error=DeviceError)
    if (references <= dark).any():
        raise DeviceError(
            f"expected reference readings of {name} above the dark one, but got {references.min():g} with {dark:g} "
            "dark: measure the reference with all the light"
        )
    below = int((readings < dark).sum())
    amplitude = np.sqrt(np.maximum(readings - dark, 0.0) / (references - dark))
    to = f"a reference of {references:g}" if references.ndim == 0 else "a reference for each level"
    note = f"amplitude is the square root of intensity relative to {to}, both less {dark:g} dark"
    if below:
        note += f"; {below} of {len(readings)} readings below that taken as dark"
    return amplitude, note


def normalise(
    states: DeviceStates, *, level: int | None = None, amplitude: float = 1.0, phase: float = 0.0
) -> DeviceStates:
    """Divide all states, and their spread, by a reference: one of the levels, or a reading taken elsewhere.

    Args:
        states: Table of states to normalise.
        level: Level of the state that becomes 1; None for a reference reading.
        amplitude: Amplitude of the reference reading, above zero.
        phase: Phase of the reference reading in radians. It is subtracted as it is; no phase is wrapped.

    Raises:
        DeviceError: if there is no such level, or the reference has no light.
    """
    checks.instance(states, DeviceStates, "the states of a device", error=DeviceError)
    if level is None:
        phase = checks.number(phase, f"a phase of the reference for {states.name}", error=DeviceError)
        checks.number(amplitude, f"an amplitude of the reference for {states.name}", error=DeviceError)
        reading = f"a reference reading of amplitude {amplitude!r} and phase {phase!r}"
    else:
        at = checks.whole(level, f"level for {states.name}", least=0, most=len(states) - 1, error=DeviceError)
        amplitude, phase = float(states.amplitude[at]), float(states.phase[at])
        reading = f"level {at}, of amplitude {amplitude!r} and phase {phase!r}"
    if amplitude <= 0:
        raise DeviceError(
            f"expected a reference for {states.name} with some light and a phase, but got amplitude {amplitude:g} and "
            f"phase {phase:g}: take a brighter one"
        )
    return replace(
        states,
        amplitude=states.amplitude / amplitude,
        phase=states.phase - phase,
        spread=None if states.spread is None else states.spread / amplitude,
    ).noting(f"normalised to {reading}")


def unwrap(states: DeviceStates, *, dark: float = 0.0) -> DeviceStates:
    """Make the phase continuous along ascending control values, by whole turns; the complex states stay what they are.

    The choice this makes is that the phase moves by less than half a turn from one level to the next. Whether that is
    so no table can tell; what is recorded lets one judge: how many levels moved by how many turns at most, and the
    largest step left, which is doubtful where it is near pi.

    Args:
        states: Table of states to unwrap.
        dark: Amplitude up to which a state's phase is noise. Such states are stepped over, and put on the turn
            nearest to the brighter state before them.

    Raises:
        DeviceError: if no state is brighter than ``dark``.
    """
    checks.instance(states, DeviceStates, "the states of a device", error=DeviceError)
    checks.number(dark, "an amplitude that is dark", error=DeviceError)
    order = np.argsort(states.control)
    phase, bright = states.phase[order], states.amplitude[order] > dark
    if not bright.any():
        raise DeviceError(
            f"expected some states of {states.name} brighter than {dark:g}, but the brightest has "
            f"{states.amplitude.max():g}: call less of it dark"
        )
    # The last bright level before each; those before the first bright one follow that.
    first = int(np.flatnonzero(bright)[0])
    before = np.maximum.accumulate(np.where(bright, np.arange(len(phase)), first))
    before = np.concatenate([[first], before[:-1]])
    turns = -np.round((phase - phase[before]) / (2 * np.pi))
    for i in range(first + 1, len(turns)):
        turns[i] += turns[before[i]]
    moved = phase + 2 * np.pi * turns
    lit = moved[bright]
    largest = float(np.abs(np.diff(lit)).max()) if len(lit) > 1 else 0.0
    count, most = int((turns != 0).sum()), int(np.abs(turns).max())
    note = (
        f"phase unwrapped along control, taking steps for less than half a turn: {count} of {len(states)} levels moved"
        + (f" by up to {most} turn{'s' if most > 1 else ''}" if count else "")
        + f", largest step left {largest:.3f} rad"
        + (f"; amplitudes up to {dark:g} stepped over" if not bright.all() else "")
    )
    return replace(states, phase=moved[np.argsort(order)]).noting(note)


def smooth(states: DeviceStates, window: int = 5, order: int = 2) -> DeviceStates:
    """Smooth the states on the complex plane at the levels there are; none is added, moved or left out.

    Each state becomes the value, at its own control value, of the polynomial that fits best the ``window`` states
    around it, as many on either side, or at the ends the outermost ones. With evenly spaced control values that is the
    filter of A. Savitzky and M. J. E. Golay, Anal. Chem. 36, 1627 (1964), and with ``order=0`` a moving mean; uneven
    ones are taken as they are. The phase stays on its turn. The spread, which is that of the readings, stays too.

    Args:
        states: Table of states to smooth.
        window: Number of states that each fit sees: odd, at most as many as there are.
        order: Order of the polynomial, below ``window``.

    Raises:
        DeviceError: if ``window`` or ``order`` is none of these.
    """
    checks.instance(states, DeviceStates, "the states of a device", error=DeviceError)
    width = checks.whole(window, f"window for {states.name}", least=1, most=len(states), error=DeviceError)
    degree = checks.whole(order, f"order for {states.name}", least=0, most=width - 1, error=DeviceError)
    if width % 2 == 0:
        raise DeviceError(
            f"expected an odd window to smooth {states.name}, as many states on either side, but got {width}: "
            f"take {width - 1}"
        )
    along = np.argsort(states.control)
    control, values = states.control[along], states.values()[along]
    smoothed = np.empty_like(values)
    for i, level in enumerate(along):
        start = min(max(i - width // 2, 0), len(values) - width)
        near = slice(start, start + width)
        # From this level on and in units of the window: the fit's constant is its value here, and powers stay near 1.
        distance = control[near] - control[i]
        powers = np.vander(distance / max(np.abs(distance).max(), np.finfo(float).tiny), degree + 1, increasing=True)
        smoothed[level] = np.linalg.lstsq(powers.astype(np.complex128), values[near], rcond=None)[0][0]
    largest = float(np.abs(smoothed - states.values()).max())
    return replace(
        states, amplitude=np.abs(smoothed), phase=states.phase + np.angle(smoothed * np.exp(-1j * states.phase))
    ).noting(
        f"smoothed on the complex plane along control by fits of order {degree} to {width} states, "
        f"largest change {largest:.3g}"
    )


def _numbers(given: object, what: str, name: str) -> NDArray[np.float64]:
    values = as_numbers(given, f"{what} of {name}")
    if not np.isfinite(values).all():
        raise DeviceError(
            f"expected finite numbers as {what} of {name}, but there are others: measure again, or leave the level out"
        )
    return values
