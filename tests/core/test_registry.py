"""Registries: names, plugins, and what is wrong with either."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sized
from pathlib import Path

import pytest

from voltphase.codesign import RELAXATIONS, SCHEDULES
from voltphase.core import registry as registries
from voltphase.core.errors import DeviceError
from voltphase.core.registry import GROUPS, PluginWarning, Registry
from voltphase.data import DATASETS
from voltphase.deployment.targets import TARGETS
from voltphase.devices import MODELS
from voltphase.loggers import LOGGERS
from voltphase.optics.backends import BACKENDS
from voltphase.optics.elements import ELEMENTS
from voltphase.optics.methods import METHODS
from voltphase.panels import FORMATS
from voltphase.tasks import TASKS


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


@pytest.mark.parametrize("name", ["auto", "Circle", "a circle", "a.circle", "", "a_circle", 3])
def test_a_name_is_of_lower_case_letters_digits_and_hyphens(registry: Registry[Callable[..., int]], name):
    with pytest.raises(TypeError, match="expected a name for a shape"):
        registry.register(name)


def test_what_is_left_out_says_why(registry: Registry[Callable[..., int]]):
    with pytest.warns(PluginWarning, match="'square' is left out: it is round"):
        registry.leave_out("square", "it is round")
    assert list(registry) == []
    with pytest.raises(DeviceError, match="'square' cannot be used: it is round"):
        registry["square"]


def test_the_groups_are_those_of_the_registries():
    known = [BACKENDS, DATASETS, ELEMENTS, FORMATS, LOGGERS, MODELS, METHODS, RELAXATIONS, SCHEDULES, TARGETS, TASKS]
    assert sorted(GROUPS) == sorted(one.group for one in known)


@pytest.fixture
def install(tmp_path: Path, monkeypatch) -> Iterator[Callable[[str, str], None]]:
    def installed(points: str, code: str) -> None:
        info = tmp_path / "other-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        (tmp_path / "other_shapes.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "other_shapes", raising=False)
        registries._warn_of_unknown_groups.cache_clear()

    yield installed
    registries._warn_of_unknown_groups.cache_clear()


def test_a_group_that_is_none_is_warned_of_once(registry, install):
    install("[voltphase.relaxation]\nn = sys:path\n[voltphase.test-shapes]\n", "")
    with pytest.warns(PluginWarning, match=r"did you mean voltphase\.relaxations\?") as caught:
        assert [*registry, *Registry("a shape", "voltphase.test-shapes")] == ["square"]
    assert len(caught) == 1


def test_plugins_of_no_name_or_of_another_kind_are_left_out(install):
    names = {"auto": "Whole", "An Entry": "Whole", "none": "other", "half": "Half", "whole": "Whole", "exits": "Exit"}
    points = "\n".join(f"{name} = other_shapes:{entry}" for name, entry in names.items())
    install(
        f"[voltphase.test-shapes]\n{points}\n",
        "from collections.abc import Sized\nclass Half(Sized): pass\n"
        "class Whole(Sized):\n    def __len__(self): return 1\n"
        "def other(): pass\n"
        "def __getattr__(name): raise SystemExit(3)\n",
    )
    sizes: Registry[type] = Registry("a size", "voltphase.test-shapes", kind=Sized)
    with pytest.warns(PluginWarning):
        assert list(sizes) == ["whole"]
    for name, reason in {
        "auto": "its name is a word",
        "An Entry": "its name is not made of",
        "none": "no subclass of collections.abc.Sized",
        "half": "it lacks __len__",
        "exits": "SystemExit",
    }.items():
        assert reason in str(sizes.why_left_out(name))


def test_other_packages_add_entries_and_broken_ones_are_left_out_aloud(registry, install):
    points = [
        "circle = other_shapes:circle",
        "square = other_shapes:circle",
        "gone = other_shapes:gone",
        "n = sys:path",
    ]
    code = "def circle(radius: int = 1) -> int:\n    return 3 * radius**2\n"
    install("[voltphase.test-shapes]\n" + "\n".join(points) + "\n", code)
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


def test_an_error_of_ours_is_blamed_on_no_package(registry: Registry[Callable[..., int]]):
    with pytest.raises(TypeError) as caught:
        registry.register("square")(lambda: 1)
    assert registries.foreign_failure(caught.value) is None
    with pytest.raises(TypeError) as caught:
        registry["square"]("a")
    package = __name__.partition(".")[0]
    sentence = registries.foreign_failure(caught.value)
    assert sentence is not None
    assert sentence.startswith(f"a shape 'square' of {package} failed: TypeError: unsupported operand")
