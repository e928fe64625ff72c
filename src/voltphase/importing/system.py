"""The maps of a design as light meets them, and the configuration of the system around them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from voltphase.config import Config, DeviceConfig, parse_config
from voltphase.core.errors import ConfigError
from voltphase.core.words import counted
from voltphase.importing.design import IDEAL, Design, Kind, MapsConfig
from voltphase.importing.maps import oriented, read_map
from voltphase.importing.weights import ForeignLayers, read_weights

_REQUIRED: Final = ("wavelength", "pitch", "distances")


@dataclass(frozen=True)
class Source:
    """The maps of a design.

    Attributes:
        names: Name of each map, its file or its module in the weights.
        numbers: Its numbers as light meets them, in the middle of a square plane.
        borders: Rows and columns of the plane that are not of the map, (top, bottom, left, right), for each map.
        kind: What the numbers are.
        files: Paths of the files that they are from.
        weights: What else is known where they are another program's weights.
    """

    names: list[str]
    numbers: list[NDArray[Any]]
    borders: list[tuple[int, ...]]
    kind: Kind
    files: list[Path]
    weights: ForeignLayers | None = None

    @classmethod
    def read(cls, folder: Path, maps: MapsConfig) -> Source:
        """Return the maps that a design names, turned and mirrored as it says.

        Args:
            folder: Folder of the design.
            maps: Where the maps are, and what.

        Raises:
            DataError: if one cannot be read.
        """
        if maps.files is not None:
            names, kind, weights = maps.files, cast("Kind", maps.kind), None
            files = [folder / name for name in names]
            stored = [read_map(file) for file in files]
        else:
            files = [folder / str(maps.weights)]
            weights = read_weights(files[0], maps.layers)
            names, kind, stored = weights.names, weights.kind, weights.maps
        placed = [_in_square(oriented(each, maps.turns, maps.flip)) for each in stored]
        return cls(names, [one for one, _ in placed], [border for _, border in placed], kind, files, weights)


def _in_square(numbers: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return a map in the middle of a square, with the numbers of its edges beyond them, and the border these take."""
    spare = [max(numbers.shape) - count for count in numbers.shape]
    sides = [(each // 2, each - each // 2) for each in spare]
    return np.pad(numbers, sides, mode="edge"), (*sides[0], *sides[1])


def configured(design: Design, source: Source) -> tuple[Config, list[str]]:
    """Return the configuration of the system with what its maps say, and notes on it.

    Args:
        design: What the file of the design says.
        source: Its maps.

    Raises:
        ConfigError: if something is missing that the maps do not say, or maps and settings contradict each other.
    """
    weights, said = source.weights, design.optics.model_fields_set
    known = {} if weights is None else {key: value for key, value in weights.optics.items() if key not in said}
    if missing := [f"optics.{key}" for key in _REQUIRED if key not in {*said, *known}]:
        raise ConfigError(f"expected {', '.join(missing)} in the design, which the maps do not say: give it in metres")
    depth, sizes = len(source.numbers), [len(numbers) for numbers in source.numbers]
    if "depth" in said and design.optics.depth != depth:
        raise ConfigError(
            f"expected {counted(design.optics.depth, 'map')}, one for each layer that optics.depth, devices or "
            f"optics.distances say, but got {depth}: {', '.join(source.names)}"
        )
    known["depth"] = depth
    if "size" not in said:
        known["size"] = sizes[0] if len({*sizes}) == 1 else [sizes[0], *sizes, sizes[-1]]
    content = design.model_dump(exclude={"maps"}) | _bordered(design, source)
    config = parse_config({**content, "optics": {**content["optics"], **known}})
    for name, size, plane in zip(source.names, sizes, config.optics.sizes[1:-1], strict=True):
        if size != plane:
            raise ConfigError(
                f"expected maps of {plane} x {plane}, as optics.size says, but {name} has {size} x {size}: correct one"
            )
    shapes = " and ".join(f"{size} x {size}" for size in dict.fromkeys(sizes))
    files = ", ".join(file.name for file in source.files)
    notes = [f"{counted(depth, f'{source.kind} map')} of {shapes} in {files}"]
    if weights is not None:
        travel = weights.travel(config.optics)
        notes += [*weights.notes, travel.note]
        if travel.method is not None and config.optics.method == "auto":
            optics = config.optics.model_copy(update={"method": travel.method})
            config = config.model_copy(update={"optics": optics})
    for name, border, size in zip(source.names, source.borders, sizes, strict=True):
        if any(border):
            rows, columns = size - sum(border[:2]), size - sum(border[2:])
            where = "in the middle" if border[::2] == border[1::2] else "half a pixel off the middle"
            notes.append(f"{name} has {rows} x {columns}: it stands {where} of its plane, computed as dark beside it")
    ideal = DeviceConfig(**IDEAL)
    if all(device.model_copy(update={"border": 0}) == ideal for device in config.layer_devices):
        notes.append("the device is an ideal one of 256 even phases (device.model lcos): say device for a real one")
    return config, notes


def _bordered(design: Design, source: Source) -> dict[str, Any]:
    """Return devices that cover no more of their planes than the maps do, as sections of a configuration."""
    if not any(map(any, source.borders)):
        return {}
    each = design.devices if design.devices is not None else [design.device] * len(source.borders)
    devices = []
    for device, border in zip(each, source.borders, strict=False):
        content = {} if device is None else device.model_dump()
        if any(border) and content.get("border"):
            raise ConfigError(
                "expected no device.border beside a map that is not square, which says itself what the device covers, "
                f"but got {content['border']}: leave it out"
            )
        devices.append(content | ({"border": list(border)} if any(border) else {}))
    return {"device": None, "devices": devices}
