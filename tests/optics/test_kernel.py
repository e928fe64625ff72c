"""Kernels as data: shapes before arrays, one array each, and composition."""

from __future__ import annotations

import pickle
from functools import partial

import pytest
import torch
from torch import Tensor

from voltphase.core.errors import GeometryError
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.axis import Matrix, Selection, Toeplitz
from voltphase.optics.kernels.common_grid import common_grid
from voltphase.optics.kernels.kernel import Composition, Convolution, Diagonal, Separable

made: list[tuple[int, ...]] = []


def ramp(*shape: int) -> Tensor:
    made.append(shape)
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape).to(torch.complex128)


def matrix(targets: int, sources: int) -> Matrix:
    return Matrix(mirrored=False, shape=(targets, sources), make=partial(ramp, targets, sources))


def toeplitz(sources: int, targets: int, offset: float = 0.0) -> Toeplitz:
    points = common_grid(Grid(sources, 1e-5), Grid(targets, 1e-5, (offset, offset)), 0)
    assert points is not None
    return Toeplitz(points.mirrored, points, partial(ramp, points.displacement_count))


def test_shapes_are_known_before_arrays_and_arrays_are_made_once() -> None:
    made.clear()
    kernel = Separable(matrix(4, 3), matrix(5, 2)).then(Separable(toeplitz(4, 6), toeplitz(5, 7)))
    assert (kernel.source_shape, kernel.target_shape) == ((3, 2), (6, 7))
    assert not made
    assert isinstance(kernel, Separable)
    assert kernel.rows.matrix is kernel.rows.matrix
    assert made == [(9,), (4, 3)]


def test_separable_kernels_join_into_products() -> None:
    first, second = Separable(matrix(4, 3), matrix(5, 2)), Separable(toeplitz(4, 6), toeplitz(5, 7))
    joined = first.then(second)
    assert isinstance(joined, Separable)
    assert torch.equal(joined.rows.matrix, second.rows.matrix @ first.rows.matrix)
    window = second.then(Separable.select([1, 4], [0, 2, 6], (6, 7)))
    assert isinstance(window, Separable)
    assert torch.equal(window.columns.matrix, second.columns.matrix[[0, 2, 6]])


@pytest.mark.parametrize("chosen", [[1, 4], [4, 1, 2], [2, 3, 4]])
def test_a_window_of_an_axis_of_displacements_is_one_of_fewer(chosen: list[int]) -> None:
    axis = toeplitz(4, 6, 1e-5)
    window = axis.then(Selection.of(chosen, 6))
    assert isinstance(window, Toeplitz)
    assert window.points.targets == max(chosen) - min(chosen) + 1
    assert torch.equal(window.matrix, axis.matrix[chosen])
    assert torch.equal(window.then(Selection.of([1], len(chosen))).matrix, axis.matrix[chosen[1:2]])
    assert torch.allclose(
        window.points.displacements()[[0, -1]], axis.points.displacements()[[min(chosen), max(chosen) + 3]]
    )
    assert window.then(Selection.of([], len(chosen))).matrix.shape == (0, 4)


def test_what_does_not_join_stays_apart_in_order() -> None:
    rows, columns = (common_grid(Grid(4, 1e-5), Grid(4, 1e-5), axis) for axis in (0, 1))
    assert rows is not None
    assert columns is not None
    convolution = Convolution.of_table(rows, columns, partial(ramp, 7, 7))
    lens = Diagonal((4, 4), partial(ramp, 4, 4))
    some = Separable(matrix(4, 3), matrix(4, 2))
    kernel = some.then(convolution).then(lens).then(lens).then(convolution.then(some.select([0], [1], (4, 4))))
    assert isinstance(kernel, Composition)
    assert [type(part).__name__ for part in kernel.parts] == [
        "Separable",
        "Convolution",
        "Diagonal",
        "Convolution",
        "Separable",
    ]
    assert (kernel.source_shape, kernel.target_shape) == ((3, 2), (1, 1))
    assert convolution.transfer.shape == convolution.size == (8, 8)
    again = pickle.loads(pickle.dumps(kernel))  # noqa: S301 - of our own making
    assert torch.equal(again.parts[2].factor, lens.factor**2)


@pytest.mark.parametrize(("sources", "targets", "offset"), [(4, 4, 0.0), (5, 4, 0.0), (4, 7, 0.0), (4, 4, 1e-5)])
def test_a_mirrored_axis_is_one_of_centred_planes(sources: int, targets: int, offset: float) -> None:
    axis = toeplitz(sources, targets, offset)
    assert axis.mirrored == (offset == 0)
    assert toeplitz(4, 4).then(axis if sources == 4 else toeplitz(4, 4)).mirrored == (offset == 0)
    assert Selection.of([0, 2, 4], 5).mirrored
    assert not Selection.of([0, 2], 5).mirrored
    assert Selection.of(range(5), 5).mirrored


def test_kernels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(GeometryError, match="4 x 5"):
        Separable(matrix(4, 3), matrix(5, 2)).then(Diagonal((5, 4), partial(ramp, 5, 4)))
