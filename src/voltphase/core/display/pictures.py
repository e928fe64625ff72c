"""Small pictures of planes and of states, as PNG and SVG in HTML."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Pixels a side, and those of a plane that are shown at most.
_SIDE: Final = 96
_MOST_SAMPLES: Final = 128


def phase_picture(values: NDArray[np.complexfloating], text: str) -> str:
    """Return a picture of complex numbers across a plane: the hue is the phase, dark is where no light passes.

    Args:
        values: A ``rows x columns`` array.
        text: What it shows, for whoever does not see it.
    """
    step = -(-max(values.shape) // _MOST_SAMPLES)
    shown = np.asarray(values)[::step, ::step]
    amplitude = np.abs(shown)
    turns = np.angle(shown)[..., None] - 2 * np.pi / 3 * np.arange(3)
    colours = (1 + np.cos(turns)) / 2 * (amplitude / max(float(amplitude.max()), 1e-30))[..., None]
    source = base64.b64encode(_png(np.rint(255 * colours).astype(np.uint8))).decode("ascii")
    height, width = _sides(*values.shape)
    return (
        f'<img src="data:image/png;base64,{source}" alt="{text}" title="{text}" width="{width}" height="{height}" '
        'style="image-rendering:pixelated;margin:2px">'
    )


def states_picture(values: NDArray[np.complexfloating]) -> str:
    """Return a picture of the complex plane: a dot for each state, and the circle of amplitude 1."""
    reach = 1.1 * max(1.0, float(np.abs(values).max()))
    dots = "".join(
        f'<circle cx="{value.real:.4g}" cy="{-value.imag:.4g}" r="{0.04 * reach:.3g}" fill="#0b7a75"/>'
        for value in values
    )
    return (
        f'<svg width="{_SIDE}" height="{_SIDE}" viewBox="{-reach:.4g} {-reach:.4g} {2 * reach:.4g} {2 * reach:.4g}">'
        f'<circle r="1" fill="none" stroke="#6b7785" stroke-width="{0.015 * reach:.3g}"/>{dots}</svg>'
    )


def planes_picture(extents: list[tuple[float, float]]) -> str:
    """Return a picture of planes one behind the other, seen from aside, or of one from the front.

    Args:
        extents: (height, width) of each, in any unit.
    """
    most, aside = max(max(extent) for extent in extents), 1 if len(extents) == 1 else 3
    sizes = [(max(_SIDE * height / most, 2), max(_SIDE * width / most / aside, 2)) for height, width in extents]
    step = _SIDE if len(extents) == 1 else _SIDE // 2
    planes = "".join(
        f'<rect x="{number * step}" y="{(_SIDE - height) / 2:.4g}" width="{width:.4g}" height="{height:.4g}" '
        'fill="#d8dee6" stroke="#6b7785"/>'
        for number, (height, width) in enumerate(sizes)
    )
    return f'<svg width="{step * len(extents)}" height="{_SIDE}">{planes}</svg>'


def _sides(rows: int, columns: int) -> tuple[int, int]:
    most = max(rows, columns)
    return max(round(_SIDE * rows / most), 1), max(round(_SIDE * columns / most), 1)


def _png(colours: NDArray[np.uint8]) -> bytes:
    """Return a ``rows x columns x 3`` array as a PNG file."""
    rows, columns, _ = colours.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), colours.reshape(rows, -1)], 1)  # each line unfiltered
    chunks = {
        b"IHDR": struct.pack(">2I5B", columns, rows, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(lines.tobytes(), 9),
        b"IEND": b"",
    }
    parts = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
