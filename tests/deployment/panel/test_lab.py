"""From a table that a spreadsheet saved to files to load, by the commands of the README."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.deployment import Emulator, Panel, deploy_run
from voltphase.deployment.proof import own_pixels
from voltphase.deployment.targets.panel.trained_for import PanelWarning, check_panel_of_run
from voltphase.reporting import write_bench_sheet
from voltphase.reporting.bench_sheet.content import Sheet
from voltphase.reporting.bench_sheet.drawing import sheet_figure

ROOT = Path(__file__).parents[3]
FEW = "--set training.epochs=1 --set data.train_limit=60 --set data.test_limit=20"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a laboratory has, where the commands of the README were run, with little training."""
    folder = tmp_path_factory.mktemp("lab")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = page[page.index("## On the table") : page.index("## Results")]
    (profile,), blocks = (re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("yaml", "sh"))
    commands = "".join(blocks)
    laboratory = runpy.run_path(str(ROOT / "examples" / "laboratory.py"))
    laboratory["write"](folder)
    (folder / "slm.bmp").write_bytes(b"BM and no more")
    Image.new("L", (16, 9)).save(folder / "small.bmp")
    assert profile == laboratory["PANEL"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(own_pixels, "_NANOSECONDS", 1e6)
        for command in commands.replace("\\\n", "").splitlines():
            words = shlex.split(f"{command} {FEW}" if " train " in command else command)
            result = CliRunner().invoke(app, words[1:])
            assert result.exit_code == 0, result.output
            (folder / f"{words[1]}.txt").write_text(result.output)
    return folder


def test_three_commands_make_three_files_to_load_and_a_bench_sheet(lab: Path):
    assert (lab / "bench-sheet" / "bench-sheet.pdf").is_file()
    assert sorted(path.name for path in (lab / "bench").glob("*.bmp")) == [
        "correction.bmp",
        "layer-1.bmp",
        "layer-2.bmp",
        "layer-3.bmp",
    ]
    flat = np.asarray(Image.open(lab / "flatness.bmp")).astype(int)
    for number in (1, 2, 3):
        picture = Image.open(lab / "bench" / f"layer-{number}.bmp")
        assert (picture.size, picture.mode) == ((1920, 1080), "L")
        plain = (np.asarray(picture) - flat) % 256
        levels = np.load(lab / "bench" / f"layer-{number}-levels.npy")
        # All 256 levels were measured, so that a level is its grey level.
        assert np.array_equal(plain[290:790, 710:1210], np.kron(levels, np.ones((5, 5), int)))
        border = np.delete(plain.reshape(-1), np.flatnonzero(np.pad(np.ones((500, 500)), ((290, 290), (710, 710)))))
        assert len(np.unique(border)) == 1
    assert "layer-1.bmp: rows 290-789, columns 710-1209 of left-slm; border" in (lab / "deploy.txt").read_text()
    note = (lab / "bench" / "README.txt").read_text()
    assert "\nlayer-1.bmp, layer-2.bmp, layer-3.bmp: for slm, 256 levels, 8-bit grey BMP.\n" in note
    assert ".;" not in note
    verdict = (lab / "verify.txt").read_text()
    assert "20 of 20 predictions equal" in verdict
    assert "own pixels   not checked  not measured on 500 x 500 pixels: one image is expected to take" in verdict


def test_a_trained_design_is_on_the_panel_however_it_is_put_there(lab: Path, tmp_path: Path):
    panel = Panel(
        str(lab / "panel.yaml"), flip=("none", "rows", "both"), turn=(90, 0, 270), layers_per_panel=3, border=0
    )
    folder = deploy_run(lab / "runs" / "slm", tmp_path / "bench", target=panel)
    assert [path.name for path in folder.glob("*.bmp")] == ["layer-1-to-3.bmp"]
    side_by_side, apart = Emulator.from_folder(folder), Emulator.from_folder(lab / "bench")
    for one, other in zip(side_by_side.modulations(), apart.modulations(), strict=True):
        assert bool((one == other).all())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--panel", "nowhere"], "error: nowhere is neither a panel nor a YAML file"),
        (["--panel", "panel.yaml", "--target", "gds"], "one thing to deploy to, but got --panel panel.yaml and"),
        (["--turn", "90", "--target", "slm-image"], "error: expected --panel NAME with --turn, but got none: name the"),
        (["--panel", "panel.yaml", "--offset", "3"], "error: expected --offset ROWS,COLUMNS as two whole numbers"),
        (["--panel", "panel.yaml", "--turn", "45"], "error: --turn: expected turn to be"),
        (["--panel", "panel.yaml", "--pixels", "0"], "error: --pixels: expected pixels to be"),
        (["--panel", "panel.yaml", "--turn", "90", "--set", "turn=45"], "error: --set: expected turn to be"),
        (["--correction", "slm.bmp"], "expected a BMP in slm.bmp, but it is damaged: take the maker's file for"),
        (["--correction", "small.bmp"], "expected 1080 rows x 1920 columns in small.bmp, but got 9 x 16: take the"),
        (["--panel", "thorlabs-exulus-hd1"], "a pitch that is a whole multiple of the 6.4 µm of thorlabs"),
        (["--panel", "ti-dlp6500", "--resample", "area"], "error: expected a panel of 8 bits such as left-slm, which"),
        (["--panel", "santec-slm-200"], "but santec-slm-200 has 10, so its grey levels are other voltages: train with"),
        (["--panel", "panel.yaml", "--layers-per-panel", "4"], "to fit on left-slm"),
        (["--panel", "panel.yaml", "--offset", "0,500", "--offset", "0,0", "--offset", "0,0", "--set",
          "layers_per_panel=3"], "layers 1 and 2 side by side on left-slm"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_on_a_panel_is_a_sentence(
    words: list[str], sentence: str, lab: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(lab)
    before = set(lab.iterdir())
    result = CliRunner().invoke(app, ["deploy", "runs/slm", "--out", "other", *words])
    assert (result.exit_code, sentence in result.output) == (2, True), result.output
    assert set(lab.iterdir()) == before


def test_a_run_goes_to_its_own_panel_and_another_of_as_many_bits_is_warned_of(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(lab)
    monkeypatch.setattr(own_pixels, "_NANOSECONDS", 1e6)
    result = CliRunner().invoke(app, ["deploy", "runs/slm", "--out", str(tmp_path / "own"), "--flip", "rows"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"panel {lab / 'panel.yaml'}, which the run was trained for")
    assert (tmp_path / "own" / "layer-1.bmp").exists()
    other = Panel("holoeye-pluto-2")
    with pytest.warns(PanelWarning, match="trained for left-slm and is deployed to holoeye-pluto-2"):
        check_panel_of_run(str(lab / "panel.yaml"), other)
    with pytest.warns(PanelWarning, match=r"the panel of gone.yaml, which is not here to compare with holoeye-pluto-2"):
        check_panel_of_run("gone.yaml", other)


def test_a_bench_sheet_has_a_pattern_for_the_panel_with_its_correction(lab: Path, tmp_path: Path):
    sheet = write_bench_sheet(lab / "bench", tmp_path / "sheet")
    assert sorted(path.name for path in sheet.glob("test-*")) == [f"test-layer-{number}.bmp" for number in (1, 2, 3)]
    plain, pattern = (
        (np.asarray(Image.open(path)).astype(int) - np.asarray(Image.open(lab / "flatness.bmp"))) % 256
        for path in (lab / "bench" / "layer-1.bmp", sheet / "test-layer-1.bmp")
    )
    assert np.array_equal(pattern != plain, np.pad((pattern != plain)[290:790, 710:1210], ((290, 290), (710, 710))))
    assert len(np.unique(pattern[290:790, 710:1210])) == 2
    patterns = {(sheet / f"test-layer-{number}.bmp").read_bytes() for number in (1, 2, 3)}
    assert len(patterns) == 3  # each has its number
    pdf = (sheet / "bench-sheet.pdf").read_bytes()
    (box,) = re.findall(rb"/MediaBox \[([\d. ]+)\]", pdf)
    assert [round(float(number)) for number in box.split()] == [0, 0, 595, 842]  # A4, in points
    drawn = sheet_figure(Sheet.of(lab / "bench"), [], ["input-1.png", "input-2.png", "input-3.png"])
    told = " ".join(text.get_text() for text in drawn.texts)
    for words in (
        "HOLOEYE PLUTO-2.1: 1080 rows x 1920 columns of 8 µm. Load a file (8-bit grey BMP) at 1:1.",
        "Each pixel of the design is 5 rows x 5 columns of the panel.",
        "The correction correction.bmp is in the file, added to grey levels modulo 256",
    ):
        assert words in told
