from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_readme_shows_the_results_that_are_kept() -> None:
    spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == results.rendered(readme), "run python scripts/results.py render"
    assert results.accuracy_table().count("\n") > 2
    assert "| voltphase |" in results.speed_table()
