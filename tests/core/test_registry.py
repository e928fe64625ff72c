"""Registries: names, plugins, and what is wrong with either."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voltphase.core.errors import DeviceError
from voltphase.core.registry import PluginWarning, Registry


@pytest.fixture
def registry() -> Registry[Callable[..., int]]:
    made: Registry[Callable[..., int]] = Registry("a shape", "voltphase.test-shapes", DeviceError)

    @made.register("square")
    def square(side: int = 2) -> int:
        return side**2

    return made


def test_entries_are_found_by_name_and_names_by_entry(registry: Registry[Callable[..., int]]):
    assert registry["square"](3) == 9
    assert list(registry) == ["square"]
    assert "square" in registry
    assert "circle" not in registry
    assert registry.name_of(registry["square"]) == "square"
    assert registry.name_of(len) is None


@pytest.mark.parametrize(("name", "says"), [("squre", "did you mean square?"), (3, "but got 3"), (["a"], "'a'")])
def test_an_unknown_name_is_an_error_of_the_registry_s_class(registry, name, says):
    with pytest.raises(DeviceError, match="expected a shape out of square") as caught:
        registry[name]
    assert says in str(caught.value)


def test_a_name_is_given_once(registry: Registry[Callable[..., int]]):
    with pytest.raises(TypeError, match="expected a new name for a shape"):
        registry.register("square")(lambda: 1)


def test_other_packages_add_entries_and_broken_ones_are_left_out_aloud(registry, tmp_path: Path, monkeypatch):
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    points = [
        "circle = other_shapes:circle",
        "square = other_shapes:circle",
        "gone = other_shapes:gone",
        "n = sys:path",
    ]
    (info / "entry_points.txt").write_text("[voltphase.test-shapes]\n" + "\n".join(points) + "\n")
    (tmp_path / "other_shapes.py").write_text("def circle(radius: int = 1) -> int:\n    return 3 * radius**2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "other_shapes", raising=False)
    with pytest.warns(PluginWarning) as caught:
        assert list(registry) == ["square", "circle"]
    assert registry["circle"](2) == 12
    assert registry["square"](3) == 9
    said = sorted(str(one.message) for one in caught)
    assert [("the name is taken" in s, "AttributeError" in s, "it is [" in s) for s in said] == [
        (False, True, False),
        (False, False, True),
        (True, False, False),
    ]
