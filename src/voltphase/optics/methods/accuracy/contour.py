"""Nodes of an integral over the plane waves of a band, exact however far and however steep the light goes."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Gauss-Legendre nodes of a panel, and the turns of the integrand that a panel may hold: together good to 1e-12.
NODES, TURNS = 24, 6.0
# Nepers by which the integrand has to fade before a path may end, and by which it may grow in between.
FADED, GROWN = 27.0, 3.0
# The deepest that a path goes below the real axis, as a sine: much deeper, and two axes no longer fade together.
DEEPEST = 0.08
# The power that makes the square root in which an edge fades where it grazes smooth.
SQUARED = 2
# The sum of the squared sines at the corner of the band from which on grazing light has to be passed by.
GRAZING = 0.9


@dataclass(frozen=True)
class Piece:
    """A straight piece of a path, end - (end - start) (1 - v)^power for v from 0 to 1."""

    start: complex
    end: complex
    power: int = 1

    def at(self, v: NDArray[np.float64]) -> NDArray[Any]:
        """Return the points of the path."""
        return self.end - complex(self.end - self.start) * (1 - v) ** self.power

    def slope(self, v: NDArray[np.float64]) -> NDArray[Any]:
        """Return the derivatives of the points by v."""
        return complex(self.end - self.start) * self.power * (1 - v) ** (self.power - 1)


@dataclass(frozen=True)
class HalfBand:
    """The plane waves of one axis from the axis to the edge of the band, and what is asked of them.

    Lengths are in wavelengths, so that spatial frequencies are sines.
    """

    edge: float  # sine at the edge of the band, wavelength / (2 pitch); light beyond 1 is evanescent
    other: float  # the steepest sine of the waves of the other axis
    reach: float  # the largest displacement along this axis
    distance: float  # from plane to plane, zero or above

    @classmethod
    def pair(
        cls, edges: tuple[float, float], reaches: tuple[float, float], distance: float
    ) -> tuple[HalfBand, HalfBand]:
        """Return those of rows and of columns, from what is asked of each; see the fields of the class."""
        rows, columns = (
            cls(edge, other, reach, distance) for edge, other, reach in zip(edges, edges[::-1], reaches, strict=True)
        )
        # Mostly no steeper than what lands within reach, and then neither axis has to mind grazing light.
        return replace(rows, other=columns._steepest()), replace(columns, other=rows._steepest())

    def quadrature(self, finer: float = 1.0) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return sines and weights, 1-D, of the integral over the half band of what is analytic and even in the sine.

        The integrand is the transfer function of free space times exp(2 pi i d sine) for displacements d within reach.
        As it is analytic, its path may leave the real axis: it passes below the branch point at grazing light; and
        where the edge's light lands far beside the target, it fades out into the complex plane and comes back at the
        edge, instead of following all the turns in between, of which nothing is left. ``finer`` times as many nodes are
        taken as are needed.
        """
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        sines, sizes = [], []
        for piece in self._pieces():
            v, turns = self._turns(piece)
            # So that no panel holds more turns than its nodes resolve.
            edges = np.interp(np.linspace(0, turns[-1], _panels(turns, finer) + 1), turns, v)
            middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
            v = (middle[:, None] + half[:, None] * nodes).ravel()
            sines.append(piece.at(v))
            sizes.append(piece.slope(v) * (half[:, None] * weights).ravel())
        return np.concatenate(sines), np.concatenate(sizes)

    def count(self, finer: float = 1.0) -> int:
        """Return how many nodes a quadrature takes."""
        return NODES * sum(_panels(self._turns(piece)[1], finer) for piece in self._pieces())

    def _steepest(self) -> float:
        """The steepest sine on the path, and a little more."""
        return min(
            self.edge, 1.1 * max(complex(end).real for piece in self._pieces() for end in (piece.start, piece.end))
        )

    def _pieces(self) -> list[Piece]:
        return self._short_cut() or self._whole()

    @property
    def _grazing(self) -> bool:
        return self.edge**2 + self.other**2 > GRAZING

    @property
    def _depth(self) -> float:
        """How deep below the real axis the integrand grows by no more than is allowed, within reach."""
        allowed = GROWN / (2 * math.pi * self.reach) if self.reach else math.inf
        return min(allowed, DEEPEST, self.edge / 4)

    def _fading(self, sine: complex) -> float:
        """Nepers by which the integrand is below 1 at the displacement at which it is largest."""
        return 2 * math.pi * (self.distance * cmath.sqrt(1 - sine * sine).imag + sine.imag * self.reach)

    def _whole(self) -> list[Piece]:
        """All of the band."""
        if not self._grazing:
            return [Piece(0, self.edge)]
        down = self._depth * (1 - 1j)
        up = self.edge - down.conjugate()
        return [Piece(0, down), Piece(down, up), Piece(up, self.edge, SQUARED)]

    def _short_cut(self) -> list[Piece] | None:
        """The light within twice the reach, fading out beyond; and the edge, fading out downwards; or None."""
        if self.distance == 0:
            return None
        within = 2 * self.reach / math.hypot(2 * self.reach, self.distance)
        turn = within - 1j * min(self._depth, within) if self._grazing else complex(within)
        away = 1 - 1j
        out = self._until_faded(turn, away)
        edge = 0.0 if self._fading(self.edge) > FADED else self._until_faded(self.edge, -1j)
        if out is None or edge is None or within + 2 * out >= self.edge:
            return None
        if edge == 0 and self._fading(self.edge + (turn + out * away).imag * 1j) < FADED:
            return None
        inner = [Piece(0, turn)] if within else []
        outer = [Piece(self.edge - 1j * edge, self.edge, SQUARED)] if edge else []
        return [*inner, Piece(turn, turn + out * away), *outer]

    def _until_faded(self, start: complex, direction: complex) -> float | None:
        """How far to go for the integrand to have faded, or None if that is too far."""
        near, far = 0.0, DEEPEST
        if self._fading(start + far * direction) < FADED:
            return None
        for _ in range(40):
            middle = (near + far) / 2
            near, far = (near, middle) if self._fading(start + middle * direction) > FADED else (middle, far)
        return far

    def _turns(self, piece: Piece) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turns of the integrand along a piece, from its start to each of some points."""
        v = np.linspace(0, 1, 1025)
        # Also where nothing turns, at no distance and displacement, the band has to be covered.
        rate = np.maximum(self._rate(piece.at(v)), 1 / self.edge) * np.abs(piece.slope(v))
        return v, np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(v))))

    def _rate(self, sine: NDArray[Any]) -> NDArray[np.float64]:
        """Turns of the integrand per unit of the sine, at the steepest light of the other axis."""
        axial = np.abs(1 - sine**2 - min(self.other, 1.0) ** 2)
        if not self._grazing:
            return self.reach + self.distance * np.abs(sine) / np.sqrt(axial)
        rate = self.reach + self.distance * np.abs(sine) / np.sqrt(np.maximum(axial, 2 * self._depth))
        return np.maximum(rate, TURNS / (4 * self._depth))


def _panels(turns: NDArray[np.float64], finer: float) -> int:
    return max(1, math.ceil(float(turns[-1]) * finer / TURNS))
