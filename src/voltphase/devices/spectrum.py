"""A device that is known at several wavelengths: a level gives a state at each of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.core.files import atomic_directory, checked_path, given_path
from voltphase.core.units import metres
from voltphase.devices.device import Device
from voltphase.devices.models.base import model
from voltphase.devices.panel import DevicePanel
from voltphase.devices.pick import Pick, pick_levels
from voltphase.devices.states import DeviceStates
from voltphase.devices.tables.load import load_tables
from voltphase.devices.tables.two_files import is_half_of_pair

# Wavelengths closer than this, relative to themselves, are one: as near as a laser is known.
_SAME: Final = 1e-3
#: What of a modelled device is made for a wavelength where nothing else is asked for, and stays at any other.
_MADE_FOR: Final[Mapping[str, tuple[str, Callable[[DeviceStates, float], float]]]] = {
    "printed": ("height", lambda states, _: float(states.control.max())),
    "ti-plm": ("design_wavelength", lambda _, wavelength: wavelength),
}


@dataclass(frozen=True, eq=False)
class DeviceSpectrum:
    """The states of a device at several wavelengths: a table or a panel for each, of the same control values.

    As a :class:`Device` it is that at its first wavelength, the one that levels are shown and drawn for; its levels are
    picked by all.

    Args:
        devices: The tables, or the panels, one for each wavelength, which each of them names.

    Attributes:
        digest: SHA-256, in hexadecimal, of the wavelengths and the digests of all.

    Raises:
        DeviceError: if there are fewer than two, one names no wavelength or one that another has too, or their levels,
            control values or pixels differ.

    Examples:
        >>> import voltphase as vp
        >>> both = spectrum_of_model("printed", 4, [532e-9, 633e-9])
        >>> both.at(633e-9).phase.round(2).tolist()
        [0.0, 1.32, 2.64, 3.96]
    """

    devices: tuple[DeviceStates | DevicePanel, ...]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        what = "a list of the tables of a device, one for each wavelength"
        given = checks.items(self.devices, what, error=DeviceError)
        kinds = (DeviceStates, DevicePanel)
        devices = tuple(
            checks.instance(one, kinds, "each of them as a table or a panel", error=DeviceError) for one in given
        )
        object.__setattr__(self, "devices", devices)
        if len(devices) < 2:
            raise DeviceError(
                f"expected a device at two wavelengths or more, but got {len(devices)}: use its table alone"
            )
        for number, one in enumerate(devices):
            if one.wavelength is None:
                raise DeviceError(
                    f"expected the wavelength of each table of {self.name}, but {one.name} names none: write it into "
                    "the file, as '# wavelength: 532e-9'"
                )
            if any(_alike(one.wavelength, other.wavelength) for other in devices[:number]):
                raise DeviceError(
                    f"expected one table of {self.name} at each wavelength, but there are two at "
                    f"{metres(one.wavelength)}: keep one"
                )
            self._check(one)
        named = json.dumps([[one.wavelength, one.digest] for one in devices])
        object.__setattr__(self, "digest", hashlib.sha256(named.encode()).hexdigest())

    def _check(self, one: DeviceStates | DevicePanel) -> None:
        first = self.devices[0]
        if len(one) != len(first) or (one.control != first.control).any() or one.control_unit != first.control_unit:
            raise DeviceError(
                f"expected the same control values at each wavelength of {self.name}, but those at "
                f"{metres(one.wavelength or 0)} are others than at {metres(first.wavelength or 0)}: a level is one "
                "setting of the device, whatever the light"
            )
        if (one.regions is None) != (first.regions is None) or not np.array_equal(one.inactive, first.inactive):
            raise DeviceError(
                f"expected the same pixels at each wavelength of {self.name}, but their maps differ: save all with one"
            )

    def __len__(self) -> int:
        return len(self.devices[0])

    def __repr__(self) -> str:
        light = ", ".join(map(metres, self.wavelengths))
        return f"DeviceSpectrum({self.name!r}, {len(self)} states at {light}, digest {self.digest[:12]})"

    @property
    def wavelengths(self) -> tuple[float, ...]:
        """The wavelengths in metres."""
        return tuple(one.wavelength for one in self.devices if one.wavelength is not None)

    @property
    def name(self) -> str:
        """The name of the device at its first wavelength."""
        return self.devices[0].name

    @property
    def control(self) -> NDArray[np.float64]:
        """The ``K`` control values, the same at all wavelengths."""
        return self.devices[0].control

    @property
    def control_unit(self) -> str:
        """The unit of the control values."""
        return self.devices[0].control_unit

    @property
    def wavelength(self) -> float | None:
        """The first wavelength in metres."""
        return self.devices[0].wavelength

    @property
    def tables(self) -> tuple[DeviceStates, ...]:
        """The tables at the first wavelength."""
        return self.devices[0].tables

    @property
    def regions(self) -> NDArray[np.int64] | None:
        """The table that each pixel follows, of a panel."""
        return self.devices[0].regions

    @property
    def inactive(self) -> NDArray[np.bool_]:
        """Whether a pixel is inactive."""
        return self.devices[0].inactive

    @property
    def inactive_value(self) -> complex:
        """The complex factor on the light of the first wavelength at inactive pixels."""
        return self.devices[0].inactive_value

    def at(self, wavelength: float) -> DeviceStates | DevicePanel:
        """Return the device at a wavelength.

        Args:
            wavelength: Wavelength in metres.

        Raises:
            DeviceError: if there is no table within a part in a thousand of it: none is made up in between.
        """
        for one in self.devices:
            if _alike(one.wavelength, wavelength):
                return one
        known = ", ".join(map(metres, self.wavelengths))
        raise DeviceError(
            f"expected states of {self.name} at {metres(wavelength)}, but it has them at {known}: measure a table "
            "there, or use light of these"
        )

    def states_at(self, levels: NDArray[np.integer]) -> NDArray[np.complex128]:
        """Return the complex factor on the light of the first wavelength at each pixel.

        Args:
            levels: Level of each pixel, ``rows x columns`` whole numbers.
        """
        return self.devices[0].states_at(levels)

    def pick(self, k: int, by: Pick = "spread") -> DeviceSpectrum:
        """Choose some of the levels, the same ones at every wavelength.

        Picked by ``"spread"``, two levels are as far apart as their states at all wavelengths together, in the root of
        the summed squares.

        Args:
            k: Number of levels to keep.
            by: Rule by which they are chosen; see `DeviceStates.pick`.
        """
        values = np.stack([table.values() for one in self.devices for table in one.tables], axis=-1)
        levels = pick_levels(self.control, values, k, by, self.name)
        return DeviceSpectrum(tuple(one.taking(levels, by) for one in self.devices))

    def save(self, path: str | Path) -> None:
        """Write a new folder that `voltphase.devices.load` reads back: a table, or a panel's folder, a wavelength.

        Args:
            path: Folder to make.

        Raises:
            OutputError: if the folder exists already or cannot be written; nothing half-written is left.
        """
        with atomic_directory(path) as folder:
            for one, wavelength in zip(self.devices, self.wavelengths, strict=True):
                name = f"{wavelength * 1e9:.9g}nm"
                one.save(folder / (name if isinstance(one, DevicePanel) else f"{name}.csv"))

    @staticmethod
    def is_at(path: str | Path) -> bool:
        """Return whether a path is a folder of the tables or panels of a device, one for each wavelength."""
        with given_path(path, DeviceError) as folder:
            return folder.is_dir() and not DevicePanel.is_at(folder) and bool(_files_in(folder))

    @classmethod
    def load(cls, path: str | Path) -> DeviceSpectrum:
        """Read a folder of tables or panels, each of which names its wavelength; the shortest comes first.

        Raises:
            DeviceError: if one is malformed, or together they are no device.
        """
        folder = checked_path(path, DeviceError)
        found: list[DeviceStates | DevicePanel] = []
        for file in _files_in(folder):
            found += [DevicePanel.load(file)] if file.is_dir() else load_tables(file)
        try:
            return cls(tuple(sorted(found, key=lambda one: one.wavelength or 0.0)))
        except DeviceError as error:
            raise DeviceError(f"{folder}: {error}") from error


def _files_in(folder: Path) -> list[Path]:
    tables = [file for file in folder.glob("*.csv") if not file.name.startswith(".") and not is_half_of_pair(file)]
    return sorted([*tables, *(panel for panel in folder.iterdir() if panel.is_dir() and DevicePanel.is_at(panel))])


def _alike(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and math.isclose(one, other, rel_tol=_SAME)


def parts_of(device: Device) -> tuple[Device, ...]:
    """Return the device at each of its wavelengths; itself, if it is not known at several."""
    return device.devices if isinstance(device, DeviceSpectrum) else (device,)


def plain(device: Device) -> Device:
    """Return the table of a panel whose pixels all follow it."""
    if not isinstance(device, DeviceSpectrum):
        return device.tables[0]
    return DeviceSpectrum(tuple(one.tables[0] for one in device.devices))


def at_wavelengths(device: Device, wavelengths: Sequence[float]) -> Device:
    """Return a device as light of some wavelengths meets it, in the order of these.

    A table of amplitudes alone, such as that of mirrors that are on or off, holds at any wavelength where it names
    none.

    Args:
        device: Device, at one wavelength or at several.
        wavelengths: Wavelengths in metres.

    Raises:
        DeviceError: if it has no table at one of several wavelengths.

    Examples:
        >>> import voltphase as vp
        >>> len(at_wavelengths(vp.devices.dmd(), [532e-9, 633e-9]))
        2
    """
    if len(wavelengths) == 1:
        return device.at(wavelengths[0]) if isinstance(device, DeviceSpectrum) else device
    if isinstance(device, DeviceSpectrum):
        return DeviceSpectrum(tuple(device.at(wavelength) for wavelength in wavelengths))
    if isinstance(device, DeviceStates | DevicePanel) and device.wavelength is None and _turns_no_phase(device):
        return DeviceSpectrum(tuple(_named(device, wavelength) for wavelength in wavelengths))
    known = "at one that it does not name" if device.wavelength is None else f"at {metres(device.wavelength)} alone"
    raise DeviceError(
        f"expected states of {device.name} at each wavelength of the light, {', '.join(map(metres, wavelengths))}, but "
        f"it has them {known}: give a table with a column wavelength, or a folder with a table for each, or take a "
        "modelled device that has a wavelength"
    )


def _turns_no_phase(device: DeviceStates | DevicePanel) -> bool:
    return all(float(np.ptp(table.phase)) == 0 for table in device.tables)


def _named(device: DeviceStates | DevicePanel, wavelength: float) -> DeviceStates | DevicePanel:
    if isinstance(device, DeviceStates):
        return replace(device, wavelength=wavelength)
    return replace(device, tables=tuple(replace(table, wavelength=wavelength) for table in device.tables))


def spectrum_of_model(
    name: str, levels: int | None, wavelengths: Sequence[float], parameters: Mapping[str, Any] | None = None
) -> Device:
    """Return a modelled device at several wavelengths, one and the same thing at each.

    What a model makes for a wavelength where nothing else is asked for, such as the height of a relief, is that of the
    first. Indices are those given at all of them.

    Args:
        name: Name of the model.
        levels: Number of states of a device that is made to measure.
        wavelengths: Wavelengths in metres.
        parameters: Parameters of the model by name.

    Raises:
        DeviceError: as :func:`voltphase.devices.model`, or if the model does not depend on the wavelength though its
            phases would.
    """
    given = dict(parameters or {})
    if "wavelength" in given:
        raise DeviceError(
            f"expected no wavelength among the parameters of {name} in light of several, but got "
            f"{checks.shown(given['wavelength'])}: leave it out"
        )
    first = model(name, levels, wavelength=wavelengths[0], parameters=given)
    if first.wavelength is None:
        return at_wavelengths(first, wavelengths)
    if name in _MADE_FOR and _MADE_FOR[name][0] not in given:
        parameter, made = _MADE_FOR[name]
        given[parameter] = made(first, wavelengths[0])
    return DeviceSpectrum(tuple(model(name, levels, wavelength=one, parameters=given) for one in wavelengths))
