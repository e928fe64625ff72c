"""Each recipe of CONTRIBUTING.md does what it shows."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from voltphase.core.registry import Registry

PAGE = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
HOW = PAGE.partition("## How things are added")[2].partition("\n## ")[0]
RECIPES = dict(section.split("\n", 1) for section in HOW.split("\n### ")[1:])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def unregistered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a recipe registers, and nothing of voltphase's own, which is registered before."""
    for room in ("config", "deployment", "training"):
        importlib.import_module(f"voltphase.{room}")
    register = Registry.register

    def remembered(registry: Registry, name: str) -> object:
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        return register(registry, name)

    monkeypatch.setattr(Registry, "register", remembered)


@pytest.mark.usefixtures("unregistered")
@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_works(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCK.findall(RECIPES[title])
    assert len(blocks) == 2, "a recipe is a file and its test"
    path = tmp_path / "recipe.py"
    path.write_text("\n".join([blocks[0], "# its test", *blocks[1].splitlines()]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("recipe", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "recipe", module)
    spec.loader.exec_module(module)
