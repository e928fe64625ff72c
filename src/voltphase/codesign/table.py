"""A device's states as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from voltphase.devices import DeviceStates


@dataclass(frozen=True, eq=False)
class StateTable:
    """The ``levels`` states a pixel can be in, one row of four tensors each.

    Attributes:
        control: Control values, real.
        amplitude: Real, at least zero.
        phase: Real, in radians.
        values: ``amplitude * exp(1j * phase)``, complex.
    """

    control: Tensor
    amplitude: Tensor
    phase: Tensor
    values: Tensor

    @classmethod
    def of(cls, states: DeviceStates, dtype: torch.dtype = torch.complex64) -> StateTable:
        """The table of a device, its complex values in ``dtype``, rounded once."""
        control, amplitude, phase = (
            torch.tensor(column, dtype=dtype.to_real()) for column in (states.control, states.amplitude, states.phase)
        )
        return cls(control, amplitude, phase, torch.tensor(states.values(), dtype=dtype))

    def __len__(self) -> int:
        return len(self.amplitude)
