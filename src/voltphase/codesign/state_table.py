"""A device's states as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from voltphase.core.dtypes import with_standard_torch
from voltphase.devices import DeviceStates


@dataclass(frozen=True, eq=False)
class StateTable:
    """The ``levels`` states a pixel can be in, one row of each of these tensors.

    Attributes:
        control: Control values, float64 on the CPU always: neighbours may differ in the tenth digit, and responses are
            fitted there.
        amplitude: Real, at least zero.
        phase: Real, in radians.
        values: ``amplitude * exp(1j * phase)``, complex.
        spread: Standard deviation of repeated readings of each level on the complex plane, real; for a level read once
            the root mean square of the known ones. None if nothing is known.
    """

    control: Tensor
    amplitude: Tensor
    phase: Tensor
    values: Tensor
    spread: Tensor | None = None

    @classmethod
    @with_standard_torch
    def of(cls, states: DeviceStates, dtype: torch.dtype = torch.complex64) -> StateTable:
        """Return the table of a device, its complex values in ``dtype``, rounded once."""
        amplitude, phase = (torch.tensor(column, dtype=dtype.to_real()) for column in (states.amplitude, states.phase))
        values = torch.tensor(states.values(), dtype=dtype)
        spread = None
        if states.spread is not None:
            known = torch.tensor(states.spread, dtype=dtype.to_real())
            spread = torch.where(known.isnan(), known.square().nanmean().sqrt(), known)
        return cls(torch.tensor(states.control), amplitude, phase, values, spread)

    def __len__(self) -> int:
        return len(self.amplitude)
