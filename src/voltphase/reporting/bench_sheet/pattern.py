"""A test pattern: an F and a cross, which show at a glance how a device lies and where its centre is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voltphase.deployment.targets import Layer
from voltphase.deployment.targets.fabrication.framing import LETTER_F


def pattern_of(layer: Layer) -> NDArray[np.int64]:
    """Return the level of each pixel of the pattern, ``rows x columns``.

    The F stands upright in the quarter at the upper left; the cross goes through the middle of all rows and columns,
    two pixels wide where their number is even. Both are of the level whose state is farthest from that of level 0, of
    which the rest is.

    Args:
        layer: Layer of the device.
    """
    shape = layer.grid.shape
    values = layer.device.tables[0].values()
    drawn = figure(shape) & ~layer.device.inactive
    return np.where(drawn, int(np.abs(values - values[0]).argmax()), 0)


def figure(shape: tuple[int, int]) -> NDArray[np.bool_]:
    r"""Return which pixels the F and the cross cover.

    Examples:
        >>> print("\n".join("".join(" #"[pixel] for pixel in row) for row in figure((15, 11)).astype(int)))
             #
         ### #
         #   #
         ##  #
         #   #
         #   #
             #
        ###########
             #
             #
             #
             #
             #
             #
             #
    """
    rows, columns = shape
    pattern = np.zeros(shape, dtype=bool)
    pattern[(rows - 1) // 2 : rows // 2 + 1] = True
    pattern[:, (columns - 1) // 2 : columns // 2 + 1] = True
    # Around the letter is a stroke of room on each side.
    height, width = (count + 2 for count in LETTER_F.shape)
    stroke = min((rows - 1) // 2 // height, (columns - 1) // 2 // width)
    letter = np.kron(LETTER_F, np.ones((stroke, stroke), dtype=bool))
    pattern[stroke : stroke + len(letter), stroke : stroke + letter.shape[1]] |= letter
    return pattern
