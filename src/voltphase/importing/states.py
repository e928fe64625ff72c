"""From the numbers of a map to the states of a device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from voltphase.codesign import CodesignLayer, Proximity
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, DataError, VoltphaseWarning
from voltphase.core.units import UnitWarning, beyond_radians, require_thickness
from voltphase.devices import Device
from voltphase.importing.design import Kind, MapsConfig

# Of single precision, in which networks have their states.
_ROUNDING: Final = 1e-6
# States this far from what is wanted, root mean square, make another design. Two even phases are off by 0.85, and
# phases that have nothing to do with it by 1.41.
_FAR: Final = 0.9


class DesignWarning(VoltphaseWarning):
    """A design that looks to be for another device than it is given to."""


@dataclass(frozen=True)
class Misfit:
    """How far the states of a layer are from the light that its map asks for.

    Attributes:
        most: Largest distance on the complex plane.
        rms: Root mean square of the distances.
        phase_most: Largest difference in phase, in radians.
        phase_rms: Root mean square of the differences in phase, in radians.
    """

    most: float
    rms: float
    phase_most: float
    phase_rms: float

    @classmethod
    def of(cls, states: NDArray[np.complexfloating], wanted: NDArray[np.complexfloating]) -> Misfit:
        """Return how far states are from what is wanted, two complex arrays of one shape."""
        apart, turned = np.abs(states - wanted), np.abs(np.angle(states * wanted.conj()))
        return cls(*(float(figure(each)) for each in (apart, turned) for figure in (np.max, _rms)))

    def __str__(self) -> str:
        if self.most < _ROUNDING:
            return "states are what the map asks for"
        return (
            f"states are off by at most {self.most:.2g}, root mean square {self.rms:.2g}, on the complex plane "
            f"(phase by at most {self.phase_most:.2g} rad, {self.phase_rms:.2g})"
        )


def phase_factors(numbers: NDArray[Any], maps: MapsConfig, source: str) -> NDArray[np.complex128]:
    """Return the factors on the light that a map of phases stands for.

    Raises:
        DataError: if their unit is not clear.

    Warns:
        UnitWarning: if they seem to be in turns.
    """
    if numbers.dtype.kind == "c":
        raise DataError(f"expected real phases in {source}, but they are complex: say maps.kind complex")
    if maps.two_pi is None and bool((numbers == np.rint(numbers)).all()) and numbers.any():
        raise DataError(
            f"expected phases in radians in {source}, but all are whole numbers, up to {numbers.max():g}: say in "
            "maps.two_pi which number stands for 2 pi, such as 256 of 8 bits, or that maps.kind is control or level"
        )
    said = maps.two_pi is not None or maps.weights is not None  # which are in radians, without bounds
    if not said and (worst := beyond_radians(numbers)) is not None:
        raise DataError(
            f"expected phases in radians in {source}, but {numbers.flat[worst]:g} looks like degrees: say maps.two_pi: "
            f"360 of degrees, or maps.two_pi: {2 * math.pi:.15g} if these are radians"
        )
    low, high = float(numbers.min()), float(numbers.max())
    if maps.two_pi is None and low >= 0 and 0.9 < high <= 1:
        advise(
            f"phases in {source} go from {low:g} to {high:g}: if these are turns, say maps.two_pi: 1, and else "
            f"maps.two_pi: {2 * math.pi:.15g}",
            UnitWarning,
        )
    phase = numbers.astype(np.float64) * (2 * math.pi / maps.two_pi if maps.two_pi else 1.0)
    return np.exp(-1j * phase if maps.conjugate else 1j * phase)


def height_factors(numbers: NDArray[Any], maps: MapsConfig, device: Device, source: str) -> NDArray[np.complex128]:
    """Return the factors on the light that a map of heights stands for, by the material of a ``printed`` device.

    Raises:
        ConfigError: if the device is no relief.
        DataError: if the unit of heights is not clear, or one is below zero.
    """
    states = device.tables[0]
    if states.control_unit != "m" or states.control.min() != 0:
        raise ConfigError(
            "expected device: {model: printed, parameters: {index: 1.6}} or the like, as heights do to light what the "
            f"index of their material says, but got {device.name}: name the material"
        )
    if maps.height_unit is None and numbers.dtype.kind in "iu":
        raise DataError(
            f"expected heights in metres in {source}, but they are stored as whole numbers: say in maps.height_unit "
            "how many metres a number of 1 stands for, such as 1e-9"
        )
    if numbers.dtype.kind == "c" or numbers.min() < 0:
        raise DataError(f"expected heights of at least 0 in {source}, but got some below: add an offset")
    heights = numbers.astype(np.float64) * (maps.height_unit or 1.0)
    if heights.any():
        highest = float(heights.max())
        require_thickness(highest, states.wavelength or highest, f"height in {source}", DataError)
    top = int(np.argmax(states.control))
    per_metre = (np.log(states.amplitude[top]) + 1j * states.phase[top]) / states.control[top]
    return np.exp(per_metre * heights)


def level_map(numbers: NDArray[Any], count: int, device: str, source: str) -> NDArray[np.int64]:
    """Return a map of levels, once they are levels of a device with so many states.

    Raises:
        DataError: if one of them is none.
    """
    whole = np.rint(np.real(numbers))
    wrong = (numbers != whole) | (whole < 0) | (whole >= count)
    _refuse_at(wrong, numbers, source, f"levels from 0 to {count - 1}, those of {device}")
    return whole.astype(np.int64)


def control_levels(numbers: NDArray[Any], device: Device, source: str) -> NDArray[np.int64]:
    """Return the level of each control value in a map.

    Raises:
        DataError: if one of them is no control value of the device.
    """
    order = np.argsort(device.tables[0].control)
    control = device.tables[0].control[order]
    place = np.searchsorted((control[1:] + control[:-1]) / 2, np.real(numbers))  # the nearest
    # As many digits as a file of text keeps.
    wrong = ~np.isclose(control[place], numbers, rtol=1e-6, atol=0)
    unit = device.tables[0].control_unit
    _refuse_at(wrong, numbers, source, f"control values of {device.name} ({unit}, {control[0]:g} to {control[-1]:g})")
    return order[place]


def nearest_levels(layer: CodesignLayer, wanted: NDArray[np.complexfloating]) -> torch.Tensor:
    """Return the level of the state that is nearest on the complex plane, for each pixel of a layer."""
    points = torch.view_as_real(torch.from_numpy(wanted).to(layer.table.values.dtype)).movedim(-1, 0).contiguous()
    return layer.pixels.levels(Proximity(), points)


def require_near(misfit: Misfit, layer: int, device: str) -> None:
    """Warn if the states of a layer are far from what its map asks for.

    Warns:
        DesignWarning: if they are.
    """
    if misfit.rms > _FAR:
        advise(
            f"layer {layer} is off by {misfit.rms:.2g}, root mean square, on the complex plane: {device} cannot show "
            "this design, or its maps are of another kind",
            DesignWarning,
        )


def factors(
    kind: Kind, numbers: NDArray[Any], maps: MapsConfig, device: Device, source: str
) -> NDArray[np.complexfloating]:
    """Return the complex factors on the light that a map of phases, heights or factors stands for."""
    if kind == "phase":
        return phase_factors(numbers, maps, source)
    if kind == "height":
        return height_factors(numbers, maps, device, source)
    wanted = numbers.astype(np.complex128)
    return wanted.conj() if maps.conjugate else wanted


def _refuse_at(wrong: NDArray[np.bool_], numbers: NDArray[Any], source: str, wanted: str) -> None:
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"expected {wanted}, in {source}, but at row {row}, column {column} is {numbers[row, column]:g}: correct "
            "the map, maps.kind or the device"
        )


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
