"""Random text as names, paths, units and values through every command: no markup, no tracebacks, nothing lost.

Commands, arguments and options are taken from the application itself, so that a new one is tried like the others.
"""

from __future__ import annotations

import os
import subprocess
import typing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from typer.testing import CliRunner, Result

from voltphase.cli import app
from voltphase.core.words import printable
from voltphase.devices import DevicePanel, dmd, load_table
from voltphase.reporting import style
from voltphase.reporting.device import device_figure

TINY = [
    word
    for setting in (
        "optics.size=12",
        "optics.depth=1",
        "optics.distances=0.01",
        "device.levels=2",
        "data.train_limit=20",
        "data.test_limit=10",
        "training.batch_size=20",
        "training.epochs=1",
        "training.threads=1",
    )
    for word in ("--set", setting)
]
MARKUP = ["pluto [nir]", "[/NIR]", ":smile:", "run[red]:x:", "[link=x]", "$x_1$ \\$ 100 %", "a\nb\x1b[31m\u202e", "-x"]
MARKUP += [
    "=1+1",
    "<b>&amp;</b>",
    "~",
    "null",
    "1e3",
    "{0}",
    "%s",
    "*",
    "\udcff",
    "\ud800",
    "n" * 300,
    "a#b #c",
    "'",
    '"',
]
# A table's comment is a line, of text in UTF-8.
_LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=30)
_ANYTHING = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(MARKUP)


def call(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], terminal_width=80)
    assert isinstance(result.exception, SystemExit | None), (words, result.exception)
    assert "Traceback" not in result.output
    return result


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the application, with the words that call it."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from leaves(below, (*words, name))
    else:
        yield words, command


COMMANDS = dict(leaves(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, what was deployed of it, a device's table and a panel."""
    folder = tmp_path_factory.mktemp("text")
    table = "# name: λ\nlevel,control,amplitude,phase\n0,0,1,0\n1,9,1,3\n"
    (folder / "slm.csv").write_text(table, encoding="utf-8")
    DevicePanel((load_table(folder / "slm.csv"),), np.zeros((12, 12), int), 0, "chip").save(folder / "panel")
    words = ["--set", f"device.file={folder}/slm.csv", "--out", folder / "run"]
    assert call("train", "digits", *TINY, *words).exit_code == 0
    assert call("deploy", folder / "run", "--out", folder / "deployed").exit_code == 0
    return folder


def cases() -> Iterator[Any]:
    for words, command in COMMANDS.items():
        for parameter in command.params:
            if parameter.name == "help" or getattr(parameter, "is_flag", False):
                continue
            yield pytest.param(words, parameter.name, id=f"{' '.join(words)} {parameter.opts[-1]}")


def command_line(words: tuple[str, ...], name: str, text: str, bench: Path) -> list[str]:
    """The words that give ``text`` to one parameter of a command, and to those that it cannot do without what fits."""
    given, stand_ins = [], {"run": "run", "folder": "deployed", "device": "slm.csv", "file": "slm.csv"}
    for parameter in COMMANDS[words].params:
        option = parameter.opts[-1]
        if parameter.name == name:
            given += ["--", text] if not option.startswith("-") else [option, text]
        elif parameter.required and option.startswith("-"):
            given = [option, "new", *given]
        elif parameter.required:
            stand_in = {"config": "digits", "experiment": "table1"}.get(parameter.name)
            given = [stand_in or str(bench / stand_ins[parameter.name]), *given]
    return [*words, *given]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("words", "name"), list(cases()))
def test_text_for_every_argument_and_option(
    words: tuple[str, ...], name: str, bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _without_work(monkeypatch)
    monkeypatch.chdir(tmp_path)

    @settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(_ANYTHING)
    @example("[/NIR] [nir]:x:")
    @example("-x #2\n\x1b[31m\u202e\udcff")
    @example("a\ud800")
    @example("\0")
    @example("")
    @example("n" * 300)
    @example("-1")
    @example("nan")
    @example("9" * 30)
    def check(text: str) -> None:
        result = call(*command_line(words, name, text, bench))
        shown = result.stdout + result.stderr
        assert result.exit_code in (0, 1, 2)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        shown.encode("utf-8")
        if result.exit_code == 2:
            assert result.stderr.count("\n") == 1, result.stderr
            assert result.stderr.startswith("error: ")

    check()


def _without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes time is not what is tried: it ends at once, as a command that Ctrl-C stops does."""

    def stop(*_: object, **__: object) -> typing.NoReturn:
        raise typer.Exit(1)

    for name in (
        "voltphase.validation.run",
        "voltphase.sweeps.runner.run_all",
        "voltphase.training.train",
        "voltphase.training.refine_run",
        "voltphase.reporting.write_report",
    ):
        monkeypatch.setattr(name, stop)


def _table(file: Path, name: str, unit: str) -> None:
    lines = [f"# name: {name}", f"# control_unit: {unit}", "level,control,amplitude,phase", "0,0,1,0", "1,9,1,3", ""]
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("folder", ["runs [a] run[red]:x:", "-\udcff é\n'$(x)`\" ~"])
def test_a_folder_of_any_name_is_trained_into_and_its_next_commands_work(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    _table(tmp_path / f"{folder[:9]}.csv", "[/NIR] $x_", "V [red]")
    result = call("train", "digits", *TINY, "--set", f"device.file={folder[:9]}.csv", f"--out={folder}")
    assert result.exit_code == 0, result.output
    commands = [line.strip() for line in result.stdout.split("next:\n")[1].splitlines()]
    assert [command.split()[1] for command in commands] == ["report", "deploy", "verify"]
    for command in commands:
        result = call(*_words_of(command)[1:])
        assert result.exit_code == 0, (command, result.output)
    assert result.stdout.splitlines()[-1] == "passed"
    page = (tmp_path / folder / "report.html").read_text(encoding="utf-8")
    assert "[/NIR] $x_ (2 levels)" in page


def _words_of(command: str) -> list[str]:
    """The words that a shell makes of a command."""
    program = ["bash", "-c", f"printf '%s\\0' {command}"]
    return [os.fsdecode(word) for word in subprocess.run(program, capture_output=True, check=True).stdout.split(b"\0")][
        :-1
    ]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=_LINES, unit=_LINES)
@example(name="pluto [nir]", unit="[/NIR]")
@example(name=":smile: [link=x]", unit="$V_\\pi$ \\$ %")
@example(name="=1+1;<b>&amp;", unit="'\"")
def test_names_and_units_of_a_device_are_shown_as_they_are(name: str, unit: str, tmp_path: Path):
    name, unit = name.strip() or "x", unit.strip() or "V"
    table = tmp_path / "slm.csv"
    replace(dmd(), name=name, control_unit=unit).save(table)
    states = load_table(table)
    assert (states.name, states.control_unit) == (name, unit)
    for words in (("show", table), ("check", table), ("list", tmp_path)):
        result = call("device", *words)
        assert result.exit_code == 0, result.output
        assert printable(unit) in result.stdout
        assert "[/" not in result.stderr
        if words[0] == "show":
            assert printable(name) in result.stdout.splitlines()[0]


@pytest.mark.parametrize("name", ["$x_1$ [b] <i>&amp;", "$\\frac{$", "\\$ 5 $ a_b^", "_ %s {0}"])
def test_figures_show_names_as_they_are(name: str):
    figure = device_figure(replace(dmd(), name=name, control_unit=name))
    with style.house_style():
        assert b"</svg>" in style.svg(figure)
    # What matplotlib draws of a text, and whether it holds a formula.
    preprocess: Any = vars(Text)["_preprocess_math"]
    shown, formula = preprocess(Text(), figure.get_suptitle())
    assert (shown, formula) == (f"{name}: 2 states", False)


def test_figures_and_pages_spell_what_cannot_be_shown():
    assert style.plain("a\nb\x1b\u202e\udcff") == "a\\nb\\x1b\\u202e\\udcff"
