"""Which method and engine are picked, and what is said about it."""

from __future__ import annotations

import cmath
import math
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.core.errors import ConfigError, SamplingError
from voltphase.core.registry import PluginWarning
from voltphase.optics import FocalPlane, FresnelTransfer, Propagator, SamplingWarning
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.kernel import Separable
from voltphase.optics.kernels.map_choice import Cost, product_cost
from voltphase.optics.methods import formulas as kernels
from voltphase.optics.methods.auto import best_method
from voltphase.optics.methods.base import METHODS, aliasing_limit
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.paths import paths_between

GREEN = 532e-9
PAPER = Grid(200, 36e-6)


@pytest.mark.parametrize(("size", "distance"), [(200, 0.30), (64, 0.096), (32, 0.048)])
@pytest.mark.parametrize("method", ["fresnel", "auto", "angular-spectrum"])
def test_the_papers_system_needs_no_warning(size: int, distance: float, method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        propagator = Propagator(Grid(size, 36e-6), wavelength=GREEN, distance=distance, method=method)
    assert propagator.method.name == ("angular-spectrum" if method == "angular-spectrum" else "fresnel")


@pytest.mark.parametrize(
    ("grid", "distance", "chosen"),
    [
        (Grid(64, 36e-6), 0.0, "fresnel"),
        (Grid(64, 36e-6), 0.096, "fresnel"),
        (Grid(64, 1e-6), 3e-4, "angular-spectrum"),
        # Evanescent light arrives, which Fresnel does not know to decay.
        (Grid(64, 0.1e-6), 20e-9, "angular-spectrum"),
        (Grid(64, 0.2e-6), 33e-9, "angular-spectrum"),
        (Grid(64, 0.2e-6), 5e-9, "angular-spectrum"),
        # Samples so fine resolve the integral's kernel.
        (Grid(2, 0.02e-6), 100e-9, "rayleigh-sommerfeld"),
        # It does not arrive, but the edges of a band that it fills diffract light that there is not.
        (Grid(16, 0.2e-6), 20e-6, "rayleigh-sommerfeld"),
        # Phases are right to a fifth of a radian, which is not enough.
        (Grid(64, 2e-6), 2e-3, "angular-spectrum"),
        (Grid(64, 24e-6), 0.3, "fresnel"),
    ],
)
def test_auto_takes_the_cheapest_that_is_right(grid: Grid, distance: float, chosen: str) -> None:
    propagator = Propagator(grid, wavelength=GREEN, distance=distance)
    assert propagator.method.name == chosen
    assert all(limit.verdict == "good" for limit in propagator.explain().limits)


@pytest.mark.parametrize(
    ("pitch", "distance", "chosen"),
    [
        (400e-6, 0.03, "angular-spectrum"),
        (400e-6, 0.3, "angular-spectrum"),
        (200e-6, 0.003, "angular-spectrum"),
        (200e-6, 0.02, "rayleigh-sommerfeld"),
        (200e-6, 0.2, "rayleigh-sommerfeld"),
    ],
)
def test_terahertz_layers_with_pixels_near_half_a_wavelength_need_no_warning(
    pitch: float, distance: float, chosen: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        propagator = Propagator(Grid(64, pitch), wavelength=400e-6, distance=distance)
    assert propagator.method.name == chosen


def test_auto_takes_exact_plane_waves_where_they_go_far_beyond_the_target() -> None:
    grid = Grid(300, 1e-6)
    method, reason = best_method(Geometry(grid, grid, GREEN, 0.008))
    assert method.name == "angular-spectrum"
    assert "the sum over plane waves is exact" in reason


def test_where_nothing_is_right_auto_takes_the_most_accurate_and_says_how_far_it_is_off() -> None:
    # So far beside each other that plane waves are too many, and the integral's kernel is not quite resolved.
    geometry = Geometry(Grid(64, 36e-6), Grid(64, 36e-6, (0.3, 0.3)), GREEN, 30.0)
    method, reason = best_method(geometry)
    assert method.name != "angular-spectrum"
    assert "it is the most accurate here: rough light is off by" in reason
    with pytest.raises(SamplingError, match="method 'angular-spectrum' is wrong here: expected planes so small"):
        Propagator(geometry.source, geometry.target, wavelength=GREEN, distance=30.0, method="angular-spectrum")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "fresnel-impulse"},
            "method 'fresnel-impulse' is wrong here: expected a distance of 0.97 m or more, so that samples resolve "
            "the kernel, but got 0.3 m; use method 'fresnel' (the paraxial phase error is at most 0.0053 rad",
        ),
        (
            {"method": "rayleigh-sommerfeld"},
            "method 'rayleigh-sommerfeld' is wrong here: expected a distance of 0.97 m or more",
        ),
        (
            {"method": "fraunhofer"},
            "method 'fraunhofer' is wrong here: expected a distance of 758 m or more but got 0.3 m; use method",
        ),
        (
            {"method": "fraunhofer", "source": Grid(32, 1e-6), "target": Grid((1, 105), 0.5e-3), "distance": 0.1},
            "method 'fraunhofer' is wrong here: expected a paraxial phase error of at most 0.2 rad but got 613 rad at "
            "the steepest angle; use method 'angular-spectrum'",
        ),
        (
            {"method": "fresnel", "source": Grid(64, 0.1e-6), "distance": 200e-9},
            "method 'fresnel' is wrong here: expected a paraxial phase error of at most 0.2 rad but got "
            "16.7 rad at the steepest angle; use method 'angular-spectrum'",
        ),
        (
            {"method": "focal-plane"},
            "method 'focal-plane' is wrong here: expected a target within 2.22 mm of the axis, beyond which the far "
            "field of samples repeats, but got one that reaches 3.58 mm",
        ),
        (
            {"method": "fresnel", "source": Grid(200, 2e-6), "distance": 3e-3},
            "method 'fresnel' is wrong here: expected a paraxial phase error of at most 0.2 rad but got 5.39 rad at "
            "the steepest angle; use method 'angular-spectrum'",
        ),
        (
            {"method": "rayleigh-sommerfeld", "source": Grid(20, 0.2e-6), "distance": 0.05e-6},
            "method 'rayleigh-sommerfeld' is wrong here: expected a distance of 400 nm or more, so that samples "
            "resolve the kernel's peak, but got 50 nm; use method 'angular-spectrum'",
        ),
    ],
)
def test_a_method_that_is_wrong_is_refused_with_figures_and_a_way_out(options: dict, message: str) -> None:
    options = {"source": PAPER, "wavelength": GREEN, "distance": 0.3} | options
    with pytest.raises(SamplingError) as caught:
        Propagator(**options)
    assert str(caught.value).startswith(message)
    Propagator(**options, check=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "fresnel", "source": Grid(200, 2e-6), "distance": 1e-3},
            "method 'fresnel' is borderline here: expected a paraxial phase error of at most 0.2 rad but got 1.88 rad",
        ),
        (
            {"method": "fresnel-impulse", "distance": 0.9},
            "method 'fresnel-impulse' is borderline here: expected a distance of 0.97 m or more, so that samples",
        ),
        (
            {"method": "fresnel", "target": Grid(8, 36e-6, (0, 0.01))},
            "method 'fresnel' is borderline here: expected a target no farther beside the source in x than light of "
            "its pitch goes, 2.22 mm, but got 6.29 mm",
        ),
        (
            {"method": "fresnel", "source": Grid(64, 2e-6), "distance": 2e-3},
            "method 'fresnel' is borderline here: expected an error of at most 0.001 of rough light (random phases) "
            "but got an estimated 0.06; use method 'angular-spectrum'",
        ),
    ],
)
def test_a_method_that_is_borderline_is_warned_of(options: dict, message: str) -> None:
    options = {"source": PAPER, "wavelength": GREEN, "distance": 0.3} | options
    with pytest.warns(SamplingWarning) as caught:
        Propagator(**options)
    assert str(caught[0].message).startswith(message)
    assert caught[0].filename == __file__


def through_the_middle(middle: Grid, distance: float) -> torch.Tensor:
    """Light from random phases on to a clear plane in the middle and as far again."""
    source = Grid(32, 24e-6)
    options = {"wavelength": GREEN, "distance": distance, "method": "fresnel", "dtype": torch.complex128}
    phases = 2 * math.pi * torch.rand(32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Propagator(middle, source, **options)(Propagator(source, middle, **options)(kernels.phasor(phases)))


@pytest.mark.parametrize(
    ("samples", "distance", "verdict"),
    [
        # Close by all light of the band arrives; far away what is as steep as a line from corner to corner.
        *((40, 0.03, "good"), (32, 0.03, "good"), (30, 0.03, "borderline"), (24, 0.03, "wrong"), (16, 0.03, "wrong")),
        *((16, 0.2, "good"), (8, 0.15, "wrong")),
    ],
)
def test_a_plane_is_too_coarse_where_it_spoils_the_light_on_the_next(
    samples: int, distance: float, verdict: str
) -> None:
    middle = Grid(samples, 32 * 24e-6 / samples)
    assert aliasing_limit(FresnelTransfer(), Geometry(Grid(32, 24e-6), middle, GREEN, distance)).verdict == verdict
    found, expected = (through_the_middle(grid, distance) for grid in (middle, Grid(128, 6e-6)))
    error = float((found - expected).norm() / expected.norm())
    # What the edge of the middle plane cuts sharply is resolved by no samples: 0.17 at the most.
    assert error < 0.2 if verdict == "good" else error > (0.3 if verdict == "borderline" else 0.5)


@settings(max_examples=100, deadline=None)
@given(
    pitch=st.floats(1e-7, 1e-3), wavelength=st.floats(1e-7, 1e-3), distance=st.floats(0, 1), size=st.integers(1, 2000)
)
def test_planes_of_one_pitch_pass_on_all_light(pitch: float, wavelength: float, distance: float, size: int) -> None:
    # Also where the pitch comes out of a division.
    planes = Grid(size, pitch), Grid((size, 3), (pitch * size / size, 3 * pitch / 3), (1e-3, 0.0))
    for source, target in (planes, planes[::-1]):
        assert aliasing_limit(FresnelTransfer(), Geometry(source, target, wavelength, distance)).verdict == "good"


def test_a_lens_turns_light_beyond_what_equal_pitches_carry() -> None:
    # Half planes of 1.134 mm over 0.2 m, against 532 nm over twice 36 µm; what is in front of the lens arrives flat.
    planes = Geometry(Grid(64, 36e-6), Grid(64, 36e-6), GREEN, 0.2)
    assert aliasing_limit(FocalPlane(), planes).value == pytest.approx(2 * 1.134e-3 / 0.2 / (GREEN / 72e-6))
    assert aliasing_limit(FocalPlane(front=0.2), planes).value == pytest.approx(1.134e-3 / 0.2 / (GREEN / 72e-6))


def test_planes_too_coarse_to_go_on_from_are_refused_but_a_detector_is_not() -> None:
    options = {"wavelength": GREEN, "method": "fresnel"}
    fine, coarse, detector = Grid(96, 24e-6), Grid(64, 36e-6), Grid(32, 72e-6)
    with pytest.raises(SamplingError) as caught:
        paths_between([fine, coarse, detector], [0.096] * 2, **options)
    assert str(caught.value) == (
        "the sampling of plane 2 of 3 is wrong here: expected a pitch of 24 µm or less in y, so that samples carry the "
        "light that arrives, but got 36 µm; use a finer pitch there, a coarser one on the plane before it, or a longer "
        "distance"
    )
    oblong = Grid((96, 88), (24e-6, 26e-6))
    with pytest.warns(SamplingWarning, match=r"plane 3 of 4 is borderline .* 24 µm or less in x, .* but got 26 µm;"):
        paths_between([coarse, fine, oblong, detector], [0.096] * 3, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        there, here, last = paths_between([coarse, coarse, coarse, detector], [0.096] * 3, **options)
        paths_between([fine, coarse, detector], [2.0, 0.096], **options)
    assert there[0] is here[0] is not last[0]


def test_an_explanation_gives_the_figures() -> None:
    explanation = Propagator(PAPER, wavelength=GREEN, distance=0.3).explain()
    assert explanation.fresnel_number == pytest.approx(2 * (3.6e-3**2 / (GREEN * 0.3),))
    # k z s^4 / 8 with s the sine of the diagonal of the band.
    squared = 2 * (GREEN / 72e-6) ** 2
    assert explanation.paraxial_phase_error == pytest.approx(math.pi / GREEN * 0.3 * squared**2 / 4, rel=1e-3)
    assert {explanation.engine.name, *(other.name for other in explanation.others)} == {"matrix", "fft"}
    text = str(explanation)
    for part in ("532 nm over 0.3 m", "pitch 36 µm", "81.2 (y)", "0.0053 rad", "ms", "Mflop"):
        assert part in text


def test_an_explanation_names_offsets_and_both_pitches() -> None:
    source, target = Grid((4, 6), (36e-6, 20e-6)), Grid(4, 36e-6, (1e-3, 0))
    text = str(Propagator(source, target, wavelength=GREEN, distance=0.3).explain())
    assert "4 x 6 samples, pitch 36 µm (y), 20 µm (x)\n" in text
    assert "4 x 4 samples, pitch 36 µm, centre at 1 mm (y), 0 m (x)\n" in text


@pytest.mark.parametrize(("pitch", "distance"), [(4e-6, 2e-3), (0.2e-6, 20e-9)], ids=["travelling", "evanescent"])
def test_the_paraxial_error_is_what_the_two_transfer_functions_differ_by(pitch: float, distance: float) -> None:
    geometry = Geometry(Grid(400, pitch), Grid(400, pitch), GREEN, distance)
    s = math.sqrt(2) * GREEN / (2 * pitch)
    turns = geometry.distance / GREEN * (cmath.sqrt(1 - s**2) - (1 - s**2 / 2))
    assert geometry.paraxial_phase_error() == pytest.approx(abs(2 * math.pi * turns), rel=1e-6)


def test_rays_and_samples_both_bound_the_paraxial_error() -> None:
    fine = Geometry(Grid(8, 1e-6), Grid(8, 1e-6), GREEN, 0.1)
    assert fine.paraxial_phase_error() == fine.paraxial_phase_error(band_limited=False) < 1e-6
    coarse = Geometry(Grid(64, 36e-6), Grid(64, 36e-6), GREEN, 1e-3)
    assert coarse.paraxial_phase_error() < coarse.paraxial_phase_error(band_limited=False)


def test_the_cheaper_engine_is_picked_and_can_be_overruled() -> None:
    small = Propagator(Grid(16, 36e-6), wavelength=GREEN, distance=0.1)
    assert small.explain().engine.name == "matrix"
    large = Propagator(Grid(1500, 36e-6), wavelength=GREEN, distance=0.3)
    assert large.explain().engine.name == "fft"
    assert Propagator(Grid(16, 36e-6), wavelength=GREEN, distance=0.1, engine="fft").explain().engine.name == "fft"


def test_a_product_is_costed_in_its_cheaper_order() -> None:
    assert product_cost((100, 10), (10, 10), (10, 2)).multiplications == 10 * 10 * 2 + 100 * 10 * 2
    assert product_cost((2, 10), (10, 10), (10, 100)).multiplications == 2 * 10 * 10 + 2 * 10 * 100
    doubled = product_cost((4, 4), (4, 4), (4, 4)) + Cost(multiplications=128)
    assert doubled.megaflops == pytest.approx(8 * 256 / 1e6)


def test_single_and_double_precision_are_costed_alike() -> None:
    # The choice of engine for a separable kernel must not depend on the dtype, nor must the last digits with it.
    plans = [
        Propagator(Grid(40, 36e-6), wavelength=GREEN, distance=0.1, dtype=dtype).explain().engine.name
        for dtype in (torch.complex64, torch.complex128)
    ]
    assert plans[0] == plans[1]


class Unsound(FresnelTransfer):
    def kernel(self, geometry: Geometry) -> Separable:
        raise RuntimeError("bad")


def test_another_packages_method_that_fails_is_left_out_and_whoever_asks_is_told(monkeypatch: pytest.MonkeyPatch):
    for kept in ("_entries", "_left_out"):
        monkeypatch.setattr(METHODS, kept, dict(getattr(METHODS, kept)))
    METHODS.register("unsound")(Unsound)
    plane: Any = {"wavelength": GREEN, "distance": 0.3}
    with pytest.raises(ConfigError, match="'unsound' failed: RuntimeError: bad: use") as caught:
        Propagator(PAPER, **plane, method="unsound")
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(RuntimeError, match="bad"):  # of an object of one's own
        Propagator(PAPER, **plane, method=Unsound())
    with pytest.warns(PluginWarning, match="'unsound' is left out: RuntimeError: bad"):
        errors = Propagator(PAPER, **plane).explain().errors
    assert "unsound" not in errors
    assert "fresnel" in errors
    with pytest.raises(ConfigError, match="'unsound' cannot be used: RuntimeError: bad"):
        Propagator(PAPER, **plane, method="unsound")
