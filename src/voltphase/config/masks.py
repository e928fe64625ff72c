"""Masks of a configuration: that in front of the source, and those between planes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from voltphase.core.errors import DataError
from voltphase.optics.masks import Mask


def read_mask(file: str) -> Mask:
    """Return the mask in front of the source, from its file; see :meth:`Mask.read`.

    Raises:
        DataError: if the file cannot be read, or holds no mask.
    """
    try:
        return Mask.read(file)
    except DataError as error:
        raise DataError(f"optics.source.mask: {error}") from error


def mask_settings(optics: Any) -> Iterator[dict[str, Any]]:
    """Yield the settings of each mask between planes in the section ``optics``, as these are read from YAML."""
    given = optics if isinstance(optics, dict) else {}
    detectors = given.get("detectors")
    for distances in (given.get("distances"), detectors.get("distances") if isinstance(detectors, dict) else None):
        for span in distances if isinstance(distances, list) else ():
            for part in span if isinstance(span, list) else ():
                if isinstance(part, dict) and part.get("name") == "mask":
                    yield part
