"""How near a picture is to the one that is wanted, whatever the brightness of either."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import torch
from torch import Tensor

from voltphase.tasks.base import Loss, Metric
from voltphase.tasks.region_readout import share

# A picture that differs from its target by less than rounding has an error of no more than this part of its square.
_NO_ERROR: Final = 1e-12
# Of SSIM: taps and standard deviation of its window, and constants for pictures from 0 to 1.
_TAPS, _SIGMA, _C1, _C2 = 11, 1.5, 0.01**2, 0.03**2


def normalised_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of each picture at the scale where it is least, over the square of the target.

    0 is the target itself but for its brightness (and, of complex fields, a common phase), 1 nothing of it. Of a dark
    target it is 0.

    Args:
        outputs: A ``batch x rows x columns`` tensor, real or complex.
        targets: Another, of the same kind.
    """
    found, wanted = outputs.flatten(1), targets.flatten(1)
    rest = _fitted(found, wanted) - wanted
    return share(_square(rest), _square(wanted))


def correlation(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return Pearson's correlation coefficient of each picture; of complex fields the overlap of 0 to 1.

    The overlap is ``abs(sum(conj(a) b)) / sqrt(sum(abs(a)**2) sum(abs(b)**2))``.
    """
    found, wanted = outputs.flatten(1), targets.flatten(1)
    if found.is_complex():
        return share(torch.linalg.vecdot(found, wanted).abs(), (_square(found) * _square(wanted)).sqrt())
    found, wanted = (one - one.mean(1, keepdim=True) for one in (found, wanted))
    # Each is divided first: the product of two squares may be below what single precision holds.
    found, wanted = (share(one, one.norm(dim=1, keepdim=True)) for one in (found, wanted))
    return (found * wanted).sum(1)


def psnr(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each picture in dB, at the scale where its error is least."""
    error = normalised_error(outputs, targets).clamp_min(_NO_ERROR)
    wanted = targets.flatten(1)
    return 10 * (wanted.amax(1).square() / (error * wanted.square().mean(1))).log10()


def ssim(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the structural similarity of each picture, at the scale where its error is least, to the target.

    The target's peak is 1. The window is a Gaussian of 11 x 11 pixels and a standard deviation of 1.5 as in Wang,
    Bovik, Sheikh and Simoncelli, IEEE Transactions on Image Processing 13(4), 2004, eq. 13; beyond its edges a picture
    is reflected, as in torchmetrics.
    """
    peak = targets.amax((1, 2), keepdim=True)
    found = _fitted(outputs.flatten(1), targets.flatten(1)).view_as(outputs) / peak
    wanted = targets / peak
    down, across = (_averages(size, str(found.device)).to(found.dtype) for size in found.shape[1:])

    def mean(picture: Tensor) -> Tensor:
        return down @ picture @ across.mT

    a, b = mean(found), mean(wanted)
    variances = mean(found.square()) - a.square() + mean(wanted.square()) - b.square()
    covariance = mean(found * wanted) - a * b
    likeness = (2 * a * b + _C1) * (2 * covariance + _C2)
    return (likeness / ((a.square() + b.square() + _C1) * (variances + _C2))).mean((1, 2))


def nonuniformity(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the root mean square error of each picture where the target is above 0, over the target's mean there.

    The picture is as bright there as the target. Of a flat target it is the standard deviation over the mean.
    """
    signal = (targets > 0).to(targets.dtype)
    inside, count = outputs * signal, signal.sum((1, 2), keepdim=True)
    level = targets.sum((1, 2), keepdim=True)
    off = inside * share(level, inside.sum((1, 2), keepdim=True)) - targets
    return (off.square().sum((1, 2)) / count.squeeze()).sqrt() / (level / count).flatten()


def metrics_of(measure: str) -> tuple[Metric, ...]:
    """Return the figures that a picture of an ``intensity``, an ``amplitude`` or a ``field`` is judged by."""

    def judged(name: str, of_each: Loss, *, higher_is_better: bool = True) -> Metric:
        return Metric(name, lambda outputs, targets: of_each(*alike(outputs, targets)), higher_is_better)

    def efficiency(outputs: Tensor, targets: Tensor) -> Tensor:
        found, wanted = alike(outputs, targets)
        light = found if measure == "intensity" else found.abs().square()
        # A part of all light, whose sum may be above 1 by the last digit.
        return (light * (wanted != 0)).sum((1, 2)).clamp(max=1)

    both = judged("correlation", correlation), Metric("efficiency", efficiency, percent=True)
    if measure == "field":
        return both
    flat = judged("nonuniformity", nonuniformity, higher_is_better=False)
    return (*both, judged("psnr", psnr), judged("ssim", ssim), flat)


def alike(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as pictures of one type: complex where a last axis of two holds the parts of a field."""
    outputs, targets = (torch.view_as_complex(one.contiguous()) if one.ndim == 4 else one for one in (outputs, targets))
    return outputs, targets.to(outputs.device, outputs.dtype)


LOSSES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "mse": lambda outputs, targets: normalised_error(outputs, targets).mean(),
    "correlation": lambda outputs, targets: 1 - correlation(outputs, targets).mean(),
}


def _square(values: Tensor) -> Tensor:
    return (values * values.conj()).real.sum(1)


def _fitted(found: Tensor, wanted: Tensor) -> Tensor:
    """Return pictures times the factor each that brings them nearest to what is wanted."""
    # As bright as each other before they are squared, and with a slope of 0 where all is dark.
    found = share(found, found.detach().abs().amax(1, keepdim=True))
    return found * share(torch.linalg.vecdot(found, wanted)[:, None], _square(found)[:, None])


@cache
def _averages(size: int, device: str) -> Tensor:
    """Return the weights of SSIM's window at each place along an axis, a ``size x size`` matrix."""
    offsets = torch.arange(_TAPS) - _TAPS // 2
    weights = torch.exp(-(offsets.double() ** 2) / (2 * _SIGMA**2))
    period = max(2 * (size - 1), 1)
    at = (torch.arange(size)[:, None] + offsets) % period
    at = torch.minimum(at, period - at)  # reflected at the first and the last pixel
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, at, (weights / weights.sum()).expand(size, -1)).to(device)
