from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge
from tests.forked import Forked
from typer.testing import CliRunner, Result

from voltphase.cli import app, main
from voltphase.cli.targets import chosen_target
from voltphase.core.errors import VoltphaseError
from voltphase.deployment import TARGETS, SlmImage

TINY = [
    word
    for setting in (
        "optics.size=16",
        "optics.depth=2",
        "optics.distances=0.02",
        "device.levels=4",
        "data.train_limit=100",
        "data.test_limit=50",
        "training.batch_size=50",
        "training.epochs=1",
    )
    for word in ("--set", setting)
]
GOOD_TABLE = "level,control,amplitude,phase\n0,0,1,0\n1,80,0.7,1.5\n2,160,0.9,3.5\n3,255,0.5,5\n"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=80)


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command that must fail with one sentence, exit code 2 and no trace; gives the sentence."""
    monkeypatch.chdir(tmp_path)

    def refuse(*words: str | Path) -> str:
        before = {file: file.read_bytes() if file.is_file() else None for file in tmp_path.rglob("*")}
        result = call(*words)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.stderr
        after = {file: file.read_bytes() if file.is_file() else None for file in tmp_path.rglob("*")}
        assert after == before
        return result.stderr.removeprefix("error: ").rstrip()

    return refuse


def test_the_version():
    assert call("--version").stdout == f"voltphase {version('voltphase')}\n"


@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["train"],
        ["presets"],
        ["evaluate"],
        ["refine"],
        ["report"],
        ["deploy"],
        ["verify"],
        ["validate"],
        ["reproduce"],
        ["device", "show"],
        ["device", "check"],
        ["device", "list"],
        ["device", "calibrate"],
        ["panel", "list"],
        ["panel", "show"],
    ],
)
def test_every_command_explains_itself(command: list[str]):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert f"Usage: voltphase {' '.join(command)}" in result.stdout.replace("root", "voltphase")
    listed = call(*command[:-1], "--help").stdout
    assert command[-1] in listed


def test_the_help_of_train_is_enough_to_use_it():
    text = call("train", "--help").stdout
    for word in ("voltphase train digits", "device.file=slm.csv", "--resume", "--overwrite", "--data-dir", "preset:"):
        assert word in text


def test_the_help_of_reproduce_says_what_its_presets_are():
    from voltphase.reproduction.sizes import SIZES

    text = " ".join(call("reproduce", "--help").stdout.replace("│", " ").split())
    for size in SIZES.values():
        assert f"{size.name}: {size.description}" in text


def test_the_help_of_train_names_every_setting():
    from voltphase.config.sections import Config
    from voltphase.settings.keys import keys

    text = call("train", "--help").stdout
    assert {key.name for key in keys(Config)} <= set(re.findall(r"[\w-]+", text))


@pytest.mark.parametrize("words", [["train"], ["trian"], ["train", "digits", "--sed", "1"], ["deploy", "runs/a"]])
def test_a_command_used_wrongly_exits_2(words: list[str]):
    result = call(*words)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_presets_are_listed():
    result = call("presets")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "digits",
        "fashion-small",
        "mnist-small",
        "paper",
        "two-wavelengths",
    ]


def test_every_setting_is_explained():
    lines = call("presets", "--settings").stdout.splitlines()
    assert {
        "preset",
        "recipe",
        "seed",
        "optics.wavelength",
        "training.epochs",
        "device.parameters.twist (tn-slm)",
    } <= set(lines)
    assert lines.index("optics.pitch") + 1 < lines.index("optics.wavelength")
    assert not any("None" in line or "or Takes" in line for line in lines)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("optics.pich=1", "--set: unknown key optics.pich: did you mean optics.pitch?"),
        (
            "optics.pitch=0",
            "--set: expected optics.pitch to be a length in metres from 1e-10 to below 0.1, a list of 2 of them or a "
            "list of either, but got 0: a typical one is 36e-6",
        ),
        (
            "optics.pitch=36",
            "--set: expected optics.pitch to be a length in metres from 1e-10 to below 0.1, a list of 2 of them or a "
            "list of either, but got 36: 36 µm is 3.6e-05",
        ),
        ("training.epochs=ten", "--set: expected training.epochs to be a whole number of at least 1, but got 'ten'"),
        (
            "task.regions=[[0, 0, 4, 4], [60, 60, 8, 8]]",
            "expected detector region 1 inside the 64 x 64 detector, but it covers rows 60 to 67 and columns 60 to 67: "
            "move or shrink it",
        ),
        (
            "data.train_limit=1000000",
            "expected data.train_limit to be at most 1438, or null for all images of digits, but got 1000000",
        ),
        (
            "device.model=dmd",
            "expected device.levels to be at most 2, or null for all states of dmd, but got 8",
        ),
    ],
)
def test_a_setting_that_does_not_fit(setting: str, sentence: str, refused: Callable[..., str]):
    assert refused("train", "digits", "--set", setting, "--out", "run") == sentence


def test_a_setting_given_as_an_option_is_told_as_one(refused: Callable[..., str]):
    for name, paths in (
        ("epochs", "training.epochs"),
        ("levels", "device.levels"),
        ("learning-rate", "training.learning_rate"),
    ):
        sentence = f"No such option: --{name}: use --set {paths}=VALUE (see voltphase train --help)"
        assert refused("train", "digits", f"--{name}", "3") == sentence
    assert refused("report", "run", "--epochs", "3").endswith("No such option: --epochs (see voltphase report --help)")


def test_the_file_of_a_sweep_is_no_configuration_and_the_other_way_round(refused: Callable[..., str], tmp_path: Path):
    (tmp_path / "sweep.yaml").write_text("config: mine.yaml\nsearch: {seed: [1, 2]}\nsampler: grid\n")
    (tmp_path / "mine.yaml").write_text("preset: digits\noptics: {depth: 1}\n")
    assert refused("train", "sweep.yaml").endswith("each trial is a training: use voltphase sweep sweep.yaml")
    assert refused("sweep", "mine.yaml").startswith(
        "mine.yaml: expected keys such as config, search and trials, but got 'optics'"
    )


def test_a_wrong_number_of_regions(refused: Callable[..., str]):
    assert refused("train", "digits", "--set", "task.regions=[[0, 0, 4, 4], [8, 8, 4, 4]]") == (
        "expected task.regions to list 10 regions, one for each class of digits, but got 2: correct it, or "
        "take grid, which is laid out for any number"
    )


def test_a_mistyped_preset(refused: Callable[..., str]):
    assert refused("train", "digts") == (
        "digts is neither a preset nor a file (did you mean digits?): the presets are digits, fashion-small, "
        "mnist-small, paper, two-wavelengths"
    )


def test_missing_data_without_a_network(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    sentence = refused("train", "mnist-small", "--data-dir", tmp_path / "empty", "--out", "run")
    assert "train-images-idx3-ubyte.gz" in sentence
    assert str(tmp_path / "empty") in sentence


BAD_TABLES = {
    "nan": GOOD_TABLE.replace("0.7", "nan"),
    "negative amplitude": GOOD_TABLE.replace("0.7", "-0.7"),
    "missing column": GOOD_TABLE.replace("phase", "phi"),
    "duplicate level": GOOD_TABLE.replace("\n2,160", "\n1,160"),
    "one state": "level,control,amplitude,phase\n0,0,1,0\n",
    "no number": GOOD_TABLE.replace("3.5", "much"),
    "empty": "",
}


@pytest.mark.parametrize("table", BAD_TABLES)
def test_a_bad_device_table(table: str, refused: Callable[..., str], tmp_path: Path):
    file = tmp_path / "slm.csv"
    file.write_text(BAD_TABLES[table])
    sentence = refused("device", "check", file)
    assert "slm.csv" in sentence
    assert refused("train", "digits", "--set", f"device.file={file}", "--out", "run") == sentence


def test_a_missing_device_table(refused: Callable[..., str], tmp_path: Path):
    assert str(tmp_path / "none.csv") in refused("train", "digits", "--set", "device.file=none.csv", "--out", "run")
    assert "none.csv" in refused("device", "check", "none.csv")


def test_more_levels_than_the_device_has(refused: Callable[..., str], tmp_path: Path):
    from voltphase.devices import DevicePanel, load_table

    (tmp_path / "slm.csv").write_text(GOOD_TABLE)
    DevicePanel((load_table(tmp_path / "slm.csv"),), np.zeros((64, 64), dtype=int), 0, "chip").save(tmp_path / "panel")
    for file, name in (("slm.csv", "slm"), ("panel", "chip")):
        assert refused("train", "digits", "--set", f"device.file={file}", "--set", "device.levels=5") == (
            f"expected device.levels to be at most 4, or null for all states of {name}, but got 5"
        )


def test_an_unknown_device_model(refused: Callable[..., str]):
    assert "tn-slm" in refused("train", "digits", "--set", "device.model=tn-sml")
    assert "tn-slm" in refused("device", "show", "tn-sml")


def test_a_good_device_table(tmp_path: Path):
    (tmp_path / "slm.csv").write_text(GOOD_TABLE)
    result = call("device", "check", tmp_path / "slm.csv")
    assert result.exit_code == 0
    assert result.stdout == (
        f"{tmp_path}/slm.csv is fine: 4 states, control 0 to 255 (grey level), amplitude 0.500 to 1.000, "
        "phase 0.000 to 5.000 rad\n"
    )


def test_an_output_folder_that_cannot_be(refused: Callable[..., str], tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert refused("train", "digits", *TINY, "--out", "file") == (
        "expected file to be a folder to write to, but it is a file: choose another"
    )
    assert refused("train", "digits", *TINY, "--out", "file/run") == (
        "cannot write file/run: not a directory; choose a place that can be written"
    )


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_a_run_that_is_not_there(command: str, refused: Callable[..., str]):
    assert refused(command, "runs/none") == (
        "expected the folder of a training run, but runs/none does not exist: train one with voltphase train"
    )


def test_deploying_a_run_that_is_not_there(refused: Callable[..., str]):
    assert "runs/none does not exist" in refused("deploy", "runs/none", "--out", "bench")


def test_verifying_a_folder_that_is_not_there(refused: Callable[..., str]):
    assert "bench" in refused("verify", "bench")


def test_the_devices_are_listed():
    result = call("device", "list")
    assert result.exit_code == 0
    assert "tn-slm" in result.stdout


def test_a_device_is_shown_as_a_table_and_a_figure(tmp_path: Path):
    (tmp_path / "slm.csv").write_text(GOOD_TABLE)
    result = call("device", "show", tmp_path / "slm.csv", "--out", tmp_path / "slm.png")
    assert result.exit_code == 0, result.output
    assert ["2", "160", "0.9000", "3.5000", "1.114"] in [line.split() for line in result.stdout.splitlines()]
    assert (tmp_path / "slm.png").read_bytes().startswith(b"\x89PNG")


def test_a_panel_is_checked_and_shown(tmp_path: Path):
    from voltphase.devices import DevicePanel, dmd

    tables = (replace(dmd(), name="left"), replace(dmd(), amplitude=np.array([0.1, 0.9]), name="right"))
    DevicePanel(tables, np.array([[0, 1], [-1, 1]]), 0.5, "chip").save(tmp_path / "panel")
    result = call("device", "check", tmp_path / "panel")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:6] == [
        f"{tmp_path}/panel is fine:",
        "chip: a panel of 2 x 2 pixels",
        " 25.00% follow table 0, left",
        " 50.00% follow table 1, right",
        " 25.00% are inactive, amplitude 0.500, phase 0.000 rad",
        "left: 2 states, control 0 to 1 (mirror state), amplitude 0.000 to 1.000, phase 0.000 to 0.000 rad",
    ]
    result = call("device", "show", tmp_path / "panel", "--out", tmp_path / "panel.png")
    assert result.exit_code == 0, result.output
    assert ["1", "1", "0.9000", "0.0000", "0.000"] in [line.split() for line in result.stdout.splitlines()]
    assert (tmp_path / "panel.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "panel" / "table-1.csv").unlink()
    result = call("device", "check", tmp_path / "panel")
    assert result.exit_code == 2
    assert "table-1.csv" in result.stderr


@pytest.mark.parametrize("kind", ["xyz", "pgf"])
def test_a_figure_of_a_type_that_cannot_be_drawn(kind: str, tmp_path: Path):
    result = call("device", "show", "dmd", "--out", tmp_path / f"dmd.{kind}")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: expected a figure of type png, svg, pdf, jpg, webp, but got {tmp_path}/dmd.{kind}: name it .png, say\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("passed", "exit_code"), [(True, 0), (False, 1)])
def test_validation_shows_every_comparison_and_fails_if_one_does(
    passed: bool, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Path | None] = []

    def run(out: Path | None) -> list[SimpleNamespace]:
        asked.append(out)
        row = {"case": "Gaussian beam", "method": "fresnel", "tolerance": 1e-3}
        return [
            SimpleNamespace(**row, error=2e-5, passed=True),
            SimpleNamespace(**row, error=2e-5 if passed else 2e-3, passed=passed),
        ]

    monkeypatch.setattr("voltphase.validation.run", run)
    result = call("validate", "--out", tmp_path / "v")
    assert result.exit_code == exit_code
    assert asked == [tmp_path / "v"]
    assert "Gaussian beam  fresnel  2.0e-05  1.0e-03    passed" in result.stdout
    assert ("FAILED" in result.stdout) != passed
    assert result.stdout.splitlines()[-1] == f"{1 + passed} of 2 comparisons passed"


def test_a_warning_about_the_optics_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from voltphase.optics import SamplingWarning

    def warn(*_: object, **__: object) -> None:
        warnings.warn("borderline", SamplingWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
        raise VoltphaseError("enough")

    monkeypatch.setattr("voltphase.config.load_config", warn)
    assert call("train", "digits").stderr == "warning: borderline\nerror: enough\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a process that is forked")
def test_the_entry_point_fails_with_a_sentence_not_a_traceback():
    def train() -> None:
        sys.argv = ["voltphase", "train", "nothing.yaml"]
        main()

    done = Forked(train).wait()
    assert done.code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: nothing.yaml is neither a preset nor a file: ")
    assert done.stderr.count("\n") == 1


def test_the_command_line_starts_without_what_it_may_not_need():
    code = (
        "import sys, voltphase.cli.commands; "
        "unneeded = {'lightning', 'matplotlib', 'optuna', 'pooch', 'pydantic', 'scipy', 'sklearn', 'torch', 'yaml'}; "
        "sys.exit(', '.join(unneeded & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_target_s_settings_are_checked_and_listed_like_those_of_a_configuration(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    @dataclass(frozen=True)
    class Sheet(SlmImage):
        """A sheet.

        Args:
            first: Number that stands for level 0.
            paper: Name of the paper.
        """

        first: Annotated[int, Ge(0)] = 1
        paper: str = "plain"

    deploy = ("deploy", "runs/none", "--out", "bench")
    assert "as the target slm-image has no settings, but got 'a=1'" in refused(
        *deploy, "--target", "slm-image", "--set", "a=1"
    )
    monkeypatch.setitem(TARGETS._entries, "sheet", Sheet)
    sheet = (*deploy, "--target", "sheet", "--set")
    assert "--set: unknown key frist: did you mean first?" in refused(*sheet, "frist=1")
    assert "--set: expected first to be a whole number of at least 0, but got -1" in refused(*sheet, "first=-1")
    assert "expected --set KEY=VALUE such as first=VALUE, but got 'first'" in refused(*sheet, "first")
    assert chosen_target("sheet", ["first = 3", "paper=10"]) == Sheet(3, "10")
    told = " ".join(CliRunner().invoke(app, ["deploy", "--help"]).stdout.split())
    assert "first: Number that stands for level 0. Takes a whole number of at least 0; 1 by default." in told
    assert "index: Refractive index of the material at the wavelength used" in told  # of a base class


@pytest.mark.parametrize(("rank", "ended", "said"), [("0", False, True), ("1", True, False), ("1", False, True)])
def test_of_torchruns_processes_the_first_says_what_is_wrong_unless_it_alone_is_right(
    rank: str, ended: bool, said: bool, monkeypatch: pytest.MonkeyPatch
):
    def wait(_: float) -> None:
        if ended:
            raise KeyboardInterrupt

    monkeypatch.setattr("voltphase.cli.train.time", SimpleNamespace(sleep=wait))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("RANK", rank)
    result = call("train", "digits", "--set", "training.epochs=none")
    assert result.exit_code == 2
    assert result.stderr.count("training.epochs") == said
    assert result.output.count("\n") == said
