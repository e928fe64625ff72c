"""The Jones matrices of liquid crystal, against closed forms and against slicing the cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.devices.models.jones import extraordinary_index, linear, molecular_tilt, rotation, twisted_nematic

angles = st.floats(-4.0, 4.0)
retardances = st.floats(-12.0, 12.0)


def sliced(twist: float, beta: float, slices: int = 4000) -> np.ndarray:
    """The cell as a pile of thin plain retarders, each turned a little further; the error falls as 1 / slices**2."""
    retarder = np.diag(np.exp(1j * np.array([beta, -beta]) / slices))
    whole = np.eye(2, dtype=complex)
    for angle in (np.arange(slices) + 0.5) * twist / slices:
        whole = rotation(angle) @ retarder @ rotation(-angle) @ whole
    return whole


@pytest.mark.parametrize(
    ("twist", "beta"), [(np.pi / 2, 2.8), (-np.pi / 2, 0.3), (np.pi / 4, 5.0), (4.2, -1.0), (1.0, 0)]
)
def test_the_cell_is_the_product_of_its_slices(twist, beta):
    np.testing.assert_allclose(twisted_nematic(twist, beta), sliced(twist, beta), atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(twist=angles, beta=retardances)
def test_no_light_is_lost_in_the_cell(twist, beta):
    matrix = twisted_nematic(twist, beta)
    np.testing.assert_allclose(matrix.conj().T @ matrix, np.eye(2), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-12)


def test_without_twist_it_is_a_plain_retarder():
    beta = np.linspace(-5, 5, 11)
    matrices = twisted_nematic(0.0, beta)
    np.testing.assert_allclose(matrices[:, 0, 0], np.exp(1j * beta), atol=1e-14)
    np.testing.assert_allclose(matrices[:, 1, 1], np.exp(-1j * beta), atol=1e-14)
    np.testing.assert_allclose(matrices[:, [0, 1], [1, 0]], 0, atol=1e-14)


def test_without_birefringence_the_twist_does_nothing():
    np.testing.assert_allclose(twisted_nematic(1.3, 0.0), np.eye(2), atol=1e-14)


def test_polarisation_follows_a_slow_twist():
    # Mauguin's limit; what is left over falls as twist / retardance.
    for beta in (40.0, 400.0, 4000.0):
        followed = rotation(np.pi / 2) @ np.diag(np.exp([1j * beta, -1j * beta]))
        # gamma - beta = twist**2 / (2 beta) at most, and the coupling twist / gamma.
        assert np.abs(twisted_nematic(np.pi / 2, beta) - followed).max() < 1.3 * np.pi / beta


@pytest.mark.parametrize("ratio", [0.3, 1.0, np.sqrt(3), 2.5, np.sqrt(15)])
def test_darkness_between_parallel_polarisers_is_that_of_gooch_and_tarry(ratio):
    # C. H. Gooch and H. A. Tarry, J. Phys. D 8, 1575 (1975): ratio = 2 birefringence thickness / wavelength.
    expected = np.sin(np.pi / 2 * np.sqrt(1 + ratio**2)) ** 2 / (1 + ratio**2)
    light = linear(0.0) @ twisted_nematic(np.pi / 2, np.pi / 2 * ratio) @ linear(0.0)
    assert abs(light) ** 2 == pytest.approx(expected, abs=1e-14)


def test_tilt_begins_at_the_threshold_and_ends_upright():
    voltage = np.array([-1.0, 0.0, 1.0, 2.0, 3.5, 60.0])
    # The same curve as the Gudermannian function, arctan(sinh).
    expected = np.arctan(np.sinh([0, 0, 0, 0.5, 1.25, 29.5]))
    np.testing.assert_allclose(molecular_tilt(voltage, 1.0, 2.0), expected, atol=1e-15)
    assert np.degrees(molecular_tilt(np.array(3.0), 1.0, 2.0)) == pytest.approx(49.6, abs=0.05)


def test_the_index_goes_round_the_ellipsoid():
    assert extraordinary_index(np.array(0.0), 1.5, 1.7) == pytest.approx(1.7)
    assert extraordinary_index(np.array(np.pi / 2), 1.5, 1.7) == pytest.approx(1.5)
    # A point of the ellipse (x / n_e)**2 + (y / n_o)**2 = 1 seen under the tilt.
    tilt = np.linspace(0, np.pi / 2, 7)
    index = extraordinary_index(tilt, 1.5, 1.7)
    np.testing.assert_allclose((index * np.cos(tilt) / 1.7) ** 2 + (index * np.sin(tilt) / 1.5) ** 2, 1)
