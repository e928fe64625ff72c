"""What is built and installed: two distributions of one package, their libraries, and the versions that are tested."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from voltphase.core import installed

ROOT = Path(__file__).parent.parent


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


WHOLE, LIGHT = read("pyproject.toml"), read("light/pyproject.toml")
EXTRAS = LIGHT["project"]["optional-dependencies"]


def test_the_whole_brings_what_the_light_one_and_its_extras_do() -> None:
    named = {*LIGHT["project"]["dependencies"], *EXTRAS["train"], *EXTRAS["report"], *EXTRAS["cli"]}
    assert set(WHOLE["project"]["dependencies"]) == {name for name in named if not name.startswith("voltphase")}
    further = {extra: lines for extra, lines in EXTRAS.items() if extra not in ("train", "report", "cli")}
    assert {key: lines for key, lines in WHOLE["project"]["optional-dependencies"].items() if key != "dev"} == further


@pytest.mark.parametrize("key", ["license", "authors", "requires-python", "scripts"])
def test_both_distributions_say_the_same_of(key: str) -> None:
    assert WHOLE["project"][key] == LIGHT["project"][key]


def test_both_take_their_version_from_the_same_place() -> None:
    assert WHOLE["build-system"] == LIGHT["build-system"]
    versions = [pyproject["tool"]["hatch"]["version"] for pyproject in (WHOLE, LIGHT)]
    assert versions[1] == {**versions[0], "raw-options": {"root": ".."}}
    assert [pyproject["project"]["name"] for pyproject in (WHOLE, LIGHT)] == list(installed.DISTRIBUTIONS)


def test_a_missing_library_is_looked_for_in_the_extra_that_brings_it() -> None:
    modules = {
        "pillow": "PIL",
        "pyyaml": "yaml",
        "scikit-learn": "sklearn",
        "ti-plm": "ti_plm",
        "mlflow-skinny": "mlflow",
    }
    brought = {
        modules.get(name, name): extra
        for extra, lines in reversed(EXTRAS.items())
        for line in lines
        if (name := Requirement(line).name) != "voltphase-light"
    }
    assert {**brought, "rich": "train"} == installed._EXTRAS


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert sorted(lines[2:], key=str.lower) == lines[2:]
    return {canonicalize_name(name): version for name, version in found.items()}


def test_every_pin_is_of_a_package_that_is_installed_with_this_one() -> None:
    todo = [Requirement(line) for line in WHOLE["project"]["dependencies"]]
    todo += [Requirement(line) for line in WHOLE["project"]["optional-dependencies"]["dev"]]
    needed: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    while todo:
        one = todo.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in done:
            continue
        done.add(key)
        needed.add(key[0])
        try:
            lines = requires(one.name) or []
        except PackageNotFoundError:  # on another system, or of another build of PyTorch
            continue
        further = [Requirement(line) for line in lines]
        todo += [
            other
            for other in further
            if other.marker is None or any(other.marker.evaluate({"extra": extra}) for extra in ("", *one.extras))
        ]
    assert set(pins()) - needed == set()


def test_the_pins_satisfy_the_bounds() -> None:
    extras = WHOLE["project"]["optional-dependencies"].values()
    lines = [*WHOLE["project"]["dependencies"], *(line for extra in extras for line in extra)]
    for requirement in map(Requirement, lines):
        if requirement.name == "voltphase":  # its own extras, for developers
            continue
        assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)]), requirement


def test_the_claimed_pythons_begin_with_the_oldest_that_is_required() -> None:
    claimed = [line.rsplit(" ", 1)[1] for line in WHOLE["project"]["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert WHOLE["project"]["requires-python"] == f">={claimed[0]}"
    assert WHOLE["tool"]["pyright"]["pythonVersion"] == claimed[0]
