"""Layers on panels: which layer is on which frame of which file, and the frames themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeploymentError
from voltphase.deployment.targets.base import Layer
from voltphase.deployment.targets.panel.frame import NO_TABLE, Frame, error_of, levels_of, nearest_levels
from voltphase.deployment.targets.panel.placement import Placement, Window
from voltphase.devices import Device, DeviceStates
from voltphase.panels import Profile

AGAIN: Final = "restore the file or deploy again"


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Layers, a part of them on each panel.

    Args:
        panel: The profile of the panels.
        placement: Where layers lie.
        border: Grey level around them; of the darkest state if None.
        sequence: Whether frames follow each other in as few files as possible.
        layers: The layers of the design.
    """

    panel: Profile
    placement: Placement
    border: int | None
    sequence: bool
    layers: Sequence[Layer]

    @cached_property
    def windows(self) -> list[Window]:
        """Where each layer lies, once it is sure that its device is one of the panel's grey levels."""
        for layer in self.layers:
            device = layer.device
            self.panel.require_control(device.control, device.control_unit, f"{device.name}, layer {layer.number},")
        return self.placement.windows([layer.grid for layer in self.layers])

    @cached_property
    def parts(self) -> list[list[int]]:
        """The layers of each frame, counted from 0."""
        numbers, together = list(range(len(self.layers))), self.placement.together
        return [numbers[start : start + together] for start in range(0, len(numbers), together)]

    @cached_property
    def files(self) -> dict[str, list[int]]:
        """The frames in each file, by its name."""
        size = self.panel.frames_per_file if self.sequence else 1
        files: dict[str, list[int]] = {}
        for start in range(0, len(self.parts), size):
            frames = list(range(start, min(start + size, len(self.parts))))
            first, last = self.parts[frames[0]][0] + 1, self.parts[frames[-1]][-1] + 1
            to = f"-to-{last}" if last > first else ""
            files[f"layer-{first}{to}{self.panel.suffix}"] = frames
        return files

    def border_of(self, frame: int) -> int:
        """Return the grey level around the layers of a frame."""
        if self.border is not None:
            return self.border
        table = self.layers[self.parts[frame][0]].device.tables[0]
        return int(table.control[np.argmin(table.amplitude)])

    def frame(self, number: int, levels: Sequence[NDArray[np.integer]]) -> Frame:
        """Return a frame with its layers on it.

        Args:
            number: Number of the frame.
            levels: Level of each pixel of each of its layers, ``rows x columns`` each.
        """
        border, part = self.border_of(number), self.parts[number]
        tables = [self.layers[part[0]].device.tables[0]]
        known = levels_of(tables[0], np.array([border]))[0] >= 0
        codes = np.full(self.panel.shape, border, dtype=np.uint16)
        table = np.full(self.panel.shape, 0 if known else NO_TABLE, dtype=np.int16)
        fixed = np.zeros(self.panel.shape, dtype=np.complex128)
        for index, level in zip(part, levels, strict=True):
            device, window = self.layers[index].device, self.windows[index]
            place = window.slices
            numbers = np.array([_number_of(one, tables) for one in device.tables] + [NO_TABLE])
            regions = np.zeros(level.shape, dtype=np.int64) if device.regions is None else device.regions
            table[place] = numbers[window.spread(regions)]
            fixed[place] = device.inactive_value
            codes[place] = self._codes(device, level, window)
        return Frame(codes, table, fixed, tables)

    def gathered(self, number: int, codes: NDArray[np.uint16], name: str) -> tuple[list[NDArray[np.integer]], Frame]:
        """Return the level of each pixel of each layer on a frame, and the frame that they make.

        Args:
            number: Number of the frame.
            codes: Grey levels of the frame.
            name: Name of the file that it was read from, for sentences.

        Raises:
            DeploymentError: if a pixel shows no level of the device, or one shows another than its place says.
        """
        levels: list[NDArray[np.integer]] = []
        for index in self.parts[number]:
            layer, window = self.layers[index], self.windows[index]
            found = window.gather(codes[window.slices])
            level = levels_of(layer.device.tables[0], found)
            if (level < 0).any():
                row, column = np.argwhere(level < 0)[0]
                raise DeploymentError(
                    f"expected grey levels of {layer.device.name} in {name}, but got {found[row, column]} for row "
                    f"{row}, column {column} of layer {layer.number}: {AGAIN}"
                )
            levels.append(level)
        frame = self.frame(number, levels)
        self._require_same(number, frame.codes, codes, name)
        return levels, frame

    def resampled(self, index: int, frame: Frame, level: NDArray[np.integer]) -> dict[str, Any]:
        """Return how far the states of a resampled layer are from the means over its pixels; empty if it is not."""
        device, window = self.layers[index].device, self.windows[index]
        if window.whole:
            return {}
        wanted, found = window.averaged(device.states_at(level)), frame.states(frame.codes)[window.slices]
        return {"resampled": error_of(found, wanted, _largest(device))}

    def _codes(self, device: Device, level: NDArray[np.integer], window: Window) -> NDArray[np.uint16]:
        control = device.control.astype(np.uint16)
        codes = window.spread(control[level])
        if window.whole or self.placement.resample != "area":
            return codes
        wanted = window.averaged(device.states_at(level))
        if device.regions is None:
            return control[nearest_levels(device.tables[0].values(), wanted)]
        regions = window.spread(device.regions)
        for number, table in enumerate(device.tables):
            here = regions == number
            if here.any():
                codes[here] = control[nearest_levels(table.values(), wanted[here])]
        return codes

    def _require_same(self, number: int, wanted: NDArray[np.uint16], found: NDArray[np.uint16], name: str) -> None:
        different = np.argwhere(wanted != found)
        if not len(different):
            return
        row, column = (int(place) for place in different[0])
        where = "on the border"
        for index in self.parts[number]:
            (rows, columns), window = self.windows[index].slices, self.windows[index]
            if rows.start <= row < rows.stop and columns.start <= column < columns.stop:
                pixel = window.design_pixel(row, column)
                where = f"within row {pixel[0]}, column {pixel[1]} of layer {self.layers[index].number}"
        raise DeploymentError(
            f"expected grey level {wanted[row, column]} in {name} at row {row}, column {column}, {where}, but got "
            f"{found[row, column]}{and_more(len(different))}: {AGAIN}"
        )


def and_more(different: int) -> str:
    """Return what follows the first of some pixels that differ.

    Examples:
        >>> and_more(1), and_more(3)
        ('', ', and 2 more that differ')
    """
    return f", and {different - 1} more that differ" if different > 1 else ""


def _number_of(table: DeviceStates, tables: list[DeviceStates]) -> int:
    """Return the number of a table among those of a frame, to which it is added if it is none of them."""
    digests = [one.digest for one in tables]
    if table.digest not in digests:
        tables.append(table)
        return len(digests)
    return digests.index(table.digest)


def _largest(device: Device) -> float:
    return max(float(table.amplitude.max()) for table in device.tables)
