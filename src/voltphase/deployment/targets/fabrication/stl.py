"""STL for printing: a closed surface over a base plate."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeploymentError
from voltphase.deployment.targets.base import TARGETS, Layer, Written
from voltphase.deployment.targets.fabrication.framing import FRAME, edges, framed, inside
from voltphase.deployment.targets.fabrication.relief import Relief

_MILLIMETRE: Final = 1e-3
# Part of the pitch that a wall between two pixels leans by. With upright walls the surface would meet itself in an edge
# wherever two high pixels touch at a corner alone, and be no surface there. Single precision tells the two ends of a
# wall apart on the longest side that is deployed, 65536 pixels, where it is good to 0.004 of a pitch.
_LEAN: Final = 0.02
# What the single precision of the format tells apart, as a part of a length, with room to spare.
_RESOLUTION: Final = 2.0**-21
_HEAD: Final = 84
_TRIANGLE: Final = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@TARGETS.register("stl")
@dataclass(frozen=True)
class Stl(Relief):
    """A closed surface in mm over a base plate, as a binary STL for each device.

    Args:
        base: Thickness of the plate below the lowest height, in metres.
    """

    base: Annotated[float, Gt(0), Le(1)] = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number(self.base, "the thickness of the base in metres", above=0, most=1, error=DeploymentError)

    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        written = []
        for layer, level in zip(layers, levels, strict=True):
            triangles, name = self._triangles(layer, level), f"layer-{layer.number}.stl"
            head = f"voltphase {name}: mm, relief towards the source, F at the top left".ljust(80).encode("ascii")
            (folder / name).write_bytes(head + struct.pack("<I", len(triangles)) + triangles.tobytes())
            written.append(Written([name], self.measured(layer, level)))
        return written

    def read(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[NDArray[np.integer]]:
        return [self._read(layer, one.files[0], contents) for layer, one in zip(layers, written, strict=True)]

    def instructions(self, layer: Layer, written: Written) -> list[str]:
        return [
            f"Coordinates are in mm: a plate of {self.base * 1e3:.6g} mm below the lowest height, its back at z = 0, "
            "the relief on top, the centre of the design at x = y = 0. Walls between pixels lean by "
            f"{_LEAN:.0%} of the pitch.",
            "x grows to the right, y upwards and z towards the source, as seen by an eye that looks along the light "
            "onto the relief: row 0 of the design is at the top. The F at the top left, outside of the design, then "
            "reads as it should.",
            *super().instructions(layer, written),
        ]

    def _heights(self, layer: Layer) -> NDArray[np.float64]:
        # Single precision has the same digits for the plate and what stands on it.
        whole = self.base + float(self.heights(layer).max())
        return self.distinct_heights(layer, whole * _RESOLUTION, "STL")

    def _triangles(self, layer: Layer, level: NDArray[np.integer]) -> NDArray[np.void]:
        heights = self._heights(layer)
        order = np.argsort(heights)
        map_of_heights = heights[order][framed(np.argsort(order)[level], len(heights) - 1)]
        corners = _surface(map_of_heights + self.base, layer)
        triangles = np.zeros(len(corners), dtype=_TRIANGLE)
        triangles["corners"] = corners
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        triangles["normal"] = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        return triangles

    def _read(self, layer: Layer, name: str, contents: Mapping[str, bytes]) -> NDArray[np.int64]:
        content = contents[name]
        rows, columns = (2 * (count + 2 * FRAME) for count in layer.grid.shape)
        count = 2 * (rows - 1) * (columns - 1) + 6 * (rows + columns - 2)
        if len(content) != _HEAD + count * _TRIANGLE.itemsize or struct.unpack_from("<I", content, 80) != (count,):
            raise _damaged(name, f"its {len(content)} bytes are not those of {count} triangles")
        triangles = np.frombuffer(content, dtype=_TRIANGLE, offset=_HEAD)
        top = triangles["corners"][: 2 * (rows - 1) * (columns - 1) : 2].reshape(rows - 1, columns - 1, 3, 3)
        z = inside(top[::2, ::2, 0, 2].astype(np.float64)) * _MILLIMETRE - self.base
        levels = np.abs(z[..., None] - self._heights(layer)).argmin(-1)
        different = (triangles["corners"] != self._triangles(layer, levels)["corners"]).any((1, 2))
        if different.any():
            raise _damaged(name, f"triangle {int(np.argmax(different))} lies elsewhere")
        return levels


def _surface(height: NDArray[np.float64], layer: Layer) -> NDArray[np.float32]:
    """Return the triangles of a closed surface, ``n x 3 corners x (x, y, z)`` in mm, corners turning left outside.

    The top comes first, two triangles for each cell of a grid of two lines for each pixel and axis: one a bit within
    each side of it. Cells of pixels lie flat, those between pixels lean. Then come the sides, and the bottom as a fan.
    """
    y, x = (
        _lines(edge, pitch) / _MILLIMETRE for edge, pitch in zip(edges(layer.grid.shape), layer.grid.pitch, strict=True)
    )
    z = np.repeat(np.repeat(height, 2, axis=0), 2, axis=1) / _MILLIMETRE
    points = np.stack([*np.broadcast_arrays(x[None, :], -y[:, None]), z], axis=-1).astype(np.float32)
    upper_left, upper_right, lower_left, lower_right = (
        points[:-1, :-1],
        points[:-1, 1:],
        points[1:, :-1],
        points[1:, 1:],
    )
    top = np.stack([upper_left, lower_left, lower_right, upper_left, lower_right, upper_right], axis=2).reshape(
        -1, 3, 3
    )
    rim = np.concatenate([points[:-1, 0], points[-1, :-1], points[:0:-1, -1], points[0, :0:-1]])
    following, ground = np.roll(rim, -1, axis=0), np.array([1, 1, 0], dtype=np.float32)
    sides = [rim * ground, following * ground, following, rim * ground, following, rim]
    bottom = [np.zeros_like(rim), following * ground, rim * ground]
    return np.concatenate([top, np.stack(sides, axis=1).reshape(-1, 3, 3), np.stack(bottom, axis=1)])


def _lines(edge: NDArray[np.float64], pitch: float) -> NDArray[np.float64]:
    """Return two lines for each pixel, a bit within its sides but on those of the plate, in metres."""
    lines = np.stack([edge[:-1] + _LEAN / 2, edge[1:] - _LEAN / 2], axis=1).ravel()
    lines[0], lines[-1] = edge[0], edge[-1]
    return lines * pitch


def _damaged(name: str, got: str) -> DeploymentError:
    return DeploymentError(f"expected the surface of one design in {name}, but {got}: restore the file or deploy again")
