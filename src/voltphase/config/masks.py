"""The mask in front of the source, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DataError, VoltphaseError
from voltphase.core.files import checked_path, load_array, read_errors, read_text, require_file
from voltphase.core.limits import require_memory
from voltphase.data.files.pictures import KINDS, SUFFIXES, read_picture
from voltphase.optics.masks import Mask

# A table of 4096 x 4096 numbers with a dozen characters each is no larger.
_LARGEST_TABLE: Final = 1 << 28


def read_mask(file: str) -> Mask:
    """Return the mask in a file: an array (NPY), a table of numbers (CSV), or a grey picture of 8 or 16 bits.

    Raises:
        DataError: if the file cannot be read, or holds no mask.
    """
    path = checked_path(file, DataError)
    try:
        with read_errors(path, DataError):
            require_file(path, DataError)
            size = path.stat().st_size
        require_memory(32.0 * size, f"reading {path}", DataError, "free some, or give fewer samples")
        return Mask(_numbers(path))
    except VoltphaseError as error:
        raise DataError(f"optics.source.mask, {path}: {error}") from error


def _numbers(path: Path) -> NDArray[Any]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        with read_errors(path, DataError):
            try:
                return load_array(path)
            except ValueError as error:
                raise DataError(f"expected an array as numpy.save writes it, but got {error}") from error
    if suffix == ".csv":
        try:
            return np.loadtxt(read_text(path, DataError, _LARGEST_TABLE).splitlines(), delimiter=",", ndmin=2)
        except ValueError as error:
            raise DataError(f"expected rows of numbers with commas between, but got {error!s:.100}") from error
    if suffix in SUFFIXES:
        found = read_picture(path, "refuse", advice="save it in grey")
        if isinstance(found, str):
            raise DataError(f"expected a grey picture, but it {found}")
        return found
    raise DataError(f"expected a file NPY, CSV, {KINDS}, but got {suffix or 'a name without ending'}")
