"""The layers of a network as counts of levels and as pictures, one dot or more for each pixel."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from voltphase.codesign import CodesignLayer

#: Sides of a picture: a smaller layer has several dots a pixel, of a larger one pixels are left out.
SMALLEST: Final = 256
LARGEST: Final = 1024


def level_counts(levels: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Return how many pixels are at each of ``count`` levels."""
    return np.bincount(levels.ravel(), minlength=count)


@torch.no_grad()
def layer_pictures(layer: CodesignLayer, levels: NDArray[np.integer] | None) -> dict[str, NDArray[np.uint8]]:
    """Return the phase of a layer's deployed states as a picture and, where there are levels, these.

    Colours are those of the report: of the phase a circle, from the lowest level to the highest a scale.

    Args:
        layer: The layer.
        levels: Level of each pixel; None of free phases.
    """
    training = layer.training
    layer.eval()
    try:
        phase = layer.modulation().angle().cpu().numpy()
    finally:
        layer.train(training)
    pictures = {"phase": _coloured(phase / (2 * np.pi) % 1, "twilight")}
    if levels is not None:
        highest = max(len(layer.device_states) - 1, 1)
        pictures["levels"] = _coloured(levels / highest, "viridis")
    return pictures


def _coloured(values: NDArray[np.floating], name: str) -> NDArray[np.uint8]:
    import matplotlib as mpl  # readied by whoever trains, see voltphase.core.surroundings

    skipped = -(-max(values.shape) // LARGEST)
    repeated = max(1, SMALLEST // max(values.shape))
    sampled = values[::skipped, ::skipped].repeat(repeated, axis=0).repeat(repeated, axis=1)
    return mpl.colormaps[name](sampled, bytes=True)[..., :3]
