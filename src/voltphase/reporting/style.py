"""How figures look, and how they become bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from voltphase.core.words import printable
from voltphase.optics.grid import Grid

INK = "#1f2a37"
MUTED = "#6b7785"
RULE = "#d8dee6"
ACCENT = "#0b7a75"
SECOND = "#d9541e"
LIGHT_ON_DARK = "#7fffd4"

#: Colour maps: phase is cyclic, light is dark where there is none.
PHASE_MAP = "twilight"
AMPLITUDE_MAP = "gray"
LEVEL_MAP = "viridis"
INTENSITY_MAP = "inferno"

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlepad": 6,
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Names inside an SVG are drawn at random unless salted, and a report should not change without reason.
    "svg.hashsalt": "voltphase",
}


# Laid out, planes are 1.13 to 1.39 times as high as the margins before that leave room for.
_LAID_OUT = 1.15
_CLIP_PATH = re.compile(rb'<clipPath id="(p[0-9a-f]+)"')


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in here, and the settings of whoever called are as they were afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in _SETTINGS.items():
            mpl.rcParams[name] = value  # pyright: ignore[reportArgumentType]
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of ``width`` x ``height`` inches, bound to no window and to no global state."""
    # Matplotlib's own margin of 3 points lets a title touch the edge.
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.1))


def plain(text: str) -> str:
    """Return text from outside so that a figure shows it as it is: no formulas between dollar signs, no line breaks."""
    return printable(text).replace("$", r"\$")


def png(figure: Figure, *, dots_per_inch: float = 150) -> bytes:
    """Return the figure as a PNG image of 256 colours, a third of the size of one with all of them."""
    full = Image.open(io.BytesIO(_save(figure, "png", dpi=dots_per_inch))).convert("RGB")
    stream = io.BytesIO()
    # Maximum coverage keeps the colour of a single dot within a hundredth or so of the range; a median cut gives the
    # colours to the large areas and merges dots.
    full.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def drawing(figure: Figure, kind: str) -> bytes:
    """Return the figure in a format of matplotlib's, the same bytes for the same figure: no date, no version."""
    left_out = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Creator", "Producer"), "png": ("Software",)}
    content = _save(figure, kind, metadata=dict.fromkeys(left_out[kind]) if kind in left_out else None)
    # matplotlib names clip paths by hashes of positions, whose last bits the solver of layouts leaves to chance.
    for number, name in enumerate(_CLIP_PATH.findall(content) if kind == "svg" else (), start=1):
        content = content.replace(name, b"clip%d" % number)
    return content


def svg(figure: Figure) -> bytes:
    """Return the figure as an SVG drawing."""
    return drawing(figure, "svg")


def extent(grid: Grid) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top) of a plane in millimetres, row 0 at the top."""
    y, x = grid.coordinates()
    half_y, half_x = grid.pitch[0] / 2, grid.pitch[1] / 2
    edges = (float(x[0]) - half_x, float(x[-1]) + half_x, float(y[-1]) + half_y, float(y[0]) - half_y)
    left, right, bottom, top = (edge * 1e3 for edge in edges)
    return left, right, bottom, top


def annotate(axes: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **options: Any) -> None:
    """Write ``text`` some points away from a place, centred there."""
    axes.annotate(text, at, xytext=offset, textcoords="offset points", ha="center", **options)


def points_high(axes: Axes, grid: Grid) -> float:
    """Return about how high a plane is drawn, in points, before it is laid out."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    place = axes.get_position(original=True)
    width, height = (side * share for side, share in zip(figure.get_size_inches(), place.size, strict=True))
    return _LAID_OUT * 72 * min(height, width * grid.extent[0] / grid.extent[1])


def show_plane(axes: Axes, values: np.ndarray, grid: Grid, **options: Any) -> Any:
    """Show a ``rows x columns`` array on its plane, in millimetres, each sample as it is."""
    image = axes.imshow(values, extent=extent(grid), interpolation="nearest", **options)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    axes.locator_params(nbins=4)
    return image


def label_millimetres(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Name the axes of a plane that are to be named, and leave the others without numbers."""
    if x:
        axes.set_xlabel("x (mm)")
    if y:
        axes.set_ylabel("y (mm)")
    axes.tick_params(labelbottom=x, labelleft=y)


def _save(figure: Figure, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, **options)
    return stream.getvalue()
