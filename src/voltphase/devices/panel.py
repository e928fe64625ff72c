"""A panel whose pixels do not all respond alike, and whose border may not respond at all."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.display.card import card
from voltphase.core.display.pictures import states_picture
from voltphase.core.errors import DeviceError
from voltphase.core.files import atomic_directory, checked_path, given_path, load_array, read_json, write_json
from voltphase.core.units import metres
from voltphase.devices.pick import Pick, pick_levels
from voltphase.devices.states import DeviceStates
from voltphase.devices.tables.load import load_table

# In the map of a panel: a pixel that no driver reaches.
INACTIVE = -1
# Pixels a side, far more than any panel has.
_LARGEST = 1 << 16

VERSION = 1
_PANEL, _MAP = "panel.json", "regions.npy"


@dataclass(frozen=True, eq=False)
class DevicePanel:
    """Which states each pixel of a panel has: a table for each region, and one fixed value where nothing can be set.

    All tables have the same ``K`` control values, so that a map of levels means one thing over the whole panel. Axes
    are rows = y, columns = x.

    Args:
        tables: The responses, one `DeviceStates` for each kind of pixel.
        regions: ``rows x columns`` whole numbers: which of the tables each pixel follows, counted from 0, or -1 where
            it is inactive. Kept as read-only int64.
        inactive_value: What the light is multiplied by at inactive pixels: 0 is black, 1 is clear.
        name: Name of the panel, by default that of its first table. Kept on one line.

    Attributes:
        digest: SHA-256, in hexadecimal, of the map, the tables' digests and the inactive value, whatever the names.

    Raises:
        DeviceError: if there is no table, their control values or units differ, the map is not of such numbers, it has
            no active pixel or names a table that is not there, or the inactive value is not finite.
    """

    tables: tuple[DeviceStates, ...]
    regions: NDArray[np.int64]
    inactive_value: complex = 0j
    name: str = ""
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        what = "a list of the tables of a panel"
        tables = checks.items(self.tables, what, error=DeviceError, advice="give the states of its pixels")
        for table in tables:
            checks.instance(table, DeviceStates, "each table of a panel as the states of a device", error=DeviceError)
        object.__setattr__(self, "tables", tuple(tables))
        if not self.tables:
            raise DeviceError("expected at least one table for a panel, but got none: give the states of its pixels")
        object.__setattr__(self, "name", " ".join(str(self.name).split()) or self.tables[0].name)
        self._check_tables()
        object.__setattr__(self, "regions", _regions(self.regions, len(self.tables), self.name))
        what = f"the value of the inactive pixels of {self.name}"
        value = checks.complex_number(self.inactive_value, what, error=DeviceError) + 0
        object.__setattr__(self, "inactive_value", value)
        digest = hashlib.sha256(json.dumps([self.shape, [table.digest for table in self.tables]]).encode())
        digest.update(np.array([value.real, value.imag], dtype="<f8").tobytes())
        digest.update(self.regions.astype("<i8").tobytes())
        object.__setattr__(self, "digest", digest.hexdigest())

    @classmethod
    def uniform(
        cls,
        states: DeviceStates,
        shape: tuple[int, int],
        *,
        border: int | tuple[int, int, int, int] = 0,
        inactive_value: complex = 0j,
    ) -> DevicePanel:
        """Return a panel of pixels all alike, within an inactive border.

        Args:
            states: Table of states of every active pixel.
            shape: (rows, columns) of the panel, border included.
            border: Width of the border in pixels, the same all round or (top, bottom, left, right).
            inactive_value: Complex factor on the light at inactive pixels.

        Raises:
            DeviceError: if the border is negative or leaves no pixel active.
        """
        checks.instance(states, DeviceStates, "the states of a device", error=DeviceError)
        shape = checks.size(shape, "the shape of a panel", error=DeviceError, most=_LARGEST)
        what = "a border in pixels, one number or (top, bottom, left, right)"
        given = [border] * 4 if isinstance(border, Integral) else checks.items(border, what, error=DeviceError)
        sides = [checks.whole(side, what, error=DeviceError) for side in given]
        if len(sides) != 4 or min(sides) < 0 or sides[0] + sides[1] >= shape[0] or sides[2] + sides[3] >= shape[1]:
            raise DeviceError(
                f"expected a border (top, bottom, left, right) that leaves some of {shape[0]} x {shape[1]} pixels "
                f"active, but got {border}: make it narrower"
            )
        top, bottom, left, right = sides
        regions = np.full(shape, INACTIVE, dtype=np.int64)
        regions[top : shape[0] - bottom, left : shape[1] - right] = 0
        return cls((states,), regions, inactive_value)

    def __len__(self) -> int:
        return len(self.tables[0])

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"DevicePanel({self.name!r}, {rows} x {columns} pixels, {len(self.tables)} tables of {len(self)} states, "
            f"digest {self.digest[:12]})"
        )

    def _repr_html_(self) -> str:
        rows, columns = self.shape
        facts = {"pixels": f"{rows} x {columns}, {int(self.inactive.sum())} of them inactive"}
        facts |= {"tables": f"{len(self.tables)} of {len(self)} states", "digest": self.digest[:12]}
        return card(self.name, facts, [states_picture(np.concatenate([table.values() for table in self.tables]))])

    @property
    def shape(self) -> tuple[int, int]:
        """The number of (rows, columns)."""
        rows, columns = self.regions.shape
        return rows, columns

    @property
    def control(self) -> NDArray[np.float64]:
        """The ``K`` control values that all tables share."""
        return self.tables[0].control

    @property
    def control_unit(self) -> str:
        """The unit of the control values."""
        return self.tables[0].control_unit

    @property
    def wavelength(self) -> float | None:
        """The wavelength in metres that the tables were measured or computed for; None if none of them says it."""
        return next((table.wavelength for table in self.tables if table.wavelength is not None), None)

    @property
    def inactive(self) -> NDArray[np.bool_]:
        """Where no level can be set, ``rows x columns``."""
        return self.regions == INACTIVE

    def states_at(self, levels: NDArray[np.integer]) -> NDArray[np.complex128]:
        """Return the complex factor on the light at each pixel; at inactive pixels the level does not matter.

        Args:
            levels: ``rows x columns`` whole numbers from 0 to ``K - 1``.

        Raises:
            DeviceError: if the levels are of another shape or type, or out of range.
        """
        levels = _numpy(levels, f"levels of {self.name}")
        if levels.shape != self.shape or levels.dtype.kind not in "iu":
            raise DeviceError(
                f"expected {self.shape[0]} x {self.shape[1]} whole numbers as levels of {self.name}, but got "
                f"{levels.dtype} of shape {levels.shape}"
            )
        for row, column in np.argwhere((levels < 0) | (levels >= len(self))):
            raise DeviceError(
                f"expected levels from 0 to {len(self) - 1} for {self.name}, but row {row}, column {column} has "
                f"{levels[row, column]}"
            )
        # The last row is that of -1, the inactive pixels.
        values = np.stack([*(table.values() for table in self.tables), np.full(len(self), self.inactive_value)])
        return values[self.regions, levels]

    def pick(self, k: int, by: Pick = "spread") -> DevicePanel:
        """Choose ``k`` of the levels, the same ones of every table; see `DeviceStates.pick`.

        Picked by ``"spread"``, two levels are as far apart as their states of all tables together, in the root of the
        summed squares.

        Args:
            k: Number of levels to keep, from 2 to ``len(self)``.
            by: The rule, as for `DeviceStates.pick`.

        Raises:
            DeviceError: as `DeviceStates.pick` does, for any of the tables.
        """
        values = np.stack([table.values() for table in self.tables], axis=-1)
        return self.taking(pick_levels(self.control, values, k, by, self.name), by)

    def taking(self, levels: NDArray[np.int64], by: str) -> DevicePanel:
        """Keep the given levels only, as `DeviceStates.taking` does."""
        return replace(self, tables=tuple(table.taking(levels, by) for table in self.tables))

    def save(self, path: str | Path) -> None:
        """Write a new folder: ``panel.json``, a CSV for each table and the map as ``regions.npy``.

        Raises:
            OutputError: if the folder exists already or cannot be written; nothing half-written is left.
        """
        names = [f"table-{index}.csv" for index in range(len(self.tables))]
        with atomic_directory(path) as folder:
            for name, table in zip(names, self.tables, strict=True):
                table.save(folder / name)
            np.save(folder / _MAP, self.regions.astype("<i4"), allow_pickle=False)
            content = {
                "voltphase-panel": VERSION,
                "name": self.name,
                "tables": names,
                "inactive_value": [self.inactive_value.real, self.inactive_value.imag],
            }
            write_json(folder / _PANEL, content)

    @staticmethod
    def is_at(path: str | Path) -> bool:
        """Return whether a path is the folder of a panel."""
        with given_path(path, DeviceError) as folder:
            return (folder / _PANEL).is_file()

    @classmethod
    def load(cls, path: str | Path) -> DevicePanel:
        """Read the folder of a panel, as `save` writes it.

        In ``panel.json``, ``tables`` names the CSV of each table in the order of the map's numbers, and
        ``inactive_value`` is [real part, imaginary part].

        Raises:
            DeviceError: if a file is missing or malformed, or together they are no panel; it names the file.
        """
        folder = checked_path(path, DeviceError)
        content = _content(folder / _PANEL)
        names = _names(content.get("tables"), folder / _PANEL)
        loaded = {name: load_table(folder / name) for name in dict.fromkeys(names)}
        tables = tuple(loaded[name] for name in names)
        value = content.get("inactive_value", [0, 0])
        if not (isinstance(value, list) and len(value) == 2 and all(type(part) in (int, float) for part in value)):
            raise DeviceError(
                f"{folder / _PANEL}: expected inactive_value as [real part, imaginary part], but got {value!r:.60}"
            )
        regions, name = _map(folder / _MAP), content.get("name")
        try:
            return cls(tables, regions, complex(*value), name if isinstance(name, str) else folder.name)
        except DeviceError as error:
            raise DeviceError(f"{folder}: {error}") from error
        except OverflowError as error:
            raise DeviceError(f"{folder / _PANEL}: expected a finite inactive_value, but got {value!r:.60}") from error

    def _check_tables(self) -> None:
        first = self.tables[0]
        for index, table in enumerate(self.tables[1:], start=1):
            named = f"table {index} ({table.name})"
            if len(table) != len(first):
                raise DeviceError(
                    f"expected all tables of {self.name} to have {len(first)} states as the first, but {named} has "
                    f"{len(table)}: measure all at the same control values"
                )
            if table.control_unit != first.control_unit:
                raise DeviceError(
                    f"expected all tables of {self.name} to have control values in {first.control_unit} as the first, "
                    f"but {named} has them in {table.control_unit}: give all in one unit"
                )
            wavelength = self.wavelength
            if table.wavelength and wavelength and not math.isclose(table.wavelength, wavelength, rel_tol=1e-3):
                raise DeviceError(
                    f"expected all tables of {self.name} to be for one wavelength, but one is for "
                    f"{metres(wavelength)} and {named} for {metres(table.wavelength)}: measure all at the same"
                )
            for level in np.flatnonzero(table.control != first.control):
                raise DeviceError(
                    f"expected all tables of {self.name} to have the same control values, but at level {level} {named} "
                    f"has {table.control[level]:.12g} and the first {first.control[level]:.12g}: measure all at the "
                    "same ones, in the same order"
                )


def _regions(given: object, tables: int, name: str) -> NDArray[np.int64]:
    array = _numpy(given, f"the map of {name}")
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "iu":
        raise DeviceError(
            f"expected the map of {name} to be rows x columns whole numbers, but got {array.dtype} of shape "
            f"{array.shape}"
        )
    for row, column in np.argwhere((array < INACTIVE) | (array >= tables)):
        raise DeviceError(
            f"expected the map of {name} to name tables from 0 to {tables - 1}, or -1 for inactive, but row {row}, "
            f"column {column} has {array[row, column]}: correct it, or add the table"
        )
    if (array == INACTIVE).all():
        raise DeviceError(f"expected some active pixels in the map of {name}, but all are -1: name a table for them")
    regions = array.astype(np.int64)
    regions.setflags(write=False)
    return regions


def _numpy(given: object, what: str) -> NDArray[Any]:
    return checks.array(given, what, error=DeviceError).detach().cpu().numpy()


def _content(path: Path) -> dict[str, Any]:
    content = read_json(path, DeviceError)
    version = content.get("voltphase-panel") if isinstance(content, dict) else None
    if version != VERSION:
        raise DeviceError(
            f'expected "voltphase-panel": {VERSION} in {path}, but got {version!r:.60}: use the voltphase it was '
            "written with, or save it again"
        )
    return content


def _names(given: object, path: Path) -> Sequence[str]:
    names = given if isinstance(given, list) else []
    # Names alone: a panel is its folder, and reads nothing outside it.
    plain = (isinstance(name, str) and Path(name).name == name and name.endswith(".csv") for name in names)
    if not names or "\\" in "".join(map(str, names)) or not all(plain):
        raise DeviceError(f"{path}: expected tables as a list of names of CSV files beside it, but got {given!r:.60}")
    return names


def _map(path: Path) -> NDArray[Any]:
    try:
        return load_array(path)
    except (OSError, ValueError) as error:
        wrong = f"as a plain array of whole numbers, but {path} cannot be read as one: write it with numpy.save"
        if isinstance(error, FileNotFoundError):
            wrong = f"at {path}, but there is no such file: save it again"
        raise DeviceError(f"expected the map of the panel {wrong}") from error
