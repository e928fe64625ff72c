"""A device's states as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
        others: The same levels at the further wavelengths of the light, if there are several.
    """

    control: Tensor
    amplitude: Tensor
    phase: Tensor
    values: Tensor
    spread: Tensor | None = None
    others: tuple[StateTable, ...] = ()

    @classmethod
    @with_standard_torch
    def of(
        cls, states: DeviceStates, dtype: torch.dtype = torch.complex64, others: Sequence[DeviceStates] = ()
    ) -> StateTable:
        """Return the table of a device, its complex values in ``dtype``, rounded once.

        Args:
            states: Table at the first wavelength, or the only one.
            dtype: Complex type of the values.
            others: Tables of the same levels at further wavelengths.
        """
        amplitude, phase = (torch.tensor(column, dtype=dtype.to_real()) for column in (states.amplitude, states.phase))
        values = torch.tensor(states.values(), dtype=dtype)
        spread = None
        if states.spread is not None:
            known = torch.tensor(states.spread, dtype=dtype.to_real())
            spread = torch.where(known.isnan(), known.square().nanmean().sqrt(), known)
        further = tuple(cls.of(other, dtype) for other in others)
        return cls(torch.tensor(states.control), amplitude, phase, values, spread, further)

    @property
    def each(self) -> tuple[StateTable, ...]:
        """The table at each wavelength alone, in turn."""
        return (replace(self, others=()), *self.others) if self.others else (self,)

    def over(self, make: Callable[[StateTable], Tensor]) -> Tensor:
        """Return what is made of the table; where there are several wavelengths, of each, along a new first axis.

        One draw, or one set of weights, is made into modulations so: a level gives a state at every wavelength.

        Args:
            make: Function of the table at one wavelength.
        """
        return torch.stack([make(one) for one in self.each]) if self.others else make(self)

    def __len__(self) -> int:
        return len(self.amplitude)
