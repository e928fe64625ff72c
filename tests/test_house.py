"""The shape of the source: sizes of modules, functions and folders, no circles, and examples that run."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import pkgutil
from collections import Counter
from pathlib import Path

import grimp
import pytest

import voltphase

SOURCE = Path(voltphase.__file__).parent
MOST_LINES_OF_A_MODULE = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_FILES_OF_A_FOLDER = 13

# What is not there yet: these lists only get shorter.
LONGER_MODULES: set[str] = set()
LONGER_FUNCTIONS: set[str] = set()
FULLER_FOLDERS: set[str] = set()

MODULES = {path: path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))}


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_modules_are_short() -> None:
    long = {name_of(path) for path, text in MODULES.items() if text.count("\n") > MOST_LINES_OF_A_MODULE}
    assert long - LONGER_MODULES == set()


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}:{node.name}"
        for path, text in MODULES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and code_lines(node) > MOST_LINES_OF_A_FUNCTION
    }
    assert long - LONGER_FUNCTIONS == set()


def test_folders_have_few_files() -> None:
    files = Counter(name_of(path.parent) for path in MODULES)
    assert {name for name, count in files.items() if count > MOST_FILES_OF_A_FOLDER} - FULLER_FOLDERS == set()


def test_no_modules_import_each_other_in_circles() -> None:
    graph = grimp.build_graph("voltphase", exclude_type_checking_imports=True)
    left = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while ready := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in ready:
            del left[module]
    assert not left, f"these import each other: {sorted(left)}"


WITH_EXAMPLES = [name for name in MODULES if ">>> " in MODULES[name]]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=name_of)
def test_examples_in_docstrings_give_what_they_show(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_public_names_have_examples() -> None:
    public = {name: getattr(voltphase, name) for name in voltphase.__all__}
    without = {name for name, thing in public.items() if callable(thing) and ">>> " not in (thing.__doc__ or "")}
    assert without == set()


def test_every_module_can_be_imported() -> None:
    for module in pkgutil.walk_packages(voltphase.__path__, "voltphase."):
        needs_triton = module.name.startswith(("voltphase.optics.backends.cuda.", "voltphase.codesign.kernels."))
        if not module.name.endswith("__main__") and not (needs_triton and importlib.util.find_spec("triton") is None):
            importlib.import_module(module.name)
