"""Trained weights of other programs, as they save them: the maps in them, and what they say of the system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from voltphase.core.errors import DataError
from voltphase.importing.weights.lightridge import read_lightridge
from voltphase.importing.weights.tensors import ForeignLayers, Tensors, Travel, read_tensors
from voltphase.importing.weights.torchoptics import read_torchoptics

__all__ = ["PROGRAMS", "ForeignLayers", "Travel", "read_weights"]

#: Readers of the weights of each program: a function that returns None for those of another.
PROGRAMS: Final[dict[str, Callable[[Tensors, Sequence[str] | None], ForeignLayers | None]]] = {
    "LightRidge": read_lightridge,
    "TorchOptics": read_torchoptics,
}


def read_weights(path: Path, layers: Sequence[str] | None = None) -> ForeignLayers:
    """Return the layers in a file of trained weights, of whichever program they are.

    Args:
        path: Path of the file.
        layers: Names of the modules that are layers, in the order light meets them; None for the program's own way.

    Raises:
        DataError: if the file cannot be read, or its tensors are those of no program that is known.
    """
    tensors = read_tensors(path)
    for read in PROGRAMS.values():
        if (found := read(tensors, layers)) is not None:
            return found
    raise DataError(
        f"expected weights of {' or '.join(PROGRAMS)} in {path}, but its tensors are {', '.join([*tensors][:4])}: save "
        "the maps of its layers by numpy.save and name them in maps.files"
    )
