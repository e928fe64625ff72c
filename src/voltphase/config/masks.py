"""The mask in front of the source, from a file."""

from __future__ import annotations

from voltphase.core.errors import DataError, VoltphaseError
from voltphase.core.files import checked_path, read_numbers
from voltphase.optics.masks import Mask


def read_mask(file: str) -> Mask:
    """Return the mask in a file: an array (NPY), a table of numbers (CSV), or a grey picture of 8 or 16 bits.

    Raises:
        DataError: if the file cannot be read, or holds no mask.
    """
    path = checked_path(file, DataError)
    try:
        return Mask(read_numbers(path, DataError))
    except VoltphaseError as error:
        raise DataError(f"optics.source.mask, {path}: {error}") from error
