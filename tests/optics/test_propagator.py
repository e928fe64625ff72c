"""What every method and engine has to keep to."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.core.errors import ConfigError, GeometryError
from voltphase.optics import (
    AngularSpectrum,
    FocalPlane,
    FresnelPixels,
    FresnelTransfer,
    Method,
    Propagator,
    RayleighSommerfeld,
    gaussian_beam,
)
from voltphase.optics.grid import Grid
from voltphase.optics.methods import METHODS

WAVELENGTH = 532e-9
# Two engines evaluate one sum in different orders.
ENGINES_AGREE = 1e-10
ADJOINT = 1e-12

SOURCE = Grid((7, 10), (20e-6, 15e-6), offset=(3e-6, 0.0))
TARGET = Grid((9, 6), (20e-6, 30e-6), offset=(0.0, -40e-6))


@dataclass(frozen=True)
class Case:
    method: str
    engine: str
    target: Grid

    def propagator(self, dtype: torch.dtype = torch.complex128) -> Propagator:
        return Propagator(
            SOURCE,
            self.target,
            wavelength=WAVELENGTH,
            distance=0.02,
            method=self.method,
            engine=self.engine,  # pyright: ignore[reportArgumentType]
            dtype=dtype,
            check=False,
        )


def cases() -> list[Case]:
    found = []
    for name in METHODS:
        target = SOURCE if name.endswith("wrapped") else TARGET
        explained = Case(name, "auto", target).propagator().explain()
        found.extend(Case(name, engine.name, target) for engine in (explained.engine, *explained.others))
    return found


every_case = pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.method}-{case.engine}")


def noise(*shape: int, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))


def test_every_engine_is_among_the_cases() -> None:
    assert {case.engine for case in cases()} == {"matrix", "fft"}
    assert {case.method for case in cases()} == set(METHODS)


@every_case
def test_the_adjoint_is_the_adjoint(case: Case) -> None:
    propagator = case.propagator()
    u, v = noise(*SOURCE.shape), noise(*case.target.shape)
    there, back = (
        torch.vdot(v.flatten(), propagator(u).flatten()),
        torch.vdot(propagator.adjoint(v).flatten(), u.flatten()),
    )
    assert abs(there - back) <= ADJOINT * float(torch.linalg.vector_norm(propagator(u)) * torch.linalg.vector_norm(v))


@every_case
def test_a_batch_is_its_fields_one_by_one(case: Case) -> None:
    propagator = case.propagator()
    fields = noise(2, 3, *SOURCE.shape)
    found = propagator(fields)
    assert found.shape == (2, 3, *case.target.shape)
    assert relative(found, torch.stack([torch.stack([propagator(u) for u in some]) for some in fields])) < 1e-14
    assert relative(propagator.adjoint(found)[1, 2], propagator.adjoint(found[1, 2])) < 1e-14


@every_case
def test_single_precision_stays_single_and_near_double(case: Case) -> None:
    propagator = case.propagator(torch.complex64)
    u = noise(*SOURCE.shape)
    found = propagator(u.to(torch.complex64))
    assert found.dtype == torch.complex64
    assert relative(found.to(torch.complex128), case.propagator()(u)) < 3e-6
    assert propagator.adjoint(found).dtype == torch.complex64
    assert all(buffer.dtype == torch.complex64 for buffer in propagator.buffers())


@every_case
def test_kernels_are_buffers_and_in_no_checkpoint(case: Case) -> None:
    propagator = case.propagator()
    assert list(propagator.state_dict()) == []
    assert list(propagator.parameters()) == []
    assert all(buffer.is_meta for buffer in propagator.to("meta").buffers())


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@every_case
def test_a_propagator_survives_pickling_and_refuses_a_cast(case: Case) -> None:
    propagator = case.propagator(torch.complex64)
    u = noise(*SOURCE.shape, dtype=torch.complex64)
    torch.save(propagator, file := io.BytesIO())
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert torch.equal(again(u), propagator(u))
    assert str(again.explain()) == str(propagator.explain())
    with pytest.raises(
        ConfigError, match="expected Propagator to keep the dtype it was made with, but got a cast from"
    ):
        again.to(torch.float32)
    assert torch.equal(again(u), propagator(u))


@every_case
def test_gradients_are_those_of_the_map(case: Case) -> None:
    propagator = case.propagator()
    u = noise(*SOURCE.shape).requires_grad_()
    assert torch.autograd.gradcheck(propagator, u, fast_mode=True)
    weight = noise(*case.target.shape)
    (weight.conj() * propagator(u)).sum().real.backward()
    assert u.grad is not None
    assert relative(u.grad, propagator.adjoint(weight)) < ADJOINT


@every_case
def test_matrices_are_the_separable_map(case: Case) -> None:
    propagator = case.propagator()
    matrices = propagator.matrices()
    if matrices is None:
        assert isinstance(propagator.method, AngularSpectrum | RayleighSommerfeld) or "wrapped" in case.method
        return
    u = noise(*SOURCE.shape)
    assert matrices[0].shape == (case.target.rows, SOURCE.rows)
    assert matrices[1].shape == (case.target.columns, SOURCE.columns)
    assert relative(matrices[0] @ u @ matrices[1].T, propagator(u)) < ENGINES_AGREE


axes = st.fixed_dictionaries(
    {
        "sizes": st.tuples(st.integers(1, 14), st.integers(1, 14)),
        "ratio": st.sampled_from((1.0, 1.0, 0.5, 2.0, 1.5, 2 / 3)),
        "pitch": st.floats(3e-6, 40e-6),
        "offsets": st.tuples(st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4)),
    }
)


@settings(max_examples=40, deadline=None)
@given(
    rows=axes,
    columns=axes,
    distance=st.floats(1e-3, 0.2).flatmap(lambda z: st.sampled_from((z, -z))),
    method=st.sampled_from(("fresnel", "fresnel-impulse", "fresnel-pixels", "angular-spectrum", "rayleigh-sommerfeld")),
)
def test_engines_agree(rows: dict, columns: dict, distance: float, method: str) -> None:
    torch.manual_seed(0)
    source, target = (
        Grid(
            (rows["sizes"][i], columns["sizes"][i]),
            tuple(axis["pitch"] * (axis["ratio"] if i else 1) for axis in (rows, columns)),
            (rows["offsets"][i], columns["offsets"][i]),
        )
        for i in (0, 1)
    )
    u = noise(*source.shape)
    results = {}
    for engine in ("matrix", "fft"):
        try:
            propagator = Propagator(
                source,
                target,
                wavelength=WAVELENGTH,
                distance=distance,
                method=method,
                engine=engine,
                dtype=torch.complex128,
                check=False,
            )
        except ConfigError:
            continue
        results[engine] = propagator(u)
        # The carrier and the kernel's own scale: a sample sends out no more than it holds.
        scale = float(torch.linalg.vector_norm(u))
    assert "fft" in results
    for found in results.values():
        assert float(torch.linalg.vector_norm(found - results["fft"])) <= ENGINES_AGREE * scale


STATIONARY = ("fresnel", "fresnel-impulse", "fresnel-pixels", "rayleigh-sommerfeld")


@pytest.mark.parametrize("engine", ["auto", "fft"])
@pytest.mark.parametrize("method", STATIONARY)
def test_nothing_wraps_around(method: str, engine) -> None:
    # The same light in the middle of a wide dark plane, seen through the same window.
    common = {"wavelength": WAVELENGTH, "distance": 0.01, "method": method, "dtype": torch.complex128, "check": False}
    u = noise(8, 11)
    wide = torch.nn.functional.pad(u, (20, 20, 20, 20))
    expected = Propagator(Grid((48, 51), 9e-6), engine="fft", **common)(wide)[20:28, 20:31]
    assert relative(Propagator(Grid((8, 11), 9e-6), engine=engine, **common)(u), expected) < ENGINES_AGREE


@pytest.mark.parametrize("method", [*STATIONARY, "angular-spectrum"])
def test_offsets_pitches_and_sizes_pick_points_of_one_field(method: str) -> None:
    common = {"wavelength": WAVELENGTH, "distance": 0.01, "method": method, "dtype": torch.complex128, "check": False}
    if method == "angular-spectrum":
        # One spectrum for all targets, so that only the choice of points is compared.
        common["method"] = AngularSpectrum(oversampling=8.0)
    source, pitch = Grid((12, 9), 10e-6), 10e-6
    u = gaussian_beam(source, wavelength=WAVELENGTH, waist=25e-6, dtype=torch.complex128)
    whole = Propagator(source, Grid((31, 33), pitch), **common)(u)
    part = Propagator(source, Grid((7, 5), 2 * pitch, offset=(3 * pitch, -4 * pitch)), **common)(u)
    # The middle of the whole is sample (15, 16); the part's rows lie at 3 + 2 (-3 ... 3) samples from it, its columns
    # at -4 + 2 (-2 ... 2).
    expected = whole[15 + 3 - 6 : 15 + 3 + 7 : 2, 16 - 4 - 4 : 16 - 4 + 5 : 2]
    tolerance = 2e-3 if method == "angular-spectrum" else ENGINES_AGREE
    assert relative(part, expected) < tolerance


@settings(max_examples=12, deadline=None)
@given(
    distance=st.floats(0.0, 0.03),
    shape=st.tuples(st.integers(40, 60), st.integers(40, 60)),
    centre=st.tuples(st.floats(-1e-5, 1e-5), st.floats(-1e-5, 1e-5)),
    method=st.sampled_from(("fresnel", "angular-spectrum")),
)
def test_a_gaussian_beam_spreads_as_it_should(
    distance: float, shape: tuple[int, int], centre: tuple[float, float], method: str
) -> None:
    grid = Grid(shape, 12e-6)

    def beam(z: float) -> torch.Tensor:
        return gaussian_beam(
            grid, wavelength=WAVELENGTH, waist=50e-6, distance=z, centre=centre, dtype=torch.complex128
        )

    propagator = Propagator(grid, wavelength=WAVELENGTH, distance=distance, method=method, dtype=torch.complex128)
    # Limited by the beam's own tail at the edge of the smallest grid, exp(-(240 - 10)^2 / 115^2) at the worst.
    assert relative(propagator(beam(-distance / 3)), beam(2 * distance / 3)) < 2e-3


@pytest.mark.parametrize("method", ["fresnel", "angular-spectrum"])
def test_backwards_undoes_forwards_and_parts_add_up(method: str) -> None:
    grid = Grid((64, 60), 12e-6)
    u = gaussian_beam(grid, wavelength=WAVELENGTH, waist=70e-6, centre=(2e-5, 0.0), dtype=torch.complex128)

    def through(z: float) -> Propagator:
        return Propagator(grid, wavelength=WAVELENGTH, distance=z, method=method, dtype=torch.complex128)

    there = through(0.01)(u)
    # Limited by what the beam has outside the grid, exp(-(340 / 75)^2) of its amplitude.
    assert relative(through(-0.01)(there), u) < 1e-6
    assert relative(through(0.006)(through(0.004)(u)), there) < 1e-6
    assert float(there.abs().square().sum()) == pytest.approx(float(u.abs().square().sum()), rel=1e-8)
    assert relative(through(-0.01)(there), through(0.01).adjoint(there)) < 1e-12
    assert relative(through(0.0)(u), u) < 1e-12


@pytest.mark.parametrize("method", [*STATIONARY, "angular-spectrum"])
def test_between_equal_pitches_the_way_back_is_the_adjoint_of_the_way_there(method: str) -> None:
    common = {"wavelength": WAVELENGTH, "method": method, "dtype": torch.complex128, "check": False}
    one, other = Grid((12, 9), 12e-6, (1e-5, -2e-5)), Grid((7, 16), 12e-6, (0.0, 5e-5))
    u = noise(*other.shape)
    there, back = Propagator(one, other, distance=0.01, **common), Propagator(other, one, distance=-0.01, **common)
    assert relative(back(u), there.adjoint(u)) < ENGINES_AGREE


@pytest.mark.parametrize("name", ["fresnel-wrapped", "angular-spectrum-wrapped"])
def test_the_wrapped_methods_are_the_plain_fourier_code_others_write(name: str) -> None:
    u, pitch, z = noise(10, 13), 15e-6, 0.02
    propagator = Propagator(
        Grid((10, 13), pitch), wavelength=WAVELENGTH, distance=z, method=name, dtype=torch.complex128
    )
    fy = torch.fft.fftfreq(10, pitch, dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(13, pitch, dtype=torch.float64)
    squared = WAVELENGTH**2 * (fy**2 + fx**2)
    axial = torch.sqrt(1 - squared) if name.startswith("angular") else 1 - squared / 2
    transfer = torch.exp(2j * math.pi * z / WAVELENGTH * axial)
    assert relative(propagator(u), torch.fft.ifft2(torch.fft.fft2(u) * transfer)) < 1e-8
    # Unitary: light that leaves on one side comes back on the other.
    assert float(propagator(u).abs().square().sum()) == pytest.approx(float(u.abs().square().sum()))


@pytest.mark.parametrize(
    "method", [FresnelTransfer(), FresnelPixels(0.8), AngularSpectrum(2.0), RayleighSommerfeld(), FocalPlane(0.01)]
)
def test_a_method_can_be_an_object(method: Method) -> None:
    propagator = Propagator(SOURCE, wavelength=WAVELENGTH, distance=0.02, method=method, check=False)
    assert propagator.method is method
    assert propagator(noise(*SOURCE.shape, dtype=torch.complex64)).isfinite().all()


def test_the_focal_plane_of_a_lens_is_that_of_a_far_field() -> None:
    u = noise(*SOURCE.shape)
    common = {"wavelength": WAVELENGTH, "distance": 0.5, "dtype": torch.complex128, "check": False}
    far = Propagator(SOURCE, TARGET, method="fraunhofer", **common)(u)
    at_the_lens = Propagator(SOURCE, TARGET, method="focal-plane", **common)(u)
    assert relative(at_the_lens, far) < 1e-12
    transformed = Propagator(SOURCE, TARGET, method=FocalPlane(front=0.5), **common)(u)
    y, x = TARGET.coordinates()
    curved = torch.exp(1j * math.pi / (WAVELENGTH * 0.5) * (y[:, None] ** 2 + x**2))
    ratio = far / curved / transformed
    # Equal but for the half metre more of path, a common phase.
    assert relative(ratio, ratio[0, 0].expand_as(ratio)) < 1e-9
    assert abs(complex(ratio[0, 0])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "magic"}, ConfigError, "expected a propagation method out of auto, angular-spectrum, "),
        (
            {"engine": "magic"},
            ConfigError,
            "expected an engine out of auto, matrix, fft for method 'fresnel' here, but got 'magic'",
        ),
        ({"wavelength": 0}, GeometryError, "expected a wavelength in metres, from 1 nm to 10 mm, but got 0"),
        ({"wavelength": 532}, GeometryError, "expected a wavelength in metres, from 1 nm to 10 mm, but got 532"),
        ({"distance": math.inf}, GeometryError, "expected a finite distance in metres, but got inf"),
        ({"dtype": torch.float32}, ConfigError, "expected dtype torch.complex64 or torch.complex128"),
        (
            {"method": "rayleigh-sommerfeld", "target": Grid(4, 13.7e-6), "check": False},
            GeometryError,
            "expected pitches whose ratio is a fraction of numbers up to 8 for method 'rayleigh-sommerfeld'",
        ),
        (
            {"method": "fresnel-wrapped", "target": Grid(4, 36e-6)},
            GeometryError,
            "expected equal grids on both planes for light that wraps around",
        ),
        (
            {"method": "fresnel-impulse", "distance": 0},
            GeometryError,
            "expected a distance other than zero for method 'fresnel-impulse', but got 0",
        ),
        *(
            (
                {"method": method, "distance": distance, "check": False},
                GeometryError,
                f"expected a distance above zero for method {method!r}, but got {distance:g} m: for the way back use "
                "the adjoint of the way there",
            )
            for method in ("fraunhofer", "focal-plane")
            for distance in (-0.1, 0)
        ),
    ],
)
def test_impossible_propagators_are_refused(changes: dict, error: type[Exception], message: str) -> None:
    options = {"source": Grid(8, 36e-6), "wavelength": WAVELENGTH, "distance": 0.1, "method": "fresnel"}
    with pytest.raises(error) as caught:
        Propagator(**(options | changes))
    assert str(caught.value).startswith(message)


def test_fields_that_do_not_fit_are_refused() -> None:
    propagator = Propagator(SOURCE, TARGET, wavelength=WAVELENGTH, distance=0.02)
    with pytest.raises(ConfigError, match=r"expected a torch.complex64 field, but got torch.complex128: cast"):
        propagator(noise(7, 10))
    with pytest.raises(
        GeometryError, match="expected a field of 7 x 10 samples on the source plane, but got 2 x 7 x 9"
    ):
        propagator(noise(2, 7, 9, dtype=torch.complex64))
    with pytest.raises(GeometryError, match="expected a field of 9 x 6 samples on the target plane, but got 7 x 10"):
        propagator.adjoint(noise(7, 10, dtype=torch.complex64))


@pytest.mark.parametrize("fill_factor", [0, 1.1, math.nan])
def test_impossible_fill_factors_are_refused(fill_factor: float) -> None:
    with pytest.raises(GeometryError, match="expected a fill factor above 0, up to 1"):
        FresnelPixels(fill_factor)
