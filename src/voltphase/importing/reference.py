"""What a design without data is judged by: the light of its maps as they are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voltphase.config import Config, parse_config
from voltphase.network.donn import DONN
from voltphase.tasks import WindowReadout


def reference_config(config: Config, model: DONN, name: str) -> Config:
    """Return a configuration whose data are the reference in the run's own folder.

    Args:
        config: Configuration of a task of pictures.
        model: Network that it describes.
        name: Name of the file of the reference.
    """
    content: dict[str, Any] = config.model_dump()
    readout = model.readout
    assert isinstance(readout, WindowReadout)
    content["task"]["pixels"] = list(readout.pixels)
    return parse_config({**content, "data": {"name": "arrays", "train": name, "dir": "."}})


@torch.no_grad()
def write_reference(path: Path, model: DONN, factors: Sequence[Tensor]) -> None:
    """Write an even picture with the picture that the given maps make of it, as data of the kind ``arrays``.

    Args:
        path: Path of the file.
        model: Network of the design.
        factors: Complex ``rows x columns`` factors of each layer on the light.
    """
    rows, columns = model.source.image_shape
    images = torch.full((1, rows, columns), 255, dtype=torch.uint8)
    picture = model.measure(images, factors)
    if picture.ndim == 4:  # a complex field, as real and imaginary parts
        picture = torch.view_as_complex(picture.contiguous())
    with path.open("wb") as stream:
        np.savez(stream, images=images.numpy(), targets=picture.numpy())
