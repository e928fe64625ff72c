"""``voltphase panel``: what there is, and what is known of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from voltphase.cli import app
from voltphase.panels import profiles


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["panel", *arguments])


def test_panels_are_listed() -> None:
    header, *lines = call("list").stdout.splitlines()
    assert header.split() == ["name", "rows", "x", "columns", "pitch", "bits", "file"]
    assert [line.split()[0] for line in lines] == list(profiles())
    (line,) = [line for line in lines if line.startswith("hamamatsu-x15213")]
    assert " ".join(line.split()[1:]) == "1024 x 1272 12.5 µm 8 8-bit grey BMP, within 1024 x 1280"


@pytest.mark.parametrize("name", profiles())
def test_all_that_is_known_is_shown(name: str) -> None:
    panel, result = profiles()[name], call("show", name)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    known, unconfirmed = text.split("not confirmed, to check at the bench:")
    assert known.startswith(f"{name}: {panel.make} {panel.model} pixels {panel.rows} rows x {panel.columns} columns")
    assert all(" ".join(words.split()) in known for words in (panel.orientation, panel.bench, panel.file_words))
    assert unconfirmed == "".join(f" - {line}" for line in panel.unconfirmed)


def test_a_file_of_ones_own_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text("like: hamamatsu-x15213\nname: ours\ncorrection: {full_scale: [[1064e-9, 217]]}\n")
    text = " ".join(call("show", str(file)).stdout.split())
    assert text.startswith("ours: Hamamatsu X15213 pixels 1024 rows")
    assert "added to the grey levels modulo 256, and then scaled so that 2 pi is 217 at 1.06 µm" in text


def test_an_unknown_panel_is_a_sentence() -> None:
    result = call("show", "holoeye-pluto")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "error: holoeye-pluto is neither a panel nor a YAML file (did you mean holoeye-pluto-2?)"
    )


def test_brackets_of_a_setting_are_in_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "offset: Panel pixels [rows, columns] by which" in CliRunner().invoke(app, ["deploy", "--help"]).stdout


def test_what_is_trained_for_a_panel_is_deployed_to_it_by_the_commands_that_are_told(tmp_path: Path) -> None:
    few = ["training.epochs=1", "data.train_limit=50", "data.test_limit=20", "optics.size=24", "optics.depth=1"]
    settings = ["optics.panel=ti-plm-p47", "device.model=ti-plm", *few]
    run, bench = tmp_path / "run", tmp_path / "run-bench"
    trained = CliRunner().invoke(app, ["train", "digits", "--out", str(run), *(w for s in settings for w in ("-s", s))])
    told = [line.split() for line in trained.stdout.split("next:\n")[1].splitlines()]
    assert told[1] == ["voltphase", "deploy", str(run), "--out", str(bench)]  # which knows the panel
    assert [CliRunner().invoke(app, words[1:]).exit_code for words in told[1:]] == [0, 0]
    assert (bench / "layer-1.bmp").exists()
