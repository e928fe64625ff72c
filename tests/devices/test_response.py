from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltphase.core.errors import DeviceError
from voltphase.devices import DeviceStates, fit_response
from voltphase.devices.models import model

# Double precision, times the growth of a basis of order 8 on uneven control values.
ROUNDING = 1e-8


def polynomial(k: int, amplitude: list[float], phase: list[float], noise: float = 0.0) -> DeviceStates:
    """States on polynomials (ascending powers of the control value over its range), at uneven control values."""
    random = np.random.default_rng(1)
    x = np.sort(np.concatenate([[-1, 1], random.uniform(-1, 1, k - 2)]))
    a, p = (np.polynomial.polynomial.polyval(x, np.array(each)) for each in (amplitude, phase))
    a, p = a + noise * random.standard_normal(k), p + noise * random.standard_normal(k)
    return DeviceStates(120 + 7.5 * x, a, np.mod(p, 2 * np.pi), "polynomial")


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_a_polynomial_is_found_again_with_its_order(order: int) -> None:
    amplitude, phase = [0.6, *[0.0] * (order - 1), 0.3], [1.0, *[2.0 / order] * order]
    states = polynomial(30, amplitude, phase)
    response = fit_response(states)
    assert response.order == order
    assert response.control_range == (112.5, 127.5)
    assert max(response.amplitude_error, response.phase_error, response.error) < ROUNDING
    # Also between the states, where nothing was measured.
    x = np.linspace(-1, 1, 101)
    a, p = response.at(120 + 7.5 * x)
    expected = np.polynomial.polynomial.polyval(x, np.array(amplitude)) * np.exp(
        1j * np.polynomial.polynomial.polyval(x, np.array(phase))
    )
    np.testing.assert_allclose(a * np.exp(1j * p), expected, rtol=0, atol=ROUNDING)


def test_noise_buys_no_order() -> None:
    # Amplitude of order 2, phase of order 4: the phase decides.
    response = fit_response(polynomial(40, [0.6, 0.1, 0.2], [0.0, 2.0, 0.5, 0.0, 0.7], noise=1e-4))
    assert response.order == 4
    # The noise of 40 readings, less what 5 coefficients of each take away; a third for the luck of the draw.
    assert response.amplitude_error == pytest.approx(1e-4 * np.sqrt(35 / 40), rel=0.33)
    assert response.phase_error == pytest.approx(1e-4 * np.sqrt(35 / 40), rel=0.33)


def test_the_error_of_prediction_is_that_of_fits_without_each_inner_state() -> None:
    states = model("tn-slm").pick(9)
    response = fit_response(states, 4)
    off = []
    for left_out in range(1, 8):
        kept = np.arange(9) != left_out
        fewer = DeviceStates(states.control[kept], states.amplitude[kept], states.phase[kept], "fewer")
        a, p = fit_response(fewer, 4).at(states.control[left_out : left_out + 1])
        off.append(abs(a[0] * np.exp(1j * p[0]) - states.values()[left_out]))
    assert response.prediction_error == pytest.approx(np.sqrt(np.mean(np.square(off))), rel=1e-9)


def test_the_chosen_order_predicts_states_that_were_not_picked() -> None:
    measured = model("tn-slm")
    chosen = fit_response(measured.pick(8))

    def off(order: int) -> float:
        a, p = fit_response(measured.pick(8), order).at(measured.control)
        return float(np.sqrt(np.mean(np.abs(a * np.exp(1j * p) - measured.values()) ** 2)))

    assert off(chosen.order) < 1.2 * min(off(order) for order in range(1, 8))


@given(k=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_the_highest_order_goes_through_every_state_and_order_one_through_two(k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    states = DeviceStates(np.arange(float(k)), random.uniform(0.1, 1, k), random.uniform(-9, 9, k), "random")
    response = fit_response(states)
    assert 1 <= response.order <= max(1, min(k - 2, 15))
    assert np.isfinite([response.amplitude_error, response.phase_error, response.error]).all()
    few = DeviceStates(states.control[:6], states.amplitude[:6], states.phase[:6], "few")
    assert fit_response(few, len(few) - 1).error < ROUNDING


def test_the_phase_of_dark_states_counts_for_nothing() -> None:
    x = np.linspace(0, 1, 9)
    amplitude = np.array([0, 0.2, 0.4, 0.6, 0.8, 0.6, 0.4, 0.2, 0])
    phase = 3 * x
    one = fit_response(DeviceStates(x, amplitude, phase, "dark ends"), 2)
    other = fit_response(DeviceStates(x, amplitude, np.concatenate([[2.0], phase[1:-1], [-1.0]]), "dark ends"), 2)
    np.testing.assert_allclose(one.phase, other.phase, atol=ROUNDING)
    assert one.phase_error < ROUNDING


def test_a_phase_that_is_continuous_stays_so_where_few_of_its_states_are_left() -> None:
    # Six radians from one state to the next, which unwrapping along these two alone would take for a sixth of one.
    stroke = fit_response(model("lcos").pick(2))
    _, phase = stroke.at(np.array([0.0, 127.5, 255.0]))
    np.testing.assert_allclose(phase, [0, model("lcos").phase[-1] / 2, model("lcos").phase[-1]], atol=1e-9)


@pytest.mark.parametrize("order", [None, 5])
def test_a_phase_that_wraps_is_unwrapped(order: int | None) -> None:
    measured = model("tn-slm").pick(20)
    turned = DeviceStates(measured.control, measured.amplitude, np.mod(measured.phase, 2 * np.pi), "wrapped")
    one, other = fit_response(measured, order), fit_response(turned, order)
    assert (one.order, one.error) == (other.order, pytest.approx(other.error))
    np.testing.assert_allclose(one.phase[1:], other.phase[1:], atol=ROUNDING)


@pytest.mark.parametrize("order", [0, 8, 2.5, "high"])
def test_an_order_out_of_reach_is_refused(order: object) -> None:
    with pytest.raises(DeviceError) as caught:
        fit_response(model("tn-slm").pick(8), order)  # pyright: ignore[reportArgumentType]
    assert str(caught.value).startswith("expected an order to fit the 8 states of tn-slm as a whole number from 1 to 7")
    assert str(caught.value).endswith(f", but got {order!r}")
