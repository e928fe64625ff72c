"""The states a device's pixel can be in."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.display.card import card
from voltphase.core.display.pictures import states_picture
from voltphase.core.errors import DeviceError
from voltphase.core.files import write_text
from voltphase.core.units import require_wavelength
from voltphase.core.words import one_line
from voltphase.devices.pick import Pick, pick_levels

# Beyond this, squares and fits leave the range of floating-point numbers.
_LARGEST = 1e100
# Readings of one level that scatter by more than this, in units of the largest amplitude, are none of one state.
_LARGEST_SPREAD = 2.0


@dataclass(frozen=True, eq=False)
class DeviceStates:
    """The ``K`` states of a pixel: each a control value with the amplitude *and* the phase it gives.

    The level of a state is its index. The three columns are read-only float64 arrays of length ``K``.

    Args:
        control: ``K`` distinct values to send to the driver, one for each level, in ``control_unit``.
        amplitude: Factor on the amplitude of the light (not its intensity): ``K`` numbers of at least zero, one of
            them above.
        phase: ``K`` phases in radians as measured, in any order, wrapped or not.
        name: Name of the device. Kept on one line, as are unit and source.
        control_unit: Unit of the control values, such as ``"grey level"`` or ``"V"``.
        source: Where the figures come from, and what was done to them.
        spread: Standard deviation of repeated readings of each level about its complex value, as a distance on the
            complex plane: ``K`` numbers of at least zero, NaN where a level was read once. None, as if all were NaN,
            if nothing is known.
        wavelength: Vacuum wavelength in metres that the states were measured or computed for; None if it is not known,
            or if they are the same at any.

    Attributes:
        digest: SHA-256, in hexadecimal, of control, amplitude and phase as little-endian float64, one column after
            the other. The same figures under another name, with another spread or wavelength, are the same device.

    Raises:
        DeviceError: if a column is not a list of finite numbers, the lengths differ, there are fewer than two states,
            a control value comes twice, an amplitude or a spread is negative, a number is beyond 1e100, a spread is
            more than twice the largest amplitude, all amplitudes are zero, or the wavelength is none that light has.

    Examples:
        >>> device = DeviceStates(control=[0, 1.2, 1.9], amplitude=[1, 0.9, 0.7], phase=[0, 0.74, 1.93], name="mine")
        >>> device.values().round(2).tolist()
        [(1+0j), (0.66+0.61j), (-0.25+0.66j)]
    """

    control: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    phase: NDArray[np.float64]
    name: str
    control_unit: str = "grey level"
    source: str = ""
    spread: NDArray[np.float64] | None = None
    wavelength: float | None = None
    digest: str = field(init=False)
    # As `Device` has them: all pixels are alike, and none is inactive.
    regions: None = field(default=None, init=False)
    inactive_value: complex = field(default=0j, init=False)

    def __post_init__(self) -> None:
        for text in ("name", "control_unit", "source"):
            object.__setattr__(self, text, one_line(str(getattr(self, text))))
        for column in ("control", "amplitude", "phase"):
            object.__setattr__(self, column, _column(getattr(self, column), column, self.name))
        self._check()
        if self.spread is not None:
            object.__setattr__(self, "spread", _spread(self.spread, self.amplitude, self.name))
        if self.wavelength is not None:
            require_wavelength(self.wavelength, DeviceError)
            object.__setattr__(self, "wavelength", float(self.wavelength))
        table = np.stack([self.control, self.amplitude, self.phase]).astype("<f8")
        object.__setattr__(self, "digest", hashlib.sha256(table.tobytes()).hexdigest())

    def __len__(self) -> int:
        return len(self.control)

    @property
    def tables(self) -> tuple[DeviceStates, ...]:
        """The table that all pixels follow: this one."""
        return (self,)

    @property
    def inactive(self) -> NDArray[np.bool_]:
        """A single False, as no pixel is inactive."""
        return np.array(False)

    def __repr__(self) -> str:
        return f"DeviceStates({self.name!r}, {len(self)} states, digest {self.digest[:12]})"

    def _repr_html_(self) -> str:
        low, high = self.control.min(), self.control.max()
        amplitudes = f"{self.amplitude.min():.3g} to {self.amplitude.max():.3g}"
        facts = {"states": str(len(self)), "control": f"{low:g} to {high:g} {self.control_unit}"}
        facts |= {"amplitude": amplitudes, "phase": f"{self.phase.min():.3g} to {self.phase.max():.3g} rad"}
        return card(
            self.name, {**facts, "source": self.source, "digest": self.digest[:12]}, [states_picture(self.values())]
        )

    def values(self) -> NDArray[np.complex128]:
        """Return the states as ``K`` complex numbers, amplitude times exp(i phase)."""
        return (self.amplitude * np.exp(1j * self.phase)).astype(np.complex128)

    def states_at(self, levels: NDArray[np.integer]) -> NDArray[np.complex128]:
        """Return the complex state at each of some levels, in an array of their shape.

        Args:
            levels: Whole numbers from 0 to ``len(self) - 1``.
        """
        return self.values()[levels]

    def pick(self, k: int, by: Pick = "spread") -> DeviceStates:
        """Choose ``k`` of the states, in ascending order of control; states are never interpolated.

        Args:
            k: Number of states to keep, from 2 to ``len(self)``.
            by: ``"spread"`` spreads them on the complex plane, whatever their control values: the two farthest apart
                first, then always the one farthest from those chosen (Gonzalez 1985, "Clustering to minimize the
                maximum intercluster distance"), then, up to 64 states, single ones are exchanged as long as that takes
                the closest of them further apart. ``"even"`` spaces them evenly by position and ``"control"`` evenly
                over the range of control values (the measured states nearest to that), both with the lowest and the
                highest control value among them.

        Raises:
            DeviceError: if ``k`` is not a whole number in that range, ``by`` is none of these words, or all states it
                picks are dark.
        """
        return self.taking(pick_levels(self.control, self.values(), k, by, self.name), by)

    def taking(self, levels: NDArray[np.int64], by: str) -> DeviceStates:
        """Keep the given levels only, in the order given, and note the rule they were picked by in ``source``."""
        if len(levels) == len(self) and bool(np.all(np.diff(levels) == 1)):
            return self
        note = f"{len(levels)} of {len(self)} states, picked by {by}"
        if not self.amplitude[levels].any():
            raise DeviceError(
                f"expected some light from {self.name}, but {note}, are all dark: pick more states, or by spread"
            )
        return replace(
            self,
            control=self.control[levels],
            amplitude=self.amplitude[levels],
            phase=self.phase[levels],
            spread=None if self.spread is None else self.spread[levels],
        ).noting(note)

    def noting(self, note: str) -> DeviceStates:
        """Return the same states, with a note on what was done to them at the end of ``source``."""
        return replace(self, source=f"{self.source}; {note}" if self.source else note)

    def save(self, path: str | Path) -> None:
        """Write the table as a CSV that `voltphase.devices.load` reads back to the very same numbers and words.

        Raises:
            OutputError: if the file cannot be written; nothing half-written is left.
        """
        lines = [
            "# voltphase-device: 1",
            _comment(f"# name: {self.name}"),
            _comment(f"# control_unit: {self.control_unit}"),
            "# phase_unit: rad",
            *([] if self.wavelength is None else [f"# wavelength: {self.wavelength!r}"]),
            _comment(f"# source: {self.source}"),
            "level,control,amplitude,phase" + ("" if self.spread is None else ",spread"),
        ]
        columns = [self.control, self.amplitude, self.phase, *([] if self.spread is None else [self.spread])]
        for level, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            lines.append(",".join([str(level), *("" if math.isnan(number) else repr(number) for number in row)]))
        write_text(path, "\n".join(lines) + "\n")

    def _check(self) -> None:
        lengths = [len(self.control), len(self.amplitude), len(self.phase)]
        if len(set(lengths)) > 1:
            raise DeviceError(
                f"expected control, amplitude and phase of {self.name} to have equal lengths, but got "
                f"{lengths[0]}, {lengths[1]} and {lengths[2]}: give all three for each level"
            )
        if len(self) < 2:
            raise DeviceError(
                f"expected at least two states in {self.name}, but got {len(self)}: a pixel needs a choice"
            )
        for level in np.flatnonzero(self.amplitude < 0):
            raise DeviceError(
                f"expected amplitudes of at least zero in {self.name}, but level {level} has "
                f"{self.amplitude[level]:g}: put a sign into the phase, as a shift by pi"
            )
        if not (self.amplitude > 0).any():
            raise DeviceError(
                f"expected some light from {self.name}, but all amplitudes are zero: check the column's scale"
            )
        order = np.argsort(self.control, kind="stable")
        for place in np.flatnonzero(np.diff(self.control[order]) == 0):
            first, second = sorted(order[place : place + 2].tolist())
            raise DeviceError(
                f"expected distinct control values in {self.name}, but levels {first} and {second} both have "
                f"{self.control[first]:g}: keep one of them"
            )


def as_numbers(given: object, what: str) -> NDArray[np.float64]:
    """Return a list of numbers as a new array, or raise a DeviceError that names it."""
    try:
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise DeviceError(f"expected a list of numbers as {what}, but got {checks.shown(given)}") from error


def _read_only(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Minus zero would give equal tables different digests.
    values += 0.0
    values.setflags(write=False)
    return values


def _spread(given: object, amplitude: NDArray[np.float64], name: str) -> NDArray[np.float64] | None:
    count, values = len(amplitude), as_numbers(given, f"spread of {name}")
    if values.shape != (count,):
        raise DeviceError(
            f"expected a spread for each of the {count} levels of {name}, but got an array of shape {values.shape}: "
            "give NaN for a level read once"
        )
    for level in np.flatnonzero((values < 0) | np.isinf(values)):
        raise DeviceError(
            f"expected spreads of at least zero in {name}, but level {level} has {values[level]:g}: give a standard "
            "deviation, or NaN for a level read once"
        )
    if np.isnan(values).all():
        return None
    if np.nanmax(values) > _LARGEST_SPREAD * amplitude.max():
        level = int(np.nanargmax(values))
        raise DeviceError(
            f"expected spreads of {name} on the scale of its amplitudes, which go up to {amplitude.max():g}, but level "
            f"{level} has {values[level]:g}: divide by a hundred what is in per cent"
        )
    return _read_only(values)


def _column(given: object, column: str, name: str) -> NDArray[np.float64]:
    values = as_numbers(given, f"{column} of {name}")
    if values.ndim != 1:
        raise DeviceError(
            f"expected a list of numbers as {column} of {name}, but got an array of shape {values.shape}: "
            "give one number for each level"
        )
    for level in np.flatnonzero(~np.isfinite(values)):
        raise DeviceError(
            f"expected finite numbers as {column} of {name}, but level {level} has {values[level]}: "
            "measure that state again or leave it out"
        )
    for level in np.flatnonzero(np.abs(values) > _LARGEST):
        raise DeviceError(
            f"expected numbers of at most {_LARGEST:g} as {column} of {name}, but level {level} has {values[level]:g}: "
            "check the column's unit"
        )
    return _read_only(values)


def _comment(text: str) -> str:
    """Return a comment as one cell of a CSV, which a spreadsheet neither cuts nor takes for several values."""
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(mark in text for mark in ',;"') else text
