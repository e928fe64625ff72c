"""The maps of a design as light meets them, and the configuration of the system around them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

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
        numbers: Its numbers as light meets them.
        kind: What the numbers are.
        files: Paths of the files that they are from.
        weights: What else is known where they are another program's weights.
    """

    names: list[str]
    numbers: list[NDArray[Any]]
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
        return cls(names, [oriented(each, maps.turns, maps.flip) for each in stored], kind, files, weights)


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
    if design.optics.networks.count > 1:
        raise ConfigError(
            f"expected the maps of one network, but optics.networks.count is {design.optics.networks.count}: import "
            "each network by itself"
        )
    depth, sizes = len(source.numbers), [numbers.shape for numbers in source.numbers]
    if "depth" in said and design.optics.depth != depth:
        raise ConfigError(
            f"expected {counted(design.optics.depth, 'map')}, one for each layer that optics.depth, devices or "
            f"optics.distances say, but got {depth}: {', '.join(source.names)}"
        )
    known["depth"] = depth
    if "size" not in said:
        each = [list(size) for size in (sizes[0], *sizes, sizes[-1])]
        known["size"] = each[0] if len({*sizes}) == 1 else each
    content = design.model_dump(exclude={"maps"})
    config = parse_config({**content, "optics": {**content["optics"], **known}})
    for name, size, plane in zip(source.names, sizes, config.optics.sizes[1:-1], strict=True):
        if size != plane:
            raise ConfigError(
                f"expected maps of {plane[0]} x {plane[1]}, as optics.size says, but {name} has {size[0]} x {size[1]}: "
                "correct one"
            )
    shapes = " and ".join(f"{rows} x {columns}" for rows, columns in dict.fromkeys(sizes))
    files = ", ".join(file.name for file in source.files)
    notes = [f"{counted(depth, f'{source.kind} map')} of {shapes} in {files}"]
    if weights is not None:
        travel = weights.travel(config.optics)
        notes += [*weights.notes, travel.note]
        if travel.method is not None and config.optics.method == "auto":
            optics = config.optics.model_copy(update={"method": travel.method})
            config = config.model_copy(update={"optics": optics})
    ideal = DeviceConfig(**IDEAL)
    if all(device.model_copy(update={"border": 0}) == ideal for device in config.layer_devices):
        notes.append("the device is an ideal one of 256 even phases (device.model lcos): say device for a real one")
    return config, notes
