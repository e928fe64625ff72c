"""Mixtures and thin films, against closed forms and the matrix method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.devices.models.thin_film import continuous_phase, film_transmission, lorentz_lorenz

WAVELENGTH = 500e-9


def by_matrices(index: complex, thickness: float, before: float, after: float) -> tuple[complex, float]:
    """Transmission and reflected power from the characteristic matrix of the film (Abeles), exp(-i omega t)."""
    delta = 2 * np.pi * index * thickness / WAVELENGTH
    matrix = np.array([[np.cos(delta), -1j * np.sin(delta) / index], [-1j * index * np.sin(delta), np.cos(delta)]])
    electric, magnetic = matrix @ np.array([1, after])
    forwards, backwards = (electric + magnetic / before) / 2, (electric - magnetic / before) / 2
    return np.sqrt(after / before) / forwards, abs(backwards / forwards) ** 2


def film(index: complex, thickness: float, before: float = 1.0, after: float = 1.5) -> complex:
    return complex(film_transmission(np.array([complex(index)]), thickness, WAVELENGTH, before, after)[0])


@settings(max_examples=60, deadline=None)
@given(
    real=st.floats(1.0, 6.0),
    kappa=st.floats(0.0, 2.0),
    thickness=st.floats(0.0, 2e-6),
    before=st.floats(1.0, 2.0),
    after=st.floats(1.0, 3.0),
)
def test_airy_s_sum_is_what_the_matrix_method_gives(real, kappa, thickness, before, after):
    light = film(complex(real, kappa), thickness, before, after)
    expected, reflected = by_matrices(complex(real, kappa), thickness, before, after)
    # The matrix grows as the field decays: its rounding errors grow with it.
    assert light == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert abs(light) ** 2 + reflected <= 1 + 1e-9
    if kappa == 0:
        assert abs(light) ** 2 + reflected == pytest.approx(1, abs=1e-9)


def test_no_film_leaves_the_bare_surface():
    assert film(3.3, 0.0) == pytest.approx(np.sqrt(4 * 1.5) / 2.5)


def test_a_quarter_wave_of_the_geometric_mean_lets_all_light_through():
    index = np.sqrt(1.5)
    assert film(index, WAVELENGTH / 4 / index) == pytest.approx(1j, abs=1e-12)


def test_a_matched_film_only_delays_and_absorbs():
    light = film(1.5 + 1e-9j, 300e-9, before=1.5, after=1.5)
    assert np.angle(light) == pytest.approx(2 * np.pi * 1.5 * 300e-9 / WAVELENGTH - 2 * np.pi, abs=1e-6)
    thick = 0.01
    # With so small a kappa nothing is reflected, and Beer's law is all there is.
    assert abs(film(1.5 + 1e-6j, thick, 1.5, 1.5)) == pytest.approx(
        np.exp(-2 * np.pi * 1e-6 * thick / WAVELENGTH), rel=1e-5
    )


def test_mixtures_begin_and_end_with_their_materials():
    index = lorentz_lorenz(np.array([0.0, 1.0]), 3.28, 4.05 + 0.1j)
    np.testing.assert_allclose(index, [3.28, 4.05 + 0.1j], rtol=1e-14)


def test_a_mixture_with_nothing_is_a_thinner_gas():
    # Clausius-Mossotti for a dilute gas: n - 1 in proportion to the density.
    fraction = np.linspace(0, 1, 5)
    np.testing.assert_allclose(lorentz_lorenz(fraction, 1.0, 1.0003) - 1, 3e-4 * fraction, rtol=1e-3, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    fraction=st.floats(0, 1),
    indices=st.tuples(
        *[st.complex_numbers(min_magnitude=1, max_magnitude=6).map(lambda n: abs(n.real) + 1 + abs(n.imag) * 1j)] * 2
    ),
)
def test_a_mixture_of_absorbers_absorbs(fraction, indices):
    index = lorentz_lorenz(np.array(fraction), *indices)
    assert index.real > 0
    assert index.imag >= -1e-12


def test_phase_is_followed_between_the_levels():
    turns = np.exp(1j * np.linspace(0.5, 30.5, 301))
    np.testing.assert_allclose(continuous_phase(turns, 100), [0, 10, 20, 30], atol=1e-12)
