"""The maps of a design on the devices of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voltphase.codesign import CodesignLayer
from voltphase.config import Config, DeviceConfig
from voltphase.core.words import counted
from voltphase.devices import Device
from voltphase.importing.design import MapsConfig
from voltphase.importing.states import Misfit, control_levels, factors, level_map, nearest_levels, require_near
from voltphase.importing.system import Source
from voltphase.network.donn import DONN
from voltphase.training.build import whole_device


@dataclass(frozen=True)
class Placed:
    """A layer in the states of its map.

    Attributes:
        wanted: Factors on the light that the map asks for, gain included, complex ``rows x columns``.
        misfit: How far the states are from these; None where the map says levels or control values.
        note: The same in words.
    """

    wanted: Tensor
    misfit: Misfit | None
    note: str


def place_maps(model: DONN, config: Config, maps: MapsConfig, source: Source) -> list[Placed]:
    """Put each pixel of a network into the state that the maps ask for, or the one nearest to it.

    Args:
        model: Network; it is in evaluation mode after this.
        config: Configuration that it is made from.
        maps: What the maps are.
        source: The maps.

    Raises:
        DataError: if a number of a map is none of its kind.
        ConfigError: if a layer's device, or what is learned of it, does not fit the map.

    Warns:
        DesignWarning: if a device is far from showing its map.
        UnitWarning: if phases seem to be in another unit.
    """
    placed, layers = [], cast("list[CodesignLayer]", model.layers)
    each = zip(source.names, source.numbers, config.layer_devices, layers, strict=True)
    for number, (name, numbers, device, layer) in enumerate(each, start=1):
        states = layer.device_states
        said, wanted = None, None
        if source.kind == "level":
            said = level_map(numbers, len(states), states.name, name)
        elif source.kind == "control":
            said, wanted = _controlled(numbers, device, config, name)
        else:
            wanted = factors(source.kind, numbers, maps, states, name)
        levels = torch.from_numpy(said) if wanted is None else nearest_levels(layer, wanted)
        layer.set_levels(levels)
        placed.append(_placed(number, layer, levels, wanted))
    model.eval()
    return placed


def _controlled(
    numbers: NDArray[Any], device: DeviceConfig, config: Config, name: str
) -> tuple[NDArray[np.int64], NDArray[np.complexfloating] | None]:
    """Return the levels of control values; and the light that they give, where a device has but some of its states."""
    whole = whole_device(device, config.optics.wavelengths)
    levels = control_levels(numbers, whole, name)
    return levels, None if device.levels is None else whole.states_at(levels)


def _placed(number: int, layer: CodesignLayer, levels: Tensor, wanted: NDArray[np.complexfloating] | None) -> Placed:
    active = np.broadcast_to(~layer.device_states.inactive, tuple(levels.shape))
    states, misfit = layer.states_at(layer.levels()).numpy(), None
    if wanted is not None:
        misfit = Misfit.of(states[active], wanted[active])
        require_near(misfit, number, layer.device_states.name)
        note = str(misfit)
    elif others := int((layer.levels() != levels).numpy()[active].sum()):
        note = f"in the states of its levels, {counted(others, 'pixel')} in another level of the same state"
    else:
        note = "in the levels that it says"
    # Beside the map nothing is asked for but what is computed there.
    asked = torch.from_numpy(np.where(active, states if wanted is None else wanted, states)).to(
        layer.table.values.dtype
    )
    return Placed(asked * layer.gain, misfit, note + _beside(layer.device_states, active))


def _beside(device: Device, active: NDArray[np.bool_]) -> str:
    """Return what is to be done about light that passes beside a map; empty if none does."""
    amplitude = float(device.tables[0].amplitude[0])  # of the level that files have where nothing is asked for
    if active.all() or device.inactive_value != 0 or amplitude == 0:
        return ""
    return (
        f"; beside the map files have level 0 of {device.name}, whose amplitude is {amplitude:.2g} and not 0: put a "
        "stop there, as all figures are of a dark one"
    )
