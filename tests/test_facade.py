"""`import voltphase`: all public names, loaded when they are first used, and no library before it is needed."""

from __future__ import annotations

import ast
import json
import os
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import voltphase as vp
from voltphase.core.errors import MissingLibraryError

HEAVY = {"lightning", "matplotlib", "optuna", "pooch", "pydantic", "rich", "safetensors", "sklearn", "typer", "yaml"}
# What the libraries of the light distribution are enough for.
LIGHT = {"codesign", "devices", "optics", "tasks", "network"}
LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"


def loaded(program: str) -> set[str]:
    program = f"import sys; before = set(sys.modules); {program}\n{LOADED}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return set(json.loads(result.stdout))


def test_import_loads_nothing() -> None:
    assert loaded("import voltphase; voltphase.__version__; dir(voltphase)") & (HEAVY | {"torch", "numpy"}) == set()


#: A network and what a notebook shows of it.
SHOWN = """
model = vp.DONN(grid=vp.Grid(20, 36e-6), wavelength=532e-9, distances=0.02, devices=[vp.devices.tn_slm()])
assert '<img' in model._repr_html_() and '<svg' in vp.Grid(20, 36e-6)._repr_html_()
"""


def test_physics_and_codesign_load_no_heavy_library_nor_does_a_notebook_that_shows_them() -> None:
    light = [name for name, home in vp._HOMES.items() if home.partition(".")[0] in LIGHT]
    assert {"DONN", "Propagator", "Proximity"} <= {*light}
    used = f"import voltphase as vp; [getattr(vp, name) for name in {[*light, *LIGHT]}]\n{SHOWN}"
    assert loaded(used) & {*HEAVY, "PIL"} == set()


def test_every_public_name_is_there() -> None:
    assert set(vp.__all__) <= set(dir(vp))
    assert not {"import_module", "TYPE_CHECKING", "Any"} & set(dir(vp))
    for name in vp.__all__:
        assert getattr(vp, name) is not None
    packages = {module.name for module in pkgutil.iter_modules(vp.__path__)}
    assert packages - {"__main__", "workflow"} == set(vp.__all__) - set(vp._HOMES) - {"__version__"}
    with pytest.raises(AttributeError, match="'voltphase' has no attribute 'nothing'"):
        vp.nothing  # noqa: B018


def test_type_checkers_see_the_names_that_python_loads() -> None:
    tree = ast.parse(Path(vp.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: (node.module or "").removeprefix("voltphase").removeprefix(".")
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name: home for name, home in seen.items() if home} == vp._HOMES
    assert {*seen, "__version__"} == set(vp.__all__)


def test_the_version_is_that_of_the_installed_package() -> None:
    assert vp.__version__ == version("voltphase")


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "voltphase", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"voltphase {vp.__version__}\n"


MISSING = {
    "training of the package": ("lightning", "train", "import voltphase as vp; vp.train('digits', out='run')"),
    "configuration of the package": ("pydantic", "train", "import voltphase as vp; vp.config"),
    "training": ("lightning", "train", "from voltphase.training import train"),
    "configuration": ("yaml", "train", "from voltphase.config import load_config"),
    "emulator": ("PIL", "train", "from voltphase.deployment import verify"),
    "report": ("matplotlib", "report", "from voltphase.reporting import write_report"),
    "report of the package": ("matplotlib", "report", "import voltphase as vp; vp.reporting"),
    "command line": ("typer", "cli", "import runpy; runpy.run_module('voltphase', run_name='__main__')"),
    "numpy": ("numpy", "", "import voltphase; voltphase.optics"),
}
# Each in a process that has loaded PyTorch and nothing of ours: to load it takes longest.
EACH = """
import json, os, sys, traceback
import torch

for library, extra, program in json.loads(sys.argv[1]):
    read, write = os.pipe()
    if os.fork() == 0:
        os.dup2(write, 2)
        code = 0
        sys.modules[library] = None
        try:
            exec(program, {"__name__": "program"})
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = 1
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    os.close(write)
    with open(read, encoding="utf-8") as said:
        error = said.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.wait()[1]), error]))
"""


@pytest.fixture(scope="module")
def ended() -> dict[str, tuple[int, str]]:
    """The exit code and the standard error of each program that lacks a library."""
    if not hasattr(os, "fork"):
        pytest.skip("needs processes that go on from a copy of another")
    words = [sys.executable, "-W", "ignore", "-c", EACH, json.dumps([*MISSING.values()])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(zip(MISSING, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", [name for name in MISSING if name != "numpy"])
def test_a_library_that_is_missing_is_named_with_what_to_install(ended: dict[str, tuple[int, str]], name: str) -> None:
    (library, extra, _), (code, error) = MISSING[name], ended[name]
    last = error.splitlines()[-1]
    assert f"expected the library {library}, but it is not installed" in last
    assert f"'voltphase-light[{extra}]'" in last
    if library == "typer":
        assert (code, last.startswith("error: "), len(error.splitlines())) == (2, True, 1)
    else:
        assert (code, MissingLibraryError.__name__ in last) == (1, True)


def test_a_missing_library_of_another_kind_is_left_alone(ended: dict[str, tuple[int, str]]) -> None:
    assert ended["numpy"][1].splitlines()[-1].startswith("ModuleNotFoundError: ")
