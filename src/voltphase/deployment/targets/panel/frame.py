"""One frame of a panel: the grey level of each pixel, and which table of states it follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from voltphase.devices import DeviceStates

# Distances on the complex plane that differ by less are equal: of such states the first is taken, on any machine.
_EQUAL: Final = 1e-9
_NEIGHBOURS: Final = 4
#: The table of a pixel that follows none: one that no driver reaches, or where there is no state of such a grey level.
NO_TABLE: Final = -1


@dataclass(frozen=True, eq=False)
class Frame:
    """What a panel is sent, before any correction.

    Args:
        codes: Grey level of each pixel, ``rows x columns`` uint16.
        table: Number of the table that each pixel follows, ``rows x columns``; -1 for none.
        fixed: What the light is multiplied by at pixels without a table, ``rows x columns`` complex.
        tables: The tables of states.
    """

    codes: NDArray[np.uint16]
    table: NDArray[np.int16]
    fixed: NDArray[np.complex128]
    tables: Sequence[DeviceStates]

    def states(self, codes: NDArray[np.uint16]) -> NDArray[np.complex128]:
        """Return what the light is multiplied by at each pixel that shows one of these grey levels."""
        states = self.fixed.copy()
        for number, table in enumerate(self.tables):
            here = self.table == number
            states[here] = table.values()[levels_of(table, codes[here])]
        return states


def levels_of(device: DeviceStates, codes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the level that each grey level stands for, -1 where it is none of the device's."""
    control = device.control.astype(np.int64)
    order = np.argsort(control)
    found = order[np.clip(np.searchsorted(control, codes, sorter=order), 0, len(control) - 1)]
    return np.where(control[found] == codes, found, -1)


def nearest_levels(states: NDArray[np.complex128], wanted: NDArray[np.complex128]) -> NDArray[np.int64]:
    """Return the level whose state is nearest to each value on the complex plane, the first of those equally near.

    Examples:
        >>> nearest_levels(np.array([1, 1j, -1]), np.array([0.9, 0.1 - 2j, 1 + 1j])).tolist()
        [0, 0, 0]
    """
    count = min(_NEIGHBOURS, len(states))
    tree = KDTree(np.column_stack([states.real, states.imag]))
    points = np.column_stack([wanted.real.ravel(), wanted.imag.ravel()])
    distances, levels = tree.query(points, k=count)
    near = distances <= distances[:, :1] + _EQUAL * np.abs(states).max()
    return np.where(near, levels, len(states)).min(axis=1).reshape(wanted.shape)


def error_of(found: NDArray[np.complex128], wanted: NDArray[np.complex128], largest: float) -> dict[str, float]:
    """Return how far states are from those wanted, at most and in the root of the mean square, in amplitudes."""
    distance = np.abs(found - wanted) / largest
    return {"max": float(distance.max()), "rms": float(np.sqrt(np.mean(distance**2)))}
