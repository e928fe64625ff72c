"""The frame around a relief, with a mark in it that says which way it lies."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.generic)

#: An F: no turn and no mirror image of it looks the same.
LETTER_F: Final = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]], dtype=bool)
#: Lines of the frame on each side: those of the letter, and one between it and the design.
FRAME: Final = 7
# Lines that the longer side of a design would have, if they were as wide as those of the frame.
_LINES: Final = 70


def framed(steps: NDArray[np.integer], mark: int) -> NDArray[np.int64]:
    """Return a map with a frame of zeros around it, and the letter F in the corner at its top left.

    The lines of the frame are wider than pixels: see :func:`edges`.

    Args:
        steps: Map to frame, ``rows x columns`` whole numbers.
        mark: Number that the letter is made of.

    Examples:
        >>> framed(np.full((1, 1), 2), mark=3)[:8, :8]
        array([[0, 0, 0, 0, 0, 0, 0, 0],
               [0, 0, 3, 3, 3, 0, 0, 0],
               [0, 0, 3, 0, 0, 0, 0, 0],
               [0, 0, 3, 3, 0, 0, 0, 0],
               [0, 0, 3, 0, 0, 0, 0, 0],
               [0, 0, 3, 0, 0, 0, 0, 0],
               [0, 0, 0, 0, 0, 0, 0, 0],
               [0, 0, 0, 0, 0, 0, 0, 2]])
    """
    whole = np.pad(steps.astype(np.int64), FRAME)
    whole[1:6, 2:5][LETTER_F] = mark
    return whole


def inside(whole: NDArray[_Number]) -> NDArray[_Number]:
    """Return the map within a frame.

    Examples:
        >>> inside(framed(np.eye(2, dtype=int), mark=1))
        array([[1, 0],
               [0, 1]])
    """
    return whole[FRAME:-FRAME, FRAME:-FRAME]


def edges(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the rows and the columns of a framed map begin and end, in pixels from the centre of the design.

    A line of the frame is a seventieth of the longer side of the design wide, and at least one pixel.

    Args:
        shape: Rows and columns of the design.

    Examples:
        >>> edges((2, 140))[0]
        array([-15., -13., -11.,  -9.,  -7.,  -5.,  -3.,  -1.,   0.,   1.,   3.,
                 5.,   7.,   9.,  11.,  13.,  15.])
    """
    outside = max(1, max(shape) // _LINES) * np.arange(1, FRAME + 1, dtype=np.float64)
    rows, columns = (
        np.concatenate([-count / 2 - outside[::-1], np.linspace(-count / 2, count / 2, count + 1), count / 2 + outside])
        for count in shape
    )
    return rows, columns
