"""Maps in files: the numbers that are stored, and how light meets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path, read_numbers
from voltphase.importing.design import Flip


def read_map(path: Path) -> NDArray[Any]:
    """Return the numbers in a file as they are stored, ``rows x columns`` of whole, real or complex numbers.

    Args:
        path: Path of the file.

    Raises:
        DataError: if it is missing, of another kind, has colours, or holds something else than numbers of one map.
    """
    path = checked_path(path, DataError)
    if not path.exists():
        raise DataError(f"expected the map {path}, but there is no such file: correct maps.files")
    try:
        found = read_numbers(path, DataError)
    except DataError as error:
        raise DataError(f"the map {path}: {error}") from error
    if found.ndim != 2 or found.dtype.kind not in "iufc" or not found.size:
        shape = " x ".join(map(str, found.shape)) or "one number"
        raise DataError(f"expected rows x columns of numbers in {path}, but got {shape} of {found.dtype}")
    if not np.isfinite(found).all():
        row, column = np.argwhere(~np.isfinite(found))[0]
        raise DataError(f"expected finite numbers in {path}, but at row {row}, column {column} is {found[row, column]}")
    return found


def oriented(stored: NDArray[Any], turns: int, flip: Flip) -> NDArray[Any]:
    """Return a map as light meets it, after quarter turns anticlockwise, then mirrored.

    Args:
        stored: The map as it is stored.
        turns: Quarter turns anticlockwise.
        flip: How it is mirrored after that.

    Examples:
        >>> oriented(np.array([[1, 2], [3, 4]]), 1, "horizontal").tolist()
        [[4, 2], [3, 1]]
    """
    turned = np.rot90(stored, turns)
    if flip in ("vertical", "both"):
        turned = turned[::-1]
    if flip in ("horizontal", "both"):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)
