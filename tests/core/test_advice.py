"""Warnings name the user's own line, whatever calls the function that gives them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from voltphase.core import advice, dtypes
from voltphase.core.errors import VoltphaseWarning

#: A function of the package that warns, as a module of it would define it.
_INSIDE = {"__name__": "voltphase.inside", "advise": advice.advise, "category": VoltphaseWarning}
exec("def warn():\n    advise('borderline', category)", _INSIDE)
warn: Callable[[], None] = _INSIDE["warn"]


@pytest.mark.parametrize(
    "decorate", [lambda function: function, advice.once(), dtypes.with_standard_torch, dtypes.uncompiled]
)
def test_a_warning_names_the_line_of_whoever_called_a_decorated_function(decorate: Callable[..., Callable[[], None]]):
    decorated = decorate(warn)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decorated()
    assert [one.filename for one in caught] == [__file__]


def test_a_warning_is_given_once_within_a_block():
    with warnings.catch_warnings(record=True) as caught, advice.once():
        warnings.simplefilter("always")
        warn()
        warn()
    assert len(caught) == 1
