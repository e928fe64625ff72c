"""Reading GDSII that holds rectangles and nothing else, without trust.

The stream is read here rather than by gdstk, which a damaged file can end by a segmentation fault. The format:
Calma, "GDSII Stream Format Manual", release 6.0 (1987).
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeploymentError

_HEADER, _BGNLIB, _LIBNAME, _UNITS, _BGNSTR, _STRNAME = 0x0002, 0x0102, 0x0206, 0x0305, 0x0502, 0x0606
_BEFORE: Final = (_HEADER, _BGNLIB, _LIBNAME, _UNITS, _BGNSTR, _STRNAME)
_AFTER: Final = bytes.fromhex("00040700 00040400")  # ENDSTR, ENDLIB
#: A rectangle: BOUNDARY, LAYER, DATATYPE, XY of five points and ENDEL, each with its length and kind.
RECTANGLE: Final = np.dtype(
    [
        *[("boundary", ">u4"), ("layer_kind", ">u4"), ("layer", ">i2"), ("datatype_kind", ">u4"), ("datatype", ">i2")],
        *[("points_kind", ">u4"), ("points", ">i4", (5, 2)), ("end", ">u4")],
    ]
)
_KINDS: Final = {
    "boundary": 0x00040800,
    "layer_kind": 0x00060D02,
    "datatype_kind": 0x00060E02,
    "datatype": 0,
    "points_kind": 0x002C1003,
    "end": 0x00041100,
}
# The corners of a rectangle in turn, as columns of (left, bottom, right, top).
_CORNERS: Final = [[0, 1], [2, 1], [2, 3], [0, 3], [0, 1]]


def read_rectangles(content: bytes, name: str, units: tuple[float, float]) -> tuple[NDArray[np.int64], ...]:
    """Return the GDS layer of each rectangle, and its ``left, bottom, right, top`` in database units.

    Args:
        content: Bytes of the file.
        name: Name of the file, for errors.
        units: The user unit and the database unit that it has to have, in metres.

    Raises:
        DeploymentError: if it is no GDSII of one cell of rectangles alone, as gdstk writes them, in these units.
    """
    at, found = 0, {}
    for kind in _BEFORE:
        length, got = struct.unpack_from(">HH", content, at) if at + 4 <= len(content) else (0, 0)
        if got != kind or length < 4 or at + length > len(content):
            raise _refusal(name, f"its record at byte {at} is another")
        found[kind] = content[at + 4 : at + length]
        at += length
    if len(found[_UNITS]) != 16 or not np.allclose(
        [_real(found[_UNITS][:8]), _real(found[_UNITS][8:])], [units[1] / units[0], units[1]], rtol=1e-9, atol=0
    ):
        raise _refusal(name, "its units are others")
    body = content[at : -len(_AFTER)]
    if content[at:][-len(_AFTER) :] != _AFTER or len(body) % RECTANGLE.itemsize:
        raise _refusal(name, "it has more, or less, than whole rectangles")
    records = np.frombuffer(body, dtype=RECTANGLE)
    points = records["points"].astype(np.int64)
    box = np.concatenate([points[:, 0], points[:, 2]], axis=1)
    fits = np.logical_and.reduce([records[part] == value for part, value in _KINDS.items()])
    fits &= (points == box[:, _CORNERS]).all((1, 2)) & (box[:, :2] < box[:, 2:]).all(1)
    if not fits.all():
        raise _refusal(name, f"its element {int(np.argmin(fits))} is something else")
    return records["layer"].astype(np.int64), box


def _real(content: bytes) -> float:
    """Return a number of GDSII: a sign, 7 bits of an exponent of 16 from -64 on, and 56 bits behind the point."""
    (bits,) = struct.unpack(">Q", content)
    return (-1) ** (bits >> 63) * (bits & (1 << 56) - 1) / (1 << 56) * 16.0 ** ((bits >> 56 & 0x7F) - 64)


def _refusal(name: str, got: str) -> DeploymentError:
    return DeploymentError(
        f"expected GDSII of one cell of rectangles in {name}, in units of 1 um on a grid of 1 nm, but {got}: restore "
        "the file or deploy again"
    )
