"""How rough a layer is: how far the states of neighbouring pixels are from each other."""

from __future__ import annotations

from torch import Tensor


def roughness(modulation: Tensor) -> Tensor:
    """Return the roughness of a layer, a real number without axes, with gradients.

    It is half the mean square difference between the complex modulations of pixels side by side or one below the other,
    as a part of the mean square modulation: 0 where all are alike, near 1 for phases drawn at random, 2 at most for a
    chessboard of opposite phases. A phase and another a whole turn away are the same modulation.

    Args:
        modulation: Complex ``rows x columns`` tensor; with a first axis of wavelengths, the mean over these.

    Examples:
        >>> import torch
        >>> roughness(torch.tensor([[1, -1], [-1, 1]], dtype=torch.complex64))
        tensor(2.)
    """
    steps = [modulation.diff(dim=dim) for dim in (-2, -1)]
    pairs = max(1, sum(step.numel() for step in steps))
    light = _square(modulation).mean()
    return (_square(steps[0]).sum() + _square(steps[1]).sum()) / (2 * pairs * light)


def _square(values: Tensor) -> Tensor:
    # The absolute value has no slope where it is zero.
    return values.real.square() + values.imag.square()
