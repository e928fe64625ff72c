"""A page put together from blocks, one below the other, each as high as what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from voltphase.reporting.style import INK, MUTED, RULE, plain

#: A sheet of A4 in inches, and what stays empty around it.
WIDTH, HEIGHT = 8.27, 11.69
MARGIN: Final = 0.45
_LINE: Final = 0.145
_SMALL: Final = 6.6
# Between pictures, where the numbers along them are.
_GAP: Final = 0.36


@dataclass(frozen=True)
class Block:
    """A part of a page over its whole width.

    Args:
        height: Height in inches.
        draw: What draws it, below a place given in inches from the bottom of the page.
    """

    height: float
    draw: Callable[[Figure, float], None]


def page(blocks: Sequence[Block]) -> Figure:
    """Return a figure of the blocks on a sheet of A4; where they need more room, everything on it is smaller."""
    larger = max(1.0, (sum(block.height for block in blocks) + 2 * MARGIN) / HEIGHT)
    # On the larger sheet blocks begin at its left, as wide as ever, so that they are drawn as they are written.
    figure, top = Figure(figsize=(WIDTH * larger, HEIGHT * larger)), HEIGHT * larger - MARGIN
    for block in blocks:
        block.draw(figure, top)
        top -= block.height
    for text in figure.findobj(Text):
        text.set_fontsize(float(text.get_fontsize()) / larger)
    figure.set_size_inches(WIDTH, HEIGHT)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place of a figure in inches."""
    across, high = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / high, width / across, height / high))


def title(text: str) -> Block:
    """Return the title of the page."""

    def draw(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, text, size=15, weight="bold", color=INK)

    return Block(0.36, draw)


def heading(text: str) -> Block:
    """Return a heading with a rule above it."""

    def draw(figure: Figure, top: float) -> None:
        line = axes_at(figure, MARGIN, top - 0.06, WIDTH - 2 * MARGIN, 0.01)
        line.set_facecolor(RULE)
        line.set(xticks=[], yticks=[])
        line.spines[:].set_visible(False)
        _write(figure, MARGIN, top - 0.11, text, size=9.5, weight="bold", color=INK)

    return Block(0.32, draw)


def lines(texts: Sequence[str]) -> Block:
    """Return lines of text."""

    def draw(figure: Figure, top: float) -> None:
        for number, text in enumerate(texts):
            _write(figure, MARGIN, top - number * _LINE, text, size=8, color=INK)

    return Block(_LINE * len(texts) + 0.06, draw)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]) -> Block:
    """Return a table with columns of given parts of the page's width; a cell that is too long is cut."""

    def draw(figure: Figure, top: float) -> None:
        inches = [width / sum(widths) * (WIDTH - 2 * MARGIN) for width in widths]
        for number, row in enumerate([head, *rows]):
            left = MARGIN
            for cell, width in zip(row, inches, strict=True):
                most = int(width / (_SMALL * 0.0088))
                text = cell if len(cell) <= most else f"{cell[: most - 1]}…"
                color = INK if number else MUTED
                _write(figure, left, top - number * _LINE, text, size=_SMALL + 0.4, color=color)
                left += width

    return Block(_LINE * (len(rows) + 1) + 0.06, draw)


def picture_width(in_a_row: int) -> float:
    """Return the width of each of some pictures in a row, in inches."""
    return (WIDTH - 2 * MARGIN) / in_a_row - _GAP


def pictures(draw_each: Sequence[Callable[[Axes], None]], *, in_a_row: int, height: float) -> Block:
    """Return axes side by side, in as many rows as needed.

    Args:
        draw_each: What draws into each axes.
        in_a_row: How many stand in a row.
        height: Height of the axes in inches; titles and labels have room around them.
    """
    room_above, room_below, gap = 0.32, 0.24, _GAP
    rows = -(-len(draw_each) // in_a_row)
    width = picture_width(in_a_row)

    def draw(figure: Figure, top: float) -> None:
        for number, each in enumerate(draw_each):
            row, column = divmod(number, in_a_row)
            bottom = top - row * (height + room_above + room_below) - room_above - height
            each(axes_at(figure, MARGIN + gap + column * (width + gap), bottom, width, height))

    return Block(rows * (height + room_above + room_below), draw)


def _write(figure: Figure, left: float, top: float, text: str, **options: object) -> None:
    across, high = figure.get_size_inches()
    figure.text(left / across, top / high, plain(text), va="top", **options)  # pyright: ignore[reportArgumentType]
