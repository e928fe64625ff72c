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
        control: Control values, float64 on the CPU always: neighbours may differ in the tenth digit, and responses are
            fitted there.
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
        amplitude, phase = (torch.tensor(column, dtype=dtype.to_real()) for column in (states.amplitude, states.phase))
        return cls(torch.tensor(states.control), amplitude, phase, torch.tensor(states.values(), dtype=dtype))

    def __len__(self) -> int:
        return len(self.amplitude)
