from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from voltphase.core.errors import OutputError
from voltphase.reproduction.ours import diagonal, interpretations, pitch, study
from voltphase.reproduction.page import render
from voltphase.reproduction.paper import figure2, figure3, figure4, table1, table2
from voltphase.reproduction.registry import EXPERIMENTS
from voltphase.reproduction.sizes import Size, get
from voltphase.sweeps.results import ResultFolder

Keep = Callable[..., dict[str, Any]]


@pytest.fixture
def size() -> Size:
    return get("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "results" / "cpu")


def lines_of(report: str, *words: str) -> list[list[str]]:
    """The cells of the lines of a table that begin with these words."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in report.splitlines() if "|" in line]
    return [row for row in rows if row[: len(words)] == list(words)]


@pytest.mark.parametrize(("name", "share"), [("figure4", 0.0), *((name, 0.7) for name in EXPERIMENTS)])
def test_every_experiment_is_rendered_with_whatever_is_there(
    name: str, share: float, size: Size, folder: ResultFolder, keep: Keep, tmp_path: Path
):
    runs = EXPERIMENTS[name].runs(size)
    kept = [run for place, run in enumerate(runs) if (7 * place) % 10 < 10 * share]
    for place, run in enumerate(kept):
        keep(folder, run, 0.9 + 0.0001 * (place % 50))
    page = tmp_path / "page.md"
    written = render(page, folder, size, [EXPERIMENTS[name]])
    picture = tmp_path / "figures" / f"reproduce-cpu-{name}.png"
    assert written == [page, picture]
    assert np.asarray(Image.open(picture).convert("L")).std() > 1
    text = page.read_text()
    assert f"{len(kept)} of {len(runs)} cells are there" in text
    assert f"one command away: `voltphase reproduce {name} --preset cpu`" in text
    assert "missing" in text
    assert ("measured tn-slm" in text) == (share > 0)


def test_a_complete_experiment_says_so(size: Size, folder: ResultFolder, keep: Keep, tmp_path: Path):
    for run in diagonal.runs(size):
        keep(folder, run, 0.95)
    render(tmp_path / "page.md", folder, size, [EXPERIMENTS["diagonal"]])
    text = (tmp_path / "page.md").read_text()
    assert "All 6 cells, by `voltphase reproduce diagonal --preset cpu`." in text
    assert "missing" not in text


def test_the_papers_number_stands_beside_ours_with_the_difference(size: Size, folder: ResultFolder, keep: Keep):
    runs = table1.runs(size)
    keep(folder, runs[0], 0.9491)
    [row] = lines_of(table1.report(folder.outcomes(runs)), "mnist", "1", "λ = 90")
    assert row[3:] == ["0.9691 / 0.9591", "0.9591 / 0.9491", "-1.00", "0.9491"]
    [row] = lines_of(table1.report(folder.outcomes(runs)), "mnist", "1", "λ = 5")
    assert row[3:] == ["0.0491 / 0.0466", "missing / missing", "–", "missing"]


def test_a_result_of_other_settings_under_the_same_name_is_none(size: Size, folder: ResultFolder, keep: Keep):
    runs = table1.runs(size)
    keep(folder, runs[0], 0.9491)
    other = [replace(runs[0], settings={**runs[0].settings, "training.epochs": 77}), *runs[1:]]
    [row] = lines_of(table1.report(folder.outcomes(other)), "mnist", "1", "λ = 90")
    assert row[4] == "missing / missing"


def test_what_cannot_be_deployed_is_not_called_missing(size: Size, folder: ResultFolder, keep: Keep):
    runs = table1.runs(size)
    free = next(run for run in runs if run.labels["variant"] == "phase-only")
    keep(folder, free, 0.66, deployed={"accuracy": None})
    [row] = lines_of(table1.report(folder.outcomes(runs)), "mnist", "1", "phase-only")
    assert row[3:] == ["– / 0.67", "0.6700 / 0.6600", "-1.00", "no device"]


def test_confidence_beside_the_papers(size: Size, folder: ResultFolder, keep: Keep):
    runs = table2.runs(size)
    keep(folder, runs[2], 0.98)
    rows = lines_of(table2.report(folder.outcomes(runs)), "mnist", "5")
    assert [row[2:] for row in rows] == [
        ["0%", "0.986", "0.9800", "-0.60", "equal (1)"],
        ["1%", "0.986", "0.8800", "-10.60", "equal (1)"],
        ["3%", "0.986", "0.7800", "-20.60", "equal (1)"],
        ["5%", "0.986", "0.6800", "-30.60", "equal (1)"],
    ]


def test_mean_and_spread_over_seeds_and_the_lead_over_the_better_rival(size: Size, folder: ResultFolder, keep: Keep):
    runs = figure3.runs(size)
    accuracies = {"codesign": [0.95], "qat": [0.80], "ptq": [0.70, 0.74, 0.78], "default": [0.96]}
    for run in runs[:6]:
        keep(folder, run, accuracies[str(run.labels["method"])][int(run.labels["seed"])])
    [row] = lines_of(figure3.report(folder.outcomes(runs)), "mnist", "3", "8")
    codesign, qat, ptq, default, *rest = row[3:]
    assert (codesign, qat, ptq, default) == ("0.9500", "0.8000", "0.7400 ± 0.0400 (3)", "0.9600")
    assert rest == ["+15.00", "+16.00", "about +20", "equal (6)"]
    folder.file(runs[4]).unlink()
    keep(folder, runs[1], 0.80, deployed={"accuracy": 0.7988})
    [row] = lines_of(figure3.report(folder.outcomes(runs)), "mnist", "3", "8")
    assert (row[5], row[-1]) == ("0.7200 ± 0.0283 (2 of 3)", "up to 0.12 points apart (5)")


def test_the_papers_claims_stand_beside_the_numbers_for_or_against_them(size: Size, folder: ResultFolder, keep: Keep):
    runs = figure2.runs(size)
    accuracies = {"linear": 0.97, "cosine": 0.96, "static 50": 0.2, "static 1": 0.9}
    for run in runs[:6]:
        if run.labels["schedule"] in accuracies:
            keep(folder, run, accuracies[str(run.labels["schedule"])])
    assert (
        "The paper: annealing beats a static temperature. Here: mnist, the worst annealed 0.96; the best static 0.9; "
        "fashion-mnist, the worst annealed missing; the best static missing.\n"
    ) in figure2.conclusion(folder.outcomes(runs))


def test_time_and_memory(size: Size, folder: ResultFolder, keep: Keep):
    runs = figure4.runs(size)
    speeds = [{"epoch": 1, "images_per_second": 1.0}] + 2 * [{"epoch": 2, "images_per_second": 3000.0}]
    keep(folder, runs[0], 0.9, epochs=speeds)
    report = figure4.report(folder.outcomes(runs))
    assert lines_of(report, "2") == [["2", "20.0", "400", "missing", "missing"]]
    assert "extrapolated from 2000" in report


def test_the_study_holds_the_default_against_the_ceiling(size: Size, folder: ResultFolder, keep: Keep):
    runs = study.runs(size)
    for run in runs:
        if run.fits(["recipes", "mnist", "default", "levels=8"]):
            keep(folder, run, 0.97)
        if run.fits(["binary", "mnist"]):
            keep(folder, run, 0.96)
        if run.fits(["ceiling", "mnist"]):
            # The best of the learning rates, which all seeds were run at, is the ceiling.
            better = run.labels["rate"] == size.free_rates[0]
            keep(folder, run, 0.98 if better else 0.9, deployed={"accuracy": None})
    report = study.report(folder.outcomes(runs))
    [row] = lines_of(report, "mnist", "0.9800 ± 0.0000 (3)")
    eight, binary = "0.9700 ± 0.0000 (3)", "0.9600 ± 0.0000 (3)"
    assert row[2:] == [eight, eight, "-1.00", binary, binary, "-2.00", "missing", "missing", "missing"]


def test_how_far_a_reading_is_from_the_paper(size: Size, folder: ResultFolder, keep: Keep):
    runs = interpretations.runs(size)
    for run in runs[:2]:
        keep(folder, run, 0.5)
    [row] = lines_of(interpretations.report(folder.outcomes(runs)), "sum, λ scales the gain")
    assert row[1:4] == ["0.5000", "0.5000", "missing"]
    assert float(row[-1]) == pytest.approx(100 * (0.9591 - 0.5 + 0.5 - 0.0466) / 2, abs=0.05)


def test_one_layer_by_its_pitch_with_how_far_light_goes_and_the_ceiling(size: Size, folder: ResultFolder, keep: Keep):
    runs = pitch.runs(size)
    for run, accuracy in zip(runs[:7], (0.5, 0.6, 0.7, 0.9691, 0.52, 0.97, 0.55), strict=True):
        keep(folder, run, accuracy)
    report = pitch.report(folder.outcomes(runs))
    # 532 nm times 96 mm over twice the square of the pitch.
    [coarse] = lines_of(report, "mnist", "36", "20 of 64")
    assert coarse[3:] == ["0.9591", "0.5000", "-45.91", "0.5200", "-43.91", "equal (3)", "0.5500"]
    [fine] = lines_of(report, "mnist", "14", "130 of 64")
    assert fine[3:] == ["0.9591", "0.9691", "+1.00", "0.9700", "+1.09", "equal (2)", "–"]


def test_what_is_written_around_a_block_stays(size: Size, folder: ResultFolder, keep: Keep, tmp_path: Path):
    page, experiment = tmp_path / "docs" / "page.md", EXPERIMENTS["diagonal"]
    render(page, folder, size, [experiment])
    mine = (
        page.read_text().replace("<!-- cpu diagonal: begin", "Why they differ.\n\n<!-- cpu diagonal: begin")
        + "\nEnd.\n"
    )
    page.write_text(mine)
    keep(folder, diagonal.runs(size)[0], 0.96)
    render(page, folder, size, [experiment])
    text = page.read_text()
    assert text.startswith("# The paper, result by result\n")
    assert "Why they differ.\n\n<!-- cpu diagonal: begin -->\n| data" in text
    assert text.endswith("<!-- cpu diagonal: end -->\n\nEnd.\n")
    assert text.count("cpu diagonal: begin") == 1
    assert "0.9600" in text


BEGIN, END = "<!-- cpu diagonal: begin -->", "<!-- cpu diagonal: end -->"


@pytest.mark.parametrize("marks", [[BEGIN], [END], [END, BEGIN], [BEGIN, BEGIN, END]])
def test_a_page_without_its_pair_of_marks_is_left_alone(
    marks: list[str], size: Size, folder: ResultFolder, tmp_path: Path
):
    page, text = tmp_path / "page.md", "\n\nMine.\n\n".join(["# Page", *marks, "End."])
    page.write_text(text)
    with pytest.raises(OutputError) as caught:
        render(page, folder, size, [EXPERIMENTS["diagonal"]])
    assert str(caught.value) == (
        f"expected {BEGIN} once in {page} and after it {END} once, but got {marks.count(BEGIN)} and {marks.count(END)} "
        "of them: put them around what may be replaced"
    )
    assert page.read_text() == text


def test_a_page_may_end_with_its_mark(size: Size, folder: ResultFolder, tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}")
    render(page, folder, size, [EXPERIMENTS["diagonal"]])
    text = page.read_text()
    assert (text.count(BEGIN), text.endswith(END)) == (1, True)


def test_a_page_that_is_no_text(size: Size, folder: ResultFolder, tmp_path: Path):
    (tmp_path / "page.md").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(OutputError, match=r"page\.md: it is not UTF-8 text"):
        render(tmp_path / "page.md", folder, size, [EXPERIMENTS["diagonal"]])


def test_rendering_twice_changes_nothing(size: Size, folder: ResultFolder, keep: Keep, tmp_path: Path):
    keep(folder, diagonal.runs(size)[0], 0.96)
    before = [file.read_bytes() for file in render(tmp_path / "p.md", folder, size, [EXPERIMENTS["diagonal"]])]
    after = [file.read_bytes() for file in render(tmp_path / "p.md", folder, size, [EXPERIMENTS["diagonal"]])]
    assert after == before


def test_a_damaged_result_is_missing(size: Size, folder: ResultFolder, keep: Keep):
    run = table1.runs(size)[0]
    keep(folder, run, 0.9)
    folder.file(run).write_text("{")
    assert folder.read(run) is None


def test_a_page_that_cannot_be_written(size: Size, folder: ResultFolder, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*page.md: .*; choose a place that can be written"):
        render(tmp_path / "file" / "page.md", folder, size, [EXPERIMENTS["diagonal"]])
