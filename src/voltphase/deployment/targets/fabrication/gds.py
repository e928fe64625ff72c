"""GDSII for lithography: rectangles of the pixels of each level, and the table of what each layer stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeploymentError
from voltphase.core.installed import needing_extras
from voltphase.core.units import metres
from voltphase.deployment.targets.base import TARGETS, Layer, Written
from voltphase.deployment.targets.fabrication.framing import FRAME, edges, framed, inside
from voltphase.deployment.targets.fabrication.gds_records import RECTANGLE, read_rectangles
from voltphase.deployment.targets.fabrication.rectangles import covered, rectangles
from voltphase.deployment.targets.fabrication.relief import Relief, csv_table

_UNIT: Final = 1e-6
#: The database unit: coordinates are whole numbers of it, of 32 bits.
_GRID: Final = 1e-9
_SMALLEST_PITCH: Final = 1e-8
_LARGEST_COORDINATE: Final = 2**31 - 1
#: As many numbers as every program has for layers.
_MOST_LEVELS: Final = 256
# Depths that masks add up to may differ by this from those of the levels: less than an atom.
_MASK_ERROR: Final = 1e-10
# The same design gives the same bytes on any day.
_DAY: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - the format has no time zone


@TARGETS.register("gds")
@dataclass(frozen=True)
class Gds(Relief):
    """A GDSII file of rectangles for each device, with a table of its layers as CSV.

    Args:
        layers: What a layer holds: the pixels of one depth (``levels``), those of this depth and all beyond it
            (``terraces``), or those of a binary mask (``masks``), log2 of the number of levels in all.
        drawn: What a drawn area is: left standing or added (``raised``), or taken away (``etched``).
    """

    layers: Literal["levels", "terraces", "masks"] = "levels"
    drawn: Literal["raised", "etched"] = "raised"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.word(self.layers, "layers", ("levels", "terraces", "masks"), error=DeploymentError)
        checks.word(self.drawn, "drawn", ("raised", "etched"), error=DeploymentError)

    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        with needing_extras():
            import gdstk

        written = []
        for layer, level in zip(layers, levels, strict=True):
            name, (y, x) = f"layer-{layer.number}", _edges(layer)
            # What cannot be made is refused before the work.
            rows = list(self._table(layer))
            steps = np.argsort(self._order(layer))
            library = gdstk.Library(name, unit=_UNIT, precision=_GRID)
            cell = library.new_cell(name)
            for number, area in self._areas(framed(steps[level], len(steps) - 1), len(steps)):
                top, left, bottom, right = rectangles(area).T
                corners = np.stack([x[left], y[bottom], x[right], y[top]], axis=1) * (_GRID / _UNIT)
                for west, south, east, north in corners.tolist():
                    cell.add(gdstk.rectangle((west, south), (east, north), layer=number))
            library.write_gds(folder / f"{name}.gds", timestamp=_DAY)
            (folder / f"{name}-layers.csv").write_bytes(csv_table(rows))
            written.append(Written([f"{name}.gds", f"{name}-layers.csv"], self.measured(layer, level)))
        return written

    def read(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[NDArray[np.integer]]:
        return [self._read(layer, one.files[0], contents) for layer, one in zip(layers, written, strict=True)]

    def largest_file(self, layers: Sequence[Layer]) -> int:
        return RECTANGLE.itemsize * max(
            len(layer.device) * (layer.grid.rows + 2 * FRAME) * (layer.grid.columns + 2 * FRAME) for layer in layers
        )

    def format(self, written: Written) -> str:
        return "GDSII, table"

    def instructions(self, layer: Layer, written: Written) -> list[str]:
        standing = "left standing or added" if self.drawn == "raised" else "taken away"
        holds = {
            "levels": "each GDS layer holds the pixels of one level, and what is in none stays as it is",
            "terraces": "each GDS layer holds the pixels of its level and of all beyond; made one after the other, "
            "each by its own step, they add up",
            "masks": "each GDS layer is a binary mask; made one after the other, each by its own step, they add up",
        }
        return [
            f"Coordinates are in um, with a grid of 1 nm and the centre of the design at 0, 0: {holds[self.layers]}. "
            f"What is drawn is {standing}; {written.files[1]} says how deep, layer by layer.",
            "In the file x grows to the right and y upwards, as seen by an eye that looks along the light onto the "
            "relief: row 0 of the design is at the top. The F at the top left, outside of the design, then reads "
            "as it should.",
            *super().instructions(layer, written),
        ]

    def _order(self, layer: Layer) -> NDArray[np.int64]:
        """Return the levels in the order of their depths; the first is not drawn."""
        if len(layer.device) > _MOST_LEVELS:
            raise DeploymentError(
                f"expected at most {_MOST_LEVELS} levels, as many as there are GDS layers, but {layer.device.name} has "
                f"{len(layer.device)}: train with fewer (device.levels)"
            )
        return np.argsort(self._depths(layer), kind="stable")

    def _depths(self, layer: Layer) -> NDArray[np.float64]:
        heights = self.heights(layer)
        return heights if self.drawn == "raised" else heights.max() - heights

    def _table(self, layer: Layer) -> Iterator[tuple[object, ...]]:
        order = self._order(layer)
        depths = self._depths(layer)[order]
        what = "height" if self.drawn == "raised" else "depth"
        if self.layers == "masks":
            yield from self._masks(layer, depths, what)
            return
        own = () if self.layers == "levels" else (f"own_{what}_nm",)
        yield ("gds_layer", "level", "control", f"{what}_nm", f"{what}_um", *own)
        control = layer.device.control[order]
        for step, (level, sent, depth) in enumerate(
            zip(order.tolist(), control.tolist(), depths.tolist(), strict=True)
        ):
            last = depths[step - 1] if step else 0.0
            more = (_figure((depth - last) * 1e9),) if own else ()
            name = step or "none"
            yield (name, level, f"{sent:.9g}", _figure(depth * 1e9), _figure(depth * 1e6), *more)

    def _masks(self, layer: Layer, depths: NDArray[np.float64], what: str) -> Iterator[tuple[object, ...]]:
        step = float(depths[-1]) / (len(depths) - 1)
        error = np.abs(depths - step * np.arange(len(depths))).max()
        if error > _MASK_ERROR:
            raise DeploymentError(
                f"expected evenly spaced depths, which binary masks add up to, but those of {layer.device.name} are "
                f"off by {metres(float(error))}: take --set layers=terraces or levels"
            )
        yield ("gds_layer", f"{what}_nm", f"{what}_um", "levels")
        order = self._order(layer)
        for bit in range((len(depths) - 1).bit_length()):
            of = [str(level) for place, level in enumerate(order.tolist()) if place >> bit & 1]
            yield (bit + 1, _figure((step * 2**bit) * 1e9), _figure((step * 2**bit) * 1e6), " ".join(of))

    def _areas(self, steps: NDArray[np.int64], count: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Yield each GDS layer with the area that is drawn in it, of a map of places in the order of depths."""
        if self.layers == "masks":
            yield from ((bit + 1, (steps >> bit & 1).astype(bool)) for bit in range((count - 1).bit_length()))
        else:
            beyond = np.greater_equal if self.layers == "terraces" else np.equal
            yield from ((step, beyond(steps, step)) for step in range(1, count))

    def _read(self, layer: Layer, name: str, contents: Mapping[str, bytes]) -> NDArray[np.int64]:
        order, (y, x) = self._order(layer), _edges(layer)
        count, shape = len(order), (len(y) - 1, len(x) - 1)
        of, box = read_rectangles(contents[name], name, (_UNIT, _GRID))
        left, bottom, right, top = (_places(edges, box[:, side], name) for side, edges in enumerate((x, y, x, y)))
        pieces = np.stack([top, left, bottom, right], axis=1)
        most = (count - 1).bit_length() if self.layers == "masks" else count - 1
        if (strange := (of < 1) | (of > most)).any():
            raise _damaged(name, f"there is a GDS layer {of[strange][0]}")
        steps = np.zeros(shape, dtype=np.int64)
        for number in np.unique(of).tolist():
            weight = {"levels": number, "terraces": 1, "masks": 1 << number - 1}[self.layers]
            steps += weight * covered(pieces[of == number], shape)
        steps = np.clip(inside(steps), 0, count - 1)
        # Whatever is drawn twice, left out, in another layer or in the frame: the areas are others then.
        for number, area in self._areas(framed(steps, count - 1), count):
            if (covered(pieces[of == number], shape) != area).any():
                raise _damaged(name, f"GDS layer {number} holds other areas")
        return order[steps]


def _edges(layer: Layer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where rows, with the frame, begin and end from the top down, and columns from the left, in nanometres."""
    found = []
    for each, pitch in zip(edges(layer.grid.shape), layer.grid.pitch, strict=True):
        if pitch < _SMALLEST_PITCH or each[-1] * pitch / _GRID > _LARGEST_COORDINATE:
            raise DeploymentError(
                f"expected a pitch of at least {metres(_SMALLEST_PITCH)} and a plate of at most 4 m, as GDS has "
                f"32 bits for coordinates of 1 nm, but got {metres(pitch)} over {metres(2 * each[-1] * pitch)}"
            )
        found.append(np.rint(each * (pitch / _GRID)).astype(np.int64))
    return -found[0], found[1]


def _places(edges: NDArray[np.int64], coordinates: NDArray[np.integer], name: str) -> NDArray[np.int64]:
    """Return which edges some coordinates are."""
    ascending = np.sort(edges)
    places = np.searchsorted(ascending, coordinates).clip(0, len(edges) - 1)
    if (wrong := ascending[places] != coordinates).any():
        raise _damaged(name, f"a rectangle has an edge at {coordinates[wrong][0]} nm, where no pixel has one")
    return places if edges[0] < edges[-1] else len(edges) - 1 - places


def _damaged(name: str, got: str) -> DeploymentError:
    return DeploymentError(
        f"expected rectangles of the pixels of one design in {name}, and a frame with an F around them, but {got}: "
        "restore the file or deploy again"
    )


def _figure(number: float) -> str:
    return f"{number:.9g}"
