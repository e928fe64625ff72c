"""Light on the detector that is not the beam's: even, incoherent, counted with the rest."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import ConfigError
from voltphase.tasks.base import Readout, RegionSums
from voltphase.tasks.window_readout import WindowReadout, root

#: The largest intensity of background light, in parts of that of a white pixel on the source.
BRIGHTEST: Final = 1e3


def checked_background(intensity: object, readout: Readout) -> float:
    """Return the intensity of background light, once a readout can count it.

    Raises:
        ConfigError: if it is no such number, or the readout is a picture of the field.
    """
    background = checks.number(intensity, "background light as an intensity", least=0, most=BRIGHTEST)
    if background and isinstance(readout, WindowReadout) and readout.measure == "field":
        raise ConfigError(
            f"expected no background light for a picture of the field, but got {background:g}: it has an intensity, "
            "and no field to add"
        )
    return background


def with_background(field: Tensor, intensity: float) -> Tensor:
    """Return what a detector sees of a field and of even, incoherent light besides: a field of both intensities' sum.

    It has no phase, which incoherent light leaves no detector to tell. Without such light it is the field as it is.

    Args:
        field: Complex ``... x rows x columns`` tensor.
        intensity: Intensity of the background light on each sample.

    Examples:
        >>> with_background(torch.tensor([[4j]]), 9.0)
        tensor([[5.+0.j]])
    """
    if not intensity:
        return field
    return as_field(field.real.square() + field.imag.square() + intensity)


def as_field(intensity: Tensor) -> Tensor:
    """Return what stands for the field of light that has an intensity alone: its root, with no phase.

    Examples:
        >>> as_field(torch.tensor([9.0]))
        tensor([3.+0.j])
    """
    amplitude = root(intensity)
    return torch.complex(amplitude, torch.zeros_like(amplitude))


def measured_with(readout: Readout, detected: Tensor, intensity: float) -> Tensor:
    """Return what a readout measures of what a network gives it, with background light of an intensity.

    Args:
        readout: Readout of the network.
        detected: Field on the readout's window, or the sums of intensity that it asks for.
        intensity: Intensity of the background light on each sample.
    """
    if not intensity:
        return readout.measured(detected)
    if isinstance(readout, RegionSums) and not detected.is_complex():
        samples = readout.row_masks.sum(0) * readout.column_masks.sum(0)
        return readout.measured(detected + intensity * samples.to(detected.dtype))
    return readout.read(with_background(detected, intensity))
