from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from voltphase.config import load_config
from voltphase.core.errors import OutputError
from voltphase.training import train

ROOT = Path(__file__).parent.parent


@pytest.fixture
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_show_the_results_that_are_kept(results: ModuleType) -> None:
    assert len(results.PAGES) > 3
    for page in results.PAGES:
        assert page.read_text(encoding="utf-8") == results.rendered(page), "run python scripts/results.py render"
    assert results.accuracy_table().count("\n") > 2
    assert "| voltphase |" in results.speed_table()
    assert "3 seeds" in results.efficiency_table()
    assert results.hologram_table().count("\n") == 2 + 4 * 2
    assert results.wavelengths_table().count("| 4 |") == 1


def test_the_tables_of_what_fits_are_of_the_estimate_that_trainings_are_refused_by(results: ModuleType) -> None:
    kept = json.loads((ROOT / "benchmarks" / "results" / "scale-cpu.json").read_text(encoding="utf-8"))
    for row in (row for name in ("checkpointing", "fitting") for row in kept[name] if row["size"] <= 400):
        estimate = results.scale_page.estimated_bytes(row)
        assert 0.7 < estimate / row["peak_bytes"] < 1.6
    one, more = (results.scale_page.TARGET.exchange_seconds(gpus) for gpus in (1, 8))
    assert one == 0 < more
    batches = [
        results.scale_page.System(500, 10).largest_batch(80e9, "cuda", checkpointed=some) for some in (False, True)
    ]
    assert 0 < batches[0] < batches[1]


def test_a_measured_device_is_told_from_the_modelled_one_of_its_name(results: ModuleType) -> None:
    assert "| measured tn-slm, 8 states |" in results.accuracy_table()


def test_a_readme_without_its_marks_is_left_alone(results: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("# Mine\n\n<!-- accuracy: begin -->\nMine.\n", encoding="utf-8")
    results.PAGES[page] = results.PAGES[results.README]
    with pytest.raises(OutputError, match=r"expected <!-- accuracy: begin --> once in .*README\.md and after it "):
        results.rendered(page)


def test_the_picture_at_the_top_of_the_readme_is_drawn_by_a_command(
    results: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[tuple[Path, Path]] = []
    readme = tmp_path / "README.md"
    readme.write_bytes((ROOT / "README.md").read_bytes())
    monkeypatch.setattr(results, "README", readme)
    monkeypatch.setattr(results, "save_overview", lambda *paths: drawn.append(paths))
    monkeypatch.setattr("sys.argv", ["results.py", "overview", "runs/mine"])
    results.main()
    assert drawn == [(Path("runs/mine"), ROOT / "docs" / "figures" / "overview.png")]
    assert "](docs/figures/overview.png)" in readme.read_text(encoding="utf-8")


def test_the_figures_of_a_run_are_kept_and_shown(
    results: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = ["optics.size=16", "optics.depth=1", "training.epochs=1", "data.train_limit=20", "data.test_limit=10"]
    summary = train(load_config("digits", sizes), tmp_path / "mine")
    monkeypatch.setattr(results, "RUNS", tmp_path / "runs")
    (tmp_path / "runs").mkdir()
    results.add(tmp_path / "mine", "voltphase train digits")
    [line] = results.accuracy_table(tmp_path / "runs").splitlines()[2:]
    assert line.startswith(
        f"| `voltphase train digits` | modelled tn-slm, 8 states | **{summary['test_accuracy']:.4f}**"
    )
