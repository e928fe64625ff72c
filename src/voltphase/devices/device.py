"""The protocol that every device follows, whether its pixels are all alike or not."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voltphase.devices.pick import Pick
from voltphase.devices.states import DeviceStates


@runtime_checkable
class Device(Protocol):
    """The discrete states of a device's pixels: one table for all (`DeviceStates`) or a `DevicePanel` of several.

    A level means the same control value at every pixel; the state that it gives may differ from pixel to pixel.
    """

    @property
    def name(self) -> str:
        """The name of the device, on one line."""
        ...

    @property
    def digest(self) -> str:
        """The SHA-256, in hexadecimal, of all figures that change the light, whatever the names."""
        ...

    @property
    def control(self) -> NDArray[np.float64]:
        """The ``K`` control values, one for each level."""
        ...

    @property
    def control_unit(self) -> str:
        """The unit of the control values."""
        ...

    @property
    def wavelength(self) -> float | None:
        """The wavelength in metres that the states were measured or computed for; None if it is not known."""
        ...

    @property
    def tables(self) -> tuple[DeviceStates, ...]:
        """The tables of states that pixels follow; only one if all pixels are alike."""
        ...

    @property
    def regions(self) -> NDArray[np.int64] | None:
        """The index of the table that each pixel follows, -1 where it is inactive; None if all pixels are alike."""
        ...

    @property
    def inactive(self) -> NDArray[np.bool_]:
        """Whether a pixel is inactive: ``rows x columns``, or a single False if all pixels are alike."""
        ...

    @property
    def inactive_value(self) -> complex:
        """The complex factor on the light at inactive pixels."""
        ...

    def __len__(self) -> int:
        """Return the number of levels."""
        ...

    def states_at(self, levels: NDArray[np.integer]) -> NDArray[np.complex128]:
        """Return the complex factor on the light at each pixel.

        Args:
            levels: Level of each pixel, ``rows x columns`` whole numbers.
        """
        ...

    def pick(self, k: int, by: Pick = "spread") -> Device:
        """Choose some of the levels; states are never interpolated.

        Args:
            k: Number of levels to keep.
            by: Rule by which they are chosen; see `DeviceStates.pick`.
        """
        ...

    def save(self, path: str | Path) -> None:
        """Write the device so that `voltphase.devices.load` reads it back.

        Args:
            path: CSV file of a table, or new folder of a panel.
        """
        ...
