"""Phases as tables have them, in radians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeviceError
from voltphase.core.units import LARGEST_PHASE
from voltphase.devices.tables.columns import PHASE_SHOWN, PHASE_UNITS, phase_unit
from voltphase.devices.tables.rows import cure
from voltphase.devices.tables.text_table import TextTable


def in_radians(
    table: TextTable, values: NDArray[np.float64], heading: str = "", given: str | None = None
) -> tuple[NDArray[np.float64], str]:
    """Return the phases in radians, and what was done to get them; empty if nothing was.

    The unit is the one of `PHASE_UNITS` that someone gave, else what the column's heading or a comment
    ``# phase_unit:`` of the table says, else radians.

    Raises:
        DeviceError: if the table names two units or one that is not known, or names none and the phases look like
            degrees.
    """
    said = table.notes.get("phase_unit", "")
    unit = given
    if unit is None:
        units = {words: phase_unit(words) for words in (heading, said) if words}
        for words, known in units.items():
            if known is None:
                raise DeviceError(
                    f"expected phases in a unit that is known, but {table.path} has them in {words!r:.60}: convert the "
                    f"column, or run {cure(table.path, '--phase-unit', 'UNIT')} with one of {', '.join(PHASE_UNITS)}"
                )
        if len(set(units.values())) > 1:
            raise DeviceError(
                f"expected one unit of phase in {table.path}, but the header says {heading} and the line "
                f"'# phase_unit:' {said}: correct one, or run "
                f"{cure(table.path, '--phase-unit', units[heading] or 'rad')}"
            )
        unit = next(iter(units.values()), None)
    elif unit not in PHASE_UNITS:
        raise DeviceError(f"expected a unit of phase, but got {unit!r:.60}: use one of {', '.join(PHASE_UNITS)}")
    if unit is None:
        worst = int(np.abs(values).argmax())
        if abs(values[worst]) > LARGEST_PHASE:
            raise table.rows[worst].error(
                f"expected phases in radians, but {values[worst]:g} looks like degrees: run "
                f"{cure(table.path, '--phase-unit', 'deg')}, or add the line '# phase_unit: rad' if these are radians"
            )
        return values, ""
    return (values, "") if unit == "rad" else (values * PHASE_UNITS[unit], f"phase converted from {PHASE_SHOWN[unit]}")
