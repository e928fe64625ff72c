"""Devices by the path of their files, or by the name of a model."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.core.files import given_path
from voltphase.devices.device import Device
from voltphase.devices.models.base import MODELS, model
from voltphase.devices.panel import DevicePanel
from voltphase.devices.spectrum import DeviceSpectrum
from voltphase.devices.tables.load import load_tables
from voltphase.devices.tables.two_files import find_pair


def load(path: str | Path) -> Device:
    """Read a measured device: a table of states, a pair of files, or a folder of a panel or of several wavelengths.

    Args:
        path: File or folder; see :func:`load_table` for what a table may look like, `DevicePanel.load` for panels, and
            `DeviceSpectrum.load` for a folder with a table at each of several wavelengths, which a column
            ``wavelength`` in one table does as well.

    Raises:
        DeviceError: if it is missing or malformed; it names file and line, and what to do.

    Examples:
        >>> import tempfile
        >>> from voltphase.devices import tn_slm
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tn_slm().save(f"{folder}/slm.csv")
        ...     len(load(f"{folder}/slm.csv").pick(8))
        8
    """
    if DevicePanel.is_at(path):
        return DevicePanel.load(path)
    if DeviceSpectrum.is_at(path):
        return DeviceSpectrum.load(path)
    tables = load_tables(path)
    return tables[0] if len(tables) == 1 else DeviceSpectrum(tuple(tables))


def find(name_or_path: str | Path) -> Device:
    """Return the modelled device of a name, or else the measured device at a path.

    Args:
        name_or_path: Name in `MODELS`, or a path as :func:`load` takes it; ``./name`` is a path even if there is a
            model of that name.

    Raises:
        DeviceError: if it is neither, or the device is malformed.
    """
    kinds = (str, os.PathLike)
    checks.instance(name_or_path, kinds, "the name of a modelled device or the path of a table", error=DeviceError)
    text = str(name_or_path)
    if text in MODELS:
        return model(text)
    with given_path(name_or_path, DeviceError) as path:
        if path.name != text or path.suffix or path.exists() or find_pair(path) is not None:
            return load(path)
    close = difflib.get_close_matches(text.lower().replace("_", "-"), MODELS, n=1)
    advice = f"did you mean {close[0]}?" if close else f"use one of {', '.join(MODELS)}, or the path of a table"
    raise DeviceError(f"expected a modelled device or a file, but {checks.shown(text)} is neither: {advice}")
