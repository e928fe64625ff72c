"""Some of all pairs of a source sample and a target sample, which stand for the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voltphase.optics.methods.geometry import Geometry

# Pairs up to which all are taken; samples of a plane looked at; displacements in pitches up to which each has its own
# pair; by how much the ones beyond grow, and into how many equal parts all are divided besides.
ALL, LOOKED_AT, NEAR, GROWTH, PARTS = 100, (96, 1024), 8, 1.12, 24


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of samples along one axis: where both lie in metres, and how many pairs each stands for; float64, 1-D."""

    target: Tensor
    source: Tensor
    weight: Tensor

    @property
    def displacement(self) -> Tensor:
        """Target minus source coordinates in metres."""
        return self.target - self.source


@lru_cache(maxsize=128)
def some_pairs(geometry: Geometry) -> tuple[Pairs, Pairs]:
    """Pairs of rows and of columns, always the same ones for a geometry.

    They are dense where displacements are small, which is where the light of near planes is, and sparser beyond.
    """
    return _along(geometry, 0), _along(geometry, 1)


def _along(geometry: Geometry, axis: int) -> Pairs:
    generator = np.random.default_rng(0)
    source, target = (
        _some(grid.coordinates()[axis].numpy(), most, generator)
        for grid, most in zip((geometry.source, geometry.target), LOOKED_AT, strict=True)
    )
    to, at = (grid.ravel() for grid in np.meshgrid(target, source, indexing="ij"))
    if len(to) <= ALL:
        return Pairs(torch.from_numpy(to.copy()), torch.from_numpy(at.copy()), torch.ones(len(to), dtype=torch.float64))
    steps = (to - at) / geometry.source.pitch[axis]
    lowest, highest, farthest = steps.min(), steps.max(), np.abs(steps).max()
    count = int(np.log(max(farthest / NEAR, 1.0)) / np.log(GROWTH)) + 2
    beyond = NEAR + 0.5 + NEAR * (GROWTH ** np.arange(count) - 1)
    sizes = np.concatenate((np.arange(NEAR + 1) + 0.5, beyond))
    edges = np.unique(np.concatenate((sizes, -sizes, np.linspace(lowest, highest, PARTS))))
    places = np.digitize(steps, edges)
    # The first of each kind in a random order is one of them at random.
    order = generator.permutation(len(steps))
    _, first, counts = np.unique(places[order], return_index=True, return_counts=True)
    chosen = order[first]
    return Pairs(*(torch.from_numpy(values) for values in (to[chosen], at[chosen], counts.astype(np.float64))))


def _some(values: NDArray[np.float64], most: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """One of each ``len(values) / most`` neighbours."""
    if len(values) <= most:
        return values
    edges = np.linspace(0, len(values), most + 1)
    return values[(edges[:-1] + generator.random(most) * np.diff(edges)).astype(np.int64)]
