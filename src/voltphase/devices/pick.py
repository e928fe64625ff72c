"""Choosing a few of a device's states."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeviceError

Pick = Literal["even", "control", "spread"]

RULES: tuple[Pick, ...] = get_args(Pick)

# Distances closer than this are equal: the last digits of sines differ between machines, the choice should not.
_TIE = 1e-9
# More states than this lie so close that an exchange changes nothing that light could tell, and takes long.
_MOST_EXCHANGED = 64


def pick_levels(
    control: NDArray[np.float64], values: NDArray[np.complex128], k: int, by: str, name: str
) -> NDArray[np.int64]:
    """Return the levels of ``k`` of the states, in ascending order of their control values.

    ``values`` are ``K`` complex states or, for several tables of one panel, ``K x T``: the distance of two levels is
    then taken over all tables together. The rules are those of `voltphase.devices.DeviceStates.pick`.
    """
    count = len(control)
    wanted = checks.whole(k, f"the states to pick from {name}", least=2, most=count, error=DeviceError)
    checks.word(by, "a rule to pick states by", RULES, error=DeviceError)
    order = np.argsort(control, kind="stable")
    if wanted == count:
        chosen = np.arange(count)
    elif by == "even":
        chosen = _even(count, wanted)
    elif by == "control":
        chosen = _over_range(control[order], wanted)
    else:
        chosen = _spread(values.reshape(count, -1)[order], wanted)
    return order[chosen].astype(np.int64)


def _even(count: int, k: int) -> NDArray[np.int64]:
    # Whole-number arithmetic: rounding halves up is the same everywhere, and never takes one position twice.
    return (2 * np.arange(k) * (count - 1) + (k - 1)) // (2 * (k - 1))


def _over_range(control: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return ascending positions whose control values lie closest, in the sum of squares, to ``k`` evenly spaced ones.

    Taking the nearest state to each in turn can use a state up that the next one needs: it is an assignment.
    """
    # Takes half as long to import as torch, and few devices are picked so.
    from scipy.optimize import linear_sum_assignment

    # In units of the range, so that squares do not vanish.
    position = (control - control[0]) / (control[-1] - control[0])
    inner = np.linspace(0.0, 1.0, k)[1:-1]
    # The ends are targets themselves.
    _, chosen = linear_sum_assignment((inner[:, None] - position[None, 1:-1]) ** 2)
    return np.concatenate([[0], np.sort(chosen) + 1, [len(control) - 1]])


def _spread(values: NDArray[np.complex128], k: int) -> NDArray[np.int64]:
    """Return ``k`` positions whose smallest mutual distance is as large as exchanging single states makes it."""
    if k > _MOST_EXCHANGED:
        return np.sort(_farthest_points(values, k))
    chosen = [_exchanged(values, start) for start in (_farthest_points(values, k), _even(len(values), k))]
    closest = np.array([_clearance(values[picked]) for picked in chosen])
    return np.sort(chosen[_first_largest(closest)])


def _exchanged(values: NDArray[np.complex128], start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move each state in turn to where it is farthest from all others, until none can do better.

    It ends: a move replaces the smallest distance of one state by a larger one and leaves all pairs of others alone.
    """
    chosen = start.copy()
    moved = True
    while moved:
        moved = False
        for i in range(len(chosen)):
            nearest = np.full(len(values), np.inf)
            for other in values[np.delete(chosen, i)]:
                np.minimum(nearest, _distances(values, other), out=nearest)
            best = _first_largest(nearest)
            if nearest[best] > nearest[chosen[i]] * (1 + _TIE):
                chosen[i], moved = best, True
    return chosen


def _clearance(values: NDArray[np.complex128]) -> float:
    return min(float(_distances(values[i + 1 :], values[i]).min()) for i in range(len(values) - 1))


def _farthest_points(values: NDArray[np.complex128], k: int) -> NDArray[np.int64]:
    """Farthest-point choice from the farthest pair on; ties go to the lowest control value."""
    farthest, pair = 0.0, (0, 1)
    for i in range(len(values) - 1):
        distances = _distances(values[i + 1 :], values[i])
        j = _first_largest(distances)
        if distances[j] > farthest * (1 + _TIE):
            farthest, pair = float(distances[j]), (i, i + 1 + j)
    chosen = [*pair]
    nearest = np.minimum(_distances(values, values[pair[0]]), _distances(values, values[pair[1]]))
    while len(chosen) < k:
        nearest[chosen] = -1.0  # a duplicate of a chosen state may be taken, the chosen one itself not twice
        following = _first_largest(nearest)
        chosen.append(following)
        nearest = np.minimum(nearest, _distances(values, values[following]))
    return np.array(chosen, dtype=np.int64)


def _distances(values: NDArray[np.complex128], one: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.linalg.norm(values - one, axis=-1)


def _first_largest(distances: NDArray[np.float64]) -> int:
    return int(np.flatnonzero(distances >= distances.max() * (1 - _TIE))[0])
