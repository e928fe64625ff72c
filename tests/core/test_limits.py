from __future__ import annotations

import pytest

from voltphase.core import limits
from voltphase.core.errors import GeometryError


def test_what_fits_passes_and_what_does_not_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 8_000_000_000)
    limits.require_memory(7.9e9, "a plane", GeometryError, "take fewer samples")
    with pytest.raises(GeometryError, match=r"a plane needs about 17 GB, but this machine has 8 GB free: take fewer"):
        limits.require_memory(17e9, "a plane", GeometryError, "take fewer samples")


def test_the_memory_of_this_machine_is_known():
    assert 1 << 20 < limits.available_memory() < 1 << 50
