"""A map cut into few rectangles of equal pixels, and put together from them again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rectangles(area: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return rectangles of pixels that cover an area, each pixel once.

    Runs in a row are joined with the same runs in the rows below, or runs in a column with those in the columns
    beside, whichever makes fewer.

    Args:
        area: Whether a pixel is in the area, ``rows x columns``.

    Returns:
        A row for each rectangle: its first row, first column, and the row and column after its last.

    Examples:
        >>> rectangles(np.array([[True, True, False], [True, True, False], [False, True, True]]))
        array([[0, 0, 2, 2],
               [2, 1, 3, 3]])
    """
    by_rows, by_columns = _joined(area), _joined(area.T)
    return by_columns[:, [1, 0, 3, 2]] if len(by_columns) < len(by_rows) else by_rows


def covered(pieces: NDArray[np.integer], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return how many of some rectangles cover each pixel.

    Args:
        pieces: A row for each rectangle: first row, first column, and the row and column after its last, all within
            the shape.
        shape: Rows and columns.

    Examples:
        >>> covered(np.array([[0, 0, 2, 2], [1, 1, 2, 3]]), (2, 3))
        array([[1, 1, 0],
               [1, 2, 1]])
    """
    top, left, bottom, right = pieces.T
    corners = np.zeros((shape[0] + 1, shape[1] + 1), dtype=np.int64)
    for row, column, sign in ((top, left, 1), (bottom, right, 1), (top, right, -1), (bottom, left, -1)):
        np.add.at(corners, (row, column), sign)
    return corners.cumsum(0).cumsum(1)[:-1, :-1]


def _joined(area: NDArray[np.bool_]) -> NDArray[np.int64]:
    # A run begins where the area does along a row, and ends where it does: edges come in turn.
    changes = np.diff(np.pad(area.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (row, left), (_, right) = np.nonzero(changes == 1), np.nonzero(changes == -1)
    order = np.lexsort((row, right, left))
    row, left, right = row[order], left[order], right[order]
    follows = (np.diff(row) == 1) & (np.diff(left) == 0) & (np.diff(right) == 0)
    first = np.flatnonzero(np.insert(~follows, 0, values=True)) if len(row) else row
    last = np.append(first[1:], len(row)) - 1 if len(row) else row
    return np.stack([row[first], left[first], row[last] + 1, right[first]], axis=1)
