"""A test pattern: an F, a number and a cross, which show at a glance how a device lies, which it is, and its centre."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voltphase.deployment.targets import Layer
from voltphase.deployment.targets.fabrication.framing import LETTER_F

# The digits from 0 to 9, five rows of three pixels each, a row an octal digit.
_DIGITS: Final = (0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717)


def pattern_of(layer: Layer) -> NDArray[np.int64]:
    """Return the level of each pixel of the pattern, ``rows x columns``.

    The F stands upright in the quarter at the upper left, the number of the layer in that at the upper right, where
    they have room; the cross goes through the middle of all rows and columns, two pixels wide where their number is
    even. All are of the level whose state is farthest from that of level 0, of which the rest is.

    Args:
        layer: Layer of the device.
    """
    shape = layer.grid.shape
    values = layer.device.tables[0].values()
    drawn = figure(shape, layer.number) & ~layer.device.inactive
    return np.where(drawn, int(np.abs(values - values[0]).argmax()), 0)


def figure(shape: tuple[int, int], number: int) -> NDArray[np.bool_]:
    r"""Return which pixels the F, the number and the cross cover.

    Examples:
        >>> print("\n".join("".join(" #"[pixel] for pixel in row) for row in figure((15, 11), 2).astype(int)))
             #
         ### # ###
         #   #   #
         ##  # ###
         #   # #
         #   # ###
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
    digits = [_DIGITS[int(digit)] for digit in str(number)]
    gap = np.zeros((5, 1), dtype=bool)
    shapes = [np.array(list(f"{digit:015b}"), dtype=int).reshape(5, 3) for digit in digits]
    numeral = np.hstack([part for one in shapes for part in (gap, one)][1:])
    for drawn, left in ((LETTER_F, 0), (numeral, columns // 2 + 1)):
        # Around each is a stroke of room on each side.
        height, width = (count + 2 for count in drawn.shape)
        stroke = min((rows - 1) // 2 // height, (columns - 1) // 2 // width)
        letters = np.kron(drawn, np.ones((stroke, stroke), dtype=bool)).astype(bool)
        high, wide = letters.shape
        pattern[stroke : stroke + high, left + stroke : left + stroke + wide] |= letters
    return pattern
