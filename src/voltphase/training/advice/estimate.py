"""What can be told of a training before it begins: whether it fits into memory, and whether light arrives."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from voltphase.core.advice import advise
from voltphase.core.errors import TrainingError, VoltphaseWarning
from voltphase.core.limits import gigabytes
from voltphase.core.units import metres
from voltphase.network import footprint
from voltphase.network.donn import DONN
from voltphase.network.reading import light_units
from voltphase.optics.paths import Placed

# With states at random, the presets send 0.1 to 0.3 % of the light to their regions, what reaches the detector's plane
# elsewhere is ten times that, and a bench adds stray light. Measured in emulation, which has none: digits with a pitch
# of 8 µm, where it is 5e-7, are learned to 0.88 in three epochs; with 0.5 µm, 3e-27, they are not.
FAINT: Final = 1e-6
# Part of a plane's width that light has to be able to cross by diffraction, on its whole way. Measured with the preset
# digits, three epochs at shorter distances: 0.08 at 0.02, 0.20 at 0.06, 0.28 at 0.12, 0.53 at 0.23 (0.93 as it is).
SHORT: Final = 0.1
_IMAGES: Final = 4
# What checkpointed fields leave of the memory, at most, for them to be advised: they cost half more time.
_HELPS: Final = 0.9


class SystemWarning(VoltphaseWarning):
    """A system that can do little, whatever it learns."""


def check_training(model: DONN, images: Tensor, batch_size: int, *, on_gpu: bool = False) -> None:
    """Refuse or warn of a training that cannot succeed, from estimates and one pass of a few images.

    Raises:
        ConfigError: if training needs more memory than there is.
        TrainingError: if light on the detector is not finite.

    Warns:
        MemoryWarning: if training needs nearly all the memory there is.
        SystemWarning: if hardly any light reaches the detector's regions, or light does not spread.
    """
    batch, device = min(batch_size, len(images)), "cuda" if on_gpu else "cpu"
    needed = model.footprint.training(batch, device)
    advice = "raise training.accumulate, lower training.batch_size, or take fewer samples, layers or levels"
    with_fewer = replace(model.footprint, checkpointed=True).training(batch, device)
    if with_fewer < _HELPS * needed:
        advice = f"set training.checkpoint_fields, with which it is {gigabytes(with_fewer)}, {advice}"
    footprint.require(needed, f"training with batches of {batch} images", advice, on_gpu=on_gpu)
    _check_light(model, images)
    _check_reach(model)


@torch.no_grad()
def shares(model: DONN, images: Tensor) -> list[float]:
    """Return the part of the light of ``images`` that reaches each plane and, last, what is read, without gain.

    One number for each layer's plane, one for the detector, and one for what the readout counts.
    """
    training = model.training
    model.eval()
    passed, named = model.beams.beams[0].layers, light_units(model)
    units = [named[name] for name in ("source", *(f"layer {number + 1} in" for number in passed), "detector")]
    powers = torch.zeros(len(units) + 1, dtype=torch.float64)
    for one in images.split(1):  # of large planes, fields of all images at once would take more than training does
        arriving = [field for name, field in model.planes(one).items() if not name.endswith(" out")]
        powers[: len(arriving)] += torch.tensor([_power(field) for field in arriving], dtype=torch.float64)
        detected = arriving[-1] if model.beams.single else model.detector_field(one)
        powers[-1] += _power(model.readout.window(detected) * model.readout.counted())
    model.train(training)
    powers *= torch.tensor([*units, units[-1]], dtype=torch.float64)
    return [float(power / powers[0]) if powers[0] else math.nan for power in powers[1:]]


def _power(field: Tensor) -> float:
    return float(field.abs().double().square().sum())


def _check_light(model: DONN, images: Tensor) -> None:
    bright = images[: 50 * _IMAGES].flatten(1).any(1).nonzero().squeeze(1)[:_IMAGES]
    if len(bright) == 0:
        return
    found = shares(model, images[bright])
    if not math.isfinite(found[-1]):
        raise TrainingError(
            "expected finite light on the detector, but it is not before anything is learned: check the amplitudes of "
            "the devices and codesign.gain"
        )
    if found[-1] >= FAINT:
        return
    # The gap that loses most; what a layer absorbs is lost in the gap after it.
    passed = [1.0, *found[:-1]]
    worst = min(range(len(passed) - 1), key=lambda gap: passed[gap + 1] / passed[gap] if passed[gap] else math.inf)
    source, target = model.way[worst], model.way[worst + 1]
    pitch, width = max(source.pitch), min(target.extent)
    sine = model.wavelength / (2 * min(source.pitch))
    spread = 2 * abs(model.distances[worst]) * (sine / math.sqrt(1 - sine**2) if sine < 1 else math.inf)
    arrives = f"{100 * found[-1]:.1e} %" if found[-1] else "none"
    reach = f"{metres(spread)} wide" if math.isfinite(spread) else "in all directions"
    how = (
        f"samples of {metres(pitch)} send it {reach}, and plane {worst + 2} is {metres(width)}: use a coarser pitch, "
        "shorter distances or more samples"
        if spread > 2 * width
        else "it is lost in the layers or beside the regions: check the amplitudes of the devices and task.regions"
    )
    advise(
        f"{arrives} of the light reaches the detector's regions with the states that training starts from, too little "
        f"for a bench to show; {how}",
        SystemWarning,
    )


def _check_reach(model: DONN) -> None:
    width = min(side for grid in model.grids for side in grid.extent)
    crossed = 0.0
    for (source, _), steps in zip(pairwise(model.way), model.spans, strict=True):
        sine = min(model.wavelength / (2 * max(source.pitch)), 0.999)
        # A relay images, and spreads nothing.
        distance = sum(abs(step) for step in steps if not isinstance(step, Placed))
        crossed += distance * sine / math.sqrt(1 - sine**2)
    if crossed < SHORT * width:
        advise(
            f"light spreads by {metres(crossed)} to either side on its whole way, and the planes are {metres(width)} "
            "wide: each region sees little more than what lies before it; use a finer pitch, longer distances or fewer "
            "samples",
            SystemWarning,
        )
