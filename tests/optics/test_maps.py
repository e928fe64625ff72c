from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.optics import FresnelTransfer, Propagator
from voltphase.optics.grid import Grid
from voltphase.optics.kernels import maps as module
from voltphase.optics.kernels.maps import EvenOddMap, MatrixMap, sandwich
from voltphase.optics.methods.geometry import Geometry

WAVELENGTH = 532e-9
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=40, deadline=None)
@given(source=sizes, target=sizes, batch=st.sampled_from(((), (3,), (2, 3), (0,))))
def test_halves_are_the_whole(source: tuple[int, int], target: tuple[int, int], batch: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    geometry = Geometry(Grid(source, 11e-6), Grid(target, (13e-6, 9e-6)), WAVELENGTH, 0.004)
    kernel = FresnelTransfer().kernel(geometry)
    whole, halves = (kind(kernel, torch.complex128) for kind in (MatrixMap, EvenOddMap))
    u, v = (torch.randn(*batch, *shape, dtype=torch.complex128) for shape in (source, target))
    torch.testing.assert_close(halves(u), whole(u), rtol=0, atol=1e-13)
    torch.testing.assert_close(halves.adjoint(v), whole.adjoint(v), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("size", "offset", "halves"), [(16, 0.0, False), (300, 0.0, True), (300, 36e-6, False)])
def test_halves_are_taken_where_they_are_cheaper_and_there_are_any(size: int, offset: float, halves: bool) -> None:
    target = Grid(size, 36e-6, (0.0, offset))
    options = {"wavelength": WAVELENGTH, "distance": 0.3, "method": "fresnel", "engine": "matrix"}
    explained = Propagator(Grid(size, 36e-6), target, **options).explain()
    assert explained.engine.name == "matrix"
    assert ("halves" in explained.engine.note) == halves


@pytest.mark.parametrize("engine", ["fft", "matrix"])
def test_a_large_batch_goes_through_in_parts(engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voltphase.optics.kernels.map_choice.MatrixMap", EvenOddMap)
    propagator = Propagator(
        Grid((6, 7), 36e-6),
        wavelength=WAVELENGTH,
        distance=0.01,
        method="fresnel",
        engine=engine,
        dtype=torch.complex128,
    )
    fields = torch.randn(5, 2, 6, 7, dtype=torch.complex128, requires_grad=True)
    at_once = propagator(fields)
    # One field at a time, and three.
    for points in (1, 3 * 144):
        monkeypatch.setattr(module, "POINTS_AT_A_TIME", points)
        in_parts = propagator(fields)
        torch.testing.assert_close(in_parts, at_once, rtol=0, atol=1e-14)
        (gradient,) = torch.autograd.grad(in_parts.abs().square().sum(), fields)
        torch.testing.assert_close(gradient, 2 * propagator.adjoint(in_parts), rtol=0, atol=1e-13)


def test_a_result_does_not_keep_the_padded_plane() -> None:
    propagator = Propagator(Grid(32, 36e-6), wavelength=WAVELENGTH, distance=0.05, method="fresnel", engine="fft")
    result = propagator(torch.ones(2, 32, 32, dtype=torch.complex64))
    assert result.untyped_storage().nbytes() == result.numel() * 8


def test_the_order_of_products_does_not_change_them() -> None:
    for rows, columns in ((2, 9), (9, 2)):
        left, field, right = (
            torch.randn(rows, 5).double(),
            torch.randn(3, 5, 4).double(),
            torch.randn(4, columns).double(),
        )
        torch.testing.assert_close(sandwich(left, field, right), left @ field @ right)
