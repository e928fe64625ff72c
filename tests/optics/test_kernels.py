"""Kernels against independent evaluations of the integrals they stand for."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.optics.methods import formulas as kernels

WAVELENGTH = 532e-9
# Quadrature and closed form agree to what the quadrature is asked for.
QUADRATURE = 1e-9

pitches = st.floats(4e-6, 60e-6)
distances = st.floats(1e-3, 1.0).flatmap(lambda z: st.sampled_from((z, -z)))
steps = st.floats(-60, 60)


def at(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def integral(function, low: float, high: float, turns: float) -> complex:
    """Gauss-Legendre over as many panels as the integrand turns."""
    panels = int(4 + 4 * abs(turns))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = np.linspace(low, high, panels + 1)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    points = middle[:, None] + half[:, None] * nodes
    return complex((function(points) * weights * half[:, None]).sum())


@settings(max_examples=60, deadline=None)
@given(pitch=pitches, distance=distances, step=steps)
def test_fresnel_transfer_is_the_band_limited_integral(pitch: float, distance: float, step: float) -> None:
    d, edge = step * pitch, 1 / (2 * pitch)
    expected = pitch * integral(
        lambda f: np.exp(2j * np.pi * f * d - 1j * np.pi * WAVELENGTH * distance * f**2),
        -edge,
        edge,
        turns=abs(step) + WAVELENGTH * abs(distance) * edge**2,
    )
    found = kernels.fresnel_transfer(at(d), pitch, WAVELENGTH, distance)
    assert abs(complex(found) - expected) <= QUADRATURE


@settings(max_examples=60, deadline=None)
@given(pitch=pitches, distance=distances, step=steps, fill=st.floats(0.1, 1))
def test_fresnel_pixels_is_the_impulse_response_over_a_pixel(
    pitch: float, distance: float, step: float, fill: float
) -> None:
    d, width, spread = step * pitch, pitch * fill, WAVELENGTH * distance
    expected = integral(
        lambda s: np.exp(1j * np.pi * s**2 / spread),
        d - width / 2,
        d + width / 2,
        turns=((abs(d) + width) ** 2 - max(abs(d) - width, 0) ** 2) / abs(spread),
    ) / cmath.sqrt(1j * spread)
    found = kernels.fresnel_pixels(at(d), width, WAVELENGTH, distance)
    assert abs(complex(found) - expected) <= QUADRATURE


def test_the_narrow_pixel_is_the_impulse_response() -> None:
    d = torch.linspace(-2e-3, 2e-3, 41, dtype=torch.float64)
    narrow = kernels.fresnel_pixels(d, 1e-9, WAVELENGTH, 0.3) / 1e-9
    torch.testing.assert_close(narrow, kernels.fresnel_impulse(d, 1.0, WAVELENGTH, 0.3), rtol=1e-6, atol=1e-3 * 1e-6)


def test_fresnel_integrals_are_scipys() -> None:
    t = torch.linspace(-9, 9, 1001, dtype=torch.float64)
    sine, cosine = scipy.special.fresnel(t.numpy())
    np.testing.assert_allclose(kernels.fresnel_integral(t).numpy(), cosine + 1j * sine, rtol=0, atol=1e-14)


def test_at_distance_zero_samples_stay_where_they_are() -> None:
    d = torch.arange(-4, 5, dtype=torch.float64) * 1e-5
    unit = (d == 0).to(torch.complex128)
    torch.testing.assert_close(kernels.fresnel_transfer(d, 1e-5, WAVELENGTH, 0), unit, rtol=0, atol=1e-15)
    assert torch.equal(kernels.fresnel_pixels(d, 1e-5, WAVELENGTH, 0), unit)
    assert kernels.fresnel_pixels(at(0.5e-5), 1e-5, WAVELENGTH, 0) == 0.5


def test_a_short_distance_is_continuous_with_none() -> None:
    d = torch.arange(-4, 5, dtype=torch.float64) * 1e-5
    torch.testing.assert_close(
        kernels.fresnel_transfer(d, 1e-5, WAVELENGTH, 1e-12),
        kernels.fresnel_transfer(d, 1e-5, WAVELENGTH, 0),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("distance", [3e-6, 0.3, -0.3])
def test_the_angular_spectrum_turns_a_plane_wave_by_its_axial_wave_number(distance: float) -> None:
    for sine in (0.0, 1e-6, 0.3, 0.9):
        f = torch.tensor(sine / WAVELENGTH, dtype=torch.float64)
        found = kernels.angular_spectrum(f, torch.tensor(0.0), WAVELENGTH, distance)
        k = 2 * math.pi / WAVELENGTH
        # sqrt(1 - s^2) - 1 by the angle, which does not cancel.
        expected = cmath.exp(-1j * k * distance * 2 * math.sin(math.asin(sine) / 2) ** 2)
        assert abs(complex(found) - expected) < 1e-8


def test_evanescent_waves_decay_both_ways() -> None:
    f = torch.tensor(1.5 / WAVELENGTH, dtype=torch.float64)
    for distance in (1e-7, -1e-7):
        found = kernels.angular_spectrum(torch.tensor(0.0), f, WAVELENGTH, distance)
        assert complex(found).imag == pytest.approx(
            math.sin(-2 * math.pi * distance / WAVELENGTH) * abs(complex(found)), rel=1e-12
        )
        assert abs(complex(found)) == pytest.approx(
            math.exp(-2 * math.pi * 1e-7 / WAVELENGTH * math.sqrt(1.5**2 - 1)), rel=1e-12
        )


@pytest.mark.parametrize("distance", [0.0, 3e-7, 1e-4])
def test_complex_plane_waves_continue_the_real_ones(distance: float) -> None:
    sines = torch.tensor([0.0, 0.2, 0.9, 1.1, 3.0], dtype=torch.float64) / WAVELENGTH
    real = kernels.angular_spectrum(sines[:, None], sines, WAVELENGTH, distance)
    waves = (sines[:, None].to(torch.complex128), sines.to(torch.complex128))
    torch.testing.assert_close(kernels.plane_waves(*waves, WAVELENGTH, distance), real, rtol=1e-9, atol=1e-12)
    # The slope along any direction of the complex plane is one: it is analytic.
    at, step = complex(0.5 - 0.1j) / WAVELENGTH, 1e-6 / WAVELENGTH
    slopes = [
        (
            kernels.plane_waves(waves[1][1], torch.tensor(at + way * step), WAVELENGTH, distance)
            - kernels.plane_waves(waves[1][1], torch.tensor(at - way * step), WAVELENGTH, distance)
        )
        / (2 * way * step)
        for way in (1, 1j)
    ]
    # Differences cancel to a hundredth at most.
    assert abs(complex(slopes[0] - slopes[1])) <= 2e-2 * abs(complex(slopes[0]))


@pytest.mark.parametrize("distance", [5e-6, -5e-6])
def test_rayleigh_sommerfeld_is_the_slope_of_a_spherical_wave(distance: float) -> None:
    y, x, k, h = 2e-6, -1e-6, 2 * math.pi / WAVELENGTH, 1e-10

    def wave(z: float) -> complex:
        r = math.sqrt(x * x + y * y + z * z)
        return cmath.exp(1j * k * r) / r

    z = abs(distance)
    expected = -(wave(z + h) - wave(z - h)) / (2 * h) / (2 * math.pi) * 1e-13 * cmath.exp(-1j * k * z)
    expected = expected if distance > 0 else expected.conjugate()
    found = kernels.rayleigh_sommerfeld(at(y), at(x), 1e-13, WAVELENGTH, distance)
    assert abs(complex(found) - expected) < 1e-5 * abs(expected)


def test_the_carrier_keeps_its_phase_over_millions_of_turns() -> None:
    # 0.3 m are 563,909.77 wavelengths; a product in floating point would be out by 1e-10 of a turn.
    there = kernels.carrier(WAVELENGTH, 0.3)
    assert abs(there * kernels.carrier(WAVELENGTH, -0.3) - 1) < 1e-14
    assert abs(kernels.carrier(0.5, 1e9 + 0.125) - 1j) < 1e-12
