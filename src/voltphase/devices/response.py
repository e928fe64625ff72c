"""A continuous response through a device's measured states: what a continuous control value would do, as far as known.

Only training of the baselines sees it. What is deployed and evaluated are the measured states themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.devices.calibration.intensities import unwrap
from voltphase.devices.states import DeviceStates

# With 86 states of a measured twisted-nematic modulator the error of prediction falls up to order 13, hardly after.
_HIGHEST_ORDER = 15
# A higher order must predict better by more than noise does: 5 %, or, where a fit is exact, more than rounding.
_WORTH_IT, _EXACT = 1.05, 1e-9


@dataclass(frozen=True, eq=False)
class FittedResponse:
    """Polynomials of amplitude and of phase against control value; see :func:`fit_response`.

    Attributes:
        order: Order of both polynomials.
        control_range: Lowest and highest control value, which the polynomials take as -1 and 1.
        amplitude: Coefficients of the Chebyshev polynomials T_0 to T_order.
        phase: Coefficients of the polynomial of the phase, in radians.
        amplitude_error: Root mean square error of the fitted amplitudes over the states.
        phase_error: Root mean square error of the fitted phases in radians, over states with light.
        error: Root mean square error of the fitted complex states.
        prediction_error: Root mean square error of complex states that the fit was not shown, each in turn; the two
            ends are always shown. None where nothing could be left out.
    """

    order: int
    control_range: tuple[float, float]
    amplitude: NDArray[np.float64]
    phase: NDArray[np.float64]
    amplitude_error: float
    phase_error: float
    error: float
    prediction_error: float | None

    def at(self, control: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return amplitude and phase, in radians, at control values within the range."""
        terms = _terms(control, self.control_range, self.order)
        return terms @ self.amplitude, terms @ self.phase


def fit_response(states: DeviceStates, order: int | None = None) -> FittedResponse:
    """Fit polynomials by least squares to amplitude and continuous phase against control value.

    Errors of the phase are weighed by the amplitude, so that both fits make the complex value right, and the phase of
    a dark state, which is noise, counts for nothing.

    The order is the lowest, up to 15, whose error of prediction is within 5 % of the least: leave-one-out
    cross-validation on the complex plane, in closed form. The states at the two ends are never left out: to predict
    them is to extrapolate, which no control value within the range asks for, and which favours low orders (of 8 states
    of the modelled ``tn-slm`` 2 instead of 5, five times farther from the other 248).

    By the same error the phase is taken as given or unwrapped along ascending control values
    (``calibration.intensities.unwrap``), as given if that makes no difference: a few states of a continuous
    table may lie more than half a turn apart, where unwrapping would be wrong.

    Args:
        states: Table of states to fit.
        order: Order of the polynomials, from 1 to one less than there are states, where they go through all of them.

    Raises:
        DeviceError: if the order is none of these.
    """
    checks.instance(states, DeviceStates, "the states of a device", error=DeviceError)
    if order is not None:
        what = f"an order to fit the {len(states)} states of {states.name}"
        order = checks.whole(order, what, least=1, most=len(states) - 1, error=DeviceError)
    fits = [(each, _best_fit(each)) for each in (states, unwrap(states))]
    better, fit = min(fits, key=lambda pair: _unpredicted(pair[1]))
    return fit if order is None else _fit(better, order)


def _best_fit(states: DeviceStates) -> FittedResponse:
    # The fit to all states but one has to be determined by them.
    fits = [_fit(states, order) for order in range(1, max(1, min(len(states) - 2, _HIGHEST_ORDER)) + 1)]
    errors = np.array([_unpredicted(fit) for fit in fits])
    enough = _WORTH_IT * errors.min() + _EXACT * states.amplitude.max()
    return fits[int(np.flatnonzero(errors <= enough)[0])]


def _unpredicted(fit: FittedResponse) -> float:
    return math.inf if fit.prediction_error is None else fit.prediction_error


def _fit(states: DeviceStates, order: int) -> FittedResponse:
    ends = float(states.control.min()), float(states.control.max())
    basis = _terms(states.control, ends, order)
    amplitude, amplitude_left_out = _least_squares(basis, states.amplitude, np.ones(len(states)))
    phase, phase_left_out = _least_squares(basis, states.phase, states.amplitude)
    lit, inner = states.amplitude > 0, (states.control > ends[0]) & (states.control < ends[1])
    off = (basis @ amplitude) * np.exp(1j * (basis @ phase)) - states.values()
    predicted = amplitude_left_out * np.exp(1j * phase_left_out) - states.values()
    known = inner.any() and bool(np.isfinite(predicted[inner]).all())
    return FittedResponse(
        order=order,
        control_range=ends,
        amplitude=amplitude,
        phase=phase,
        amplitude_error=_rms(basis @ amplitude - states.amplitude),
        phase_error=_rms((basis @ phase - states.phase)[lit]),
        error=_rms(off),
        prediction_error=_rms(predicted[inner]) if known else None,
    )


def _least_squares(
    basis: NDArray[np.float64], values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients, and at each row what the fit to all other rows gives there, NaN if they do not fix it."""
    weighed = basis * weights[:, None]
    inverse = np.linalg.pinv(weighed)
    coefficients = inverse @ (values * weights)
    # The fit without a row is off there by what the fit with it is, over 1 - leverage.
    free = 1 - (weighed * inverse.T).sum(1)
    free[free < _EXACT] = np.nan
    return coefficients, values - (values - basis @ coefficients) / free


def _terms(control: NDArray[np.float64], ends: tuple[float, float], order: int) -> NDArray[np.float64]:
    x = (2 * np.asarray(control) - ends[0] - ends[1]) / (ends[1] - ends[0])
    return np.asarray(chebyshev.chebvander(x, order), dtype=np.float64)


def _rms(errors: NDArray[np.float64] | NDArray[np.complex128]) -> float:
    return float(np.sqrt(np.mean(np.abs(errors) ** 2)))
