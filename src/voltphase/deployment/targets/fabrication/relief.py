"""What all fabrication targets share: the height of each level, and what is said of a layer's relief."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeploymentError
from voltphase.core.units import metres
from voltphase.deployment.targets.base import Layer, Target, Written, listed
from voltphase.devices import Device

_LENGTHS: Final = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "nm": 1e-9}
# Phases that differ by less than this part of a turn are one: modelled tables are exact to rounding alone.
_ROUNDING: Final = 1e-9
# Amplitudes that differ by less than this are those of a plate that is clear everywhere.
_EVEN: Final = 1e-3


@dataclass(frozen=True)
class Relief(Target):
    """A target whose files hold the height of each pixel of a relief of one material.

    The control values of a device that are lengths are the heights. Of any other device they follow from the phases of
    its states, each less that of level 0 and within one turn: ``height = phase wavelength / (2 pi (index -
    surroundings))`` in transmission, ``depth = phase wavelength / (4 pi surroundings)`` in reflection.

    Args:
        index: Refractive index of the material at the wavelength used, from which heights follow in transmission.
        surroundings: Refractive index of the medium around the material.
        reflection: Whether the relief is coated with a mirror and used in reflection, from its front.
    """

    loaded: ClassVar[bool] = False

    index: Annotated[float, Gt(0)] | None = None
    surroundings: Annotated[float, Gt(0)] = 1.0
    reflection: bool = False

    def __post_init__(self) -> None:
        checks.number(self.surroundings, "the index of the surroundings", above=0, error=DeploymentError)
        checks.instance(self.reflection, bool, "reflection as True or False", error=DeploymentError)
        if self.index is None:
            return
        checks.number(self.index, "the index of the material", above=0, error=DeploymentError)
        if self.reflection:
            raise DeploymentError(
                f"expected no index in reflection, where light stays outside of the material, but got {self.index:g}: "
                "leave it out"
            )
        if self.index == self.surroundings:
            raise DeploymentError(
                f"expected an index other than that of the surroundings, but both are {self.index:g}: no height would "
                "change the phase"
            )

    def follows_phase(self, device: Device) -> bool:
        """Return whether heights follow from the phases of a device, rather than from its control values."""
        return self.reflection or self.index is not None or device.control_unit not in _LENGTHS

    def heights(self, layer: Layer) -> NDArray[np.float64]:
        """Return the height of each level in metres, the lowest of them zero.

        Raises:
            DeploymentError: if the device's pixels are not all alike, or nothing says how high its levels are.
        """
        device = layer.device
        if device.regions is not None:
            raise DeploymentError(
                f"expected a device whose pixels are all alike, as those of one material are, but {device.name} has "
                f"{len(device.tables)} tables: deploy it to a target for panels"
            )
        if not self.follows_phase(device):
            control = device.control * _LENGTHS[device.control_unit]
            return control - control.min()
        if not self.reflection and self.index is None:
            raise DeploymentError(
                f"expected the heights of the levels of {device.name}, but its control values are in "
                f"{device.control_unit} and there is no index: give that of the material, --set index=1.46, or "
                "--set reflection=true"
            )
        phase = device.tables[0].phase
        turns = (phase - phase[0]) / (2 * math.pi) % 1.0
        turns[turns > 1 - _ROUNDING] = 0.0
        if self.reflection:
            return (turns.max() - turns) * layer.wavelength / (2 * self.surroundings)
        contrast = float(self.index or 0) - self.surroundings
        return (turns if contrast > 0 else turns.max() - turns) * layer.wavelength / abs(contrast)

    def distinct_heights(self, layer: Layer, resolution: float, what: str) -> NDArray[np.float64]:
        """Return the height of each level, of which no two are closer than what a file can tell apart, in metres."""
        heights = self.heights(layer)
        order = np.argsort(heights, kind="stable")
        for place in np.flatnonzero(np.diff(heights[order]) < resolution):
            first, second = sorted(order[place : place + 2].tolist())
            raise DeploymentError(
                f"expected heights that differ by at least {metres(resolution)} in {what}, but levels {first} and "
                f"{second} of {layer.device.name} are {metres(float(heights[first]))} and "
                f"{metres(float(heights[second]))} high: train with fewer levels "
                "(device.levels), or deploy to gds, which has a layer for each"
            )
        return heights

    def measured(self, layer: Layer, levels: NDArray[np.integer]) -> dict[str, float | int]:
        """Return the figures of a layer's relief: its steps between neighbours, and pixels that stand alone."""
        heights = self.heights(layer)[levels]
        steps = np.concatenate([np.diff(heights, axis=axis).ravel() for axis in (0, 1)])
        padded = np.pad(levels.astype(np.int64), 1, constant_values=-1)
        around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
        alone = np.logical_and.reduce([levels != neighbour for neighbour in around])
        return {
            "roughness_um": float(np.sqrt(np.mean(steps**2)) * 1e6) if steps.size else 0.0,
            "relief_um": float(np.ptp(heights) * 1e6),
            "lone_pixels": int(alone.sum()),
        }

    def summary(self, layer: Layer, written: Written) -> str:
        heights, figures = self.heights(layer), written.details
        return (
            f"{len(heights)} heights up to {heights.max() * 1e6:.4g} um, none clipped; roughness of neighbours "
            f"{figures['roughness_um']:.3g} um; smallest feature {_pitch(layer)}"
            + ("" if self._clear(layer) else "; amplitude is not fabricated")
        )

    def instructions(self, layer: Layer, written: Written) -> list[str]:
        heights, figures = self.heights(layer), written.details
        pixels = layer.grid.rows * layer.grid.columns
        each = listed(f"{level}={height * 1e6:.6g}" for level, height in enumerate(heights))
        texts = [
            f"Heights in um by level, above the lowest: {each}. {self._source(layer)} No height is clipped: the relief "
            f"spans {figures['relief_um']:.6g} um.",
            f"The smallest feature is one pixel, {_pitch(layer)}; {figures['lone_pixels']} of {pixels} pixels "
            f"differ from all of their neighbours. Roughness: the height steps by {figures['roughness_um']:.4g} um "
            "(root mean square) from a pixel to the next.",
            "Outside of the pixels the design has no light: put a stop there.",
        ]
        if not self._clear(layer):
            amplitude = layer.device.tables[0].amplitude
            texts.append(
                f"Amplitude is not fabricated: the states of {layer.device.name} have {amplitude.min():.3g} to "
                f"{amplitude.max():.3g}, a relief of a clear material the same everywhere. Readings, and `voltphase "
                "verify`, are those of the states."
            )
        return texts

    def _clear(self, layer: Layer) -> bool:
        # Heights that are control values bring the absorption that their states have.
        return not self.follows_phase(layer.device) or bool(np.ptp(layer.device.tables[0].amplitude) < _EVEN)

    def _source(self, layer: Layer) -> str:
        light, around = f"{layer.wavelength * 1e9:.9g} nm", f"{self.surroundings:g}"
        if not self.follows_phase(layer.device):
            return f"They are the device's control values, in {layer.device.control_unit}."
        if self.reflection:
            return (
                f"They follow from the phases at {light}, on reflection from the front in a medium of index {around}."
            )
        return f"They follow from the phases at {light}, with a material of index {self.index:g} in one of {around}."


def csv_table(rows: Iterable[Iterable[object]]) -> bytes:
    r"""Return rows as CSV: numbers and words without separators in them.

    Examples:
        >>> csv_table([["level", "depth_um"], [1, 0.25]])
        b'level,depth_um\n1,0.25\n'
    """
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode("ascii")


def _pitch(layer: Layer) -> str:
    down, across = (pitch * 1e6 for pitch in layer.grid.pitch)
    return f"{across:.4g} um" if down == across else f"{down:.4g} um down, {across:.4g} um across"
