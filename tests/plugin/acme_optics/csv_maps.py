"""Maps as text, for drivers that read the number of each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeploymentError
from voltphase.deployment.targets import Layer, Target, Written


@dataclass(frozen=True)
class CsvMaps(Target):
    """A text file of level numbers for each layer.

    Args:
        separator: Character between two numbers.
    """

    separator: Literal[",", ";"] = ","

    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        """Write ``layer-N.csv`` for each layer; see :meth:`Target.write`."""
        names = [f"layer-{layer.number}.csv" for layer in layers]
        for name, level in zip(names, levels, strict=True):
            np.savetxt(folder / name, level, fmt="%d", delimiter=self.separator)
        return [Written([name]) for name in names]

    def read(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[NDArray[np.integer]]:
        """Return the levels in the text files; see :meth:`Target.read`."""
        found = []
        for layer, one in zip(layers, written, strict=True):
            (name,) = one.files
            try:
                lines = contents[name].decode("ascii").splitlines()
                levels = np.loadtxt(lines, dtype=np.int64, delimiter=self.separator, ndmin=2)
            except ValueError as error:
                raise DeploymentError(f"expected level numbers in {name}, but got {error}") from error
            if levels.shape != layer.grid.shape or levels.min() < 0 or levels.max() >= len(layer.device):
                raise DeploymentError(f"expected {layer.grid.shape} levels below {len(layer.device)} in {name}")
            found.append(levels)
        return found
