"""The command line as a process: interrupted at any moment, with streams that are closed, full or know few letters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.forked import ONE_AFTER_ANOTHER

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and streams are others on Windows")

MAIN = "import sys; from voltphase.cli import main; sys.argv = ['voltphase', *sys.argv[1:]]; main()"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = f'voltphase() {{ "{sys.executable}" -c "{MAIN}" "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(("moment", "number"), [("typer", 2), ("torch", 2), ("pydantic_core", 15)])
def test_a_process_interrupted_while_it_loads(moment: str, number: int, tmp_path: Path):
    # The signal comes at the moment the module is looked for, whatever the speed of the machine.
    hook = (
        "import os, sys\n"
        "class Hook:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name == {moment!r}: os.kill(os.getpid(), {number})\n"
        "sys.meta_path.insert(0, Hook())\n"
    )
    words = [sys.executable, "-c", hook + MAIN, "train", "digits", "--out", str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_that_comes_out_as_another_error_or_is_lost():
    for trouble in (
        "try: os.kill(os.getpid(), 2)\n    except KeyboardInterrupt: raise ImportError('half')",
        "weakref.finalize(T(), lambda: None); a = T(); a.me = weakref.ref(T(), lambda _: os.kill(os.getpid(), 2))\n"
        "    for _ in range(500): time.sleep(0.01)",
    ):
        code = (
            "import os, sys, time, types, weakref\n"
            "class T: pass\n"
            "def app(**_):\n"
            f"    {trouble}\n"
            "sys.modules['voltphase.cli.commands'] = types.SimpleNamespace(app=app)\n"
        )
        done = subprocess.run([sys.executable, "-c", code + MAIN], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_signal_that_is_ignored_stays_so():
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code += MAIN.replace("main()", "signal.raise_signal(signal.SIGINT); main()")
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_nobody_reads():
    done = shell("set -o pipefail; voltphase --help | head -c 1")
    assert (len(done.stdout), done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("command", ["--help", "device list"])
def test_output_that_cannot_be_written(command: str):
    done = shell(f"voltphase {command} >/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot ")
    assert done.stderr.endswith("no space left on device\n")
    assert done.stderr.count("\n") == 1


def test_closed_streams(tmp_path: Path):
    assert shell("voltphase --version <&- >&-").stderr == ""
    assert shell(f"voltphase device show dmd --out {tmp_path}/dmd.svg >&- 2>&-").returncode == 0
    assert b"</svg>" in (tmp_path / "dmd.svg").read_bytes()


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii", "COLUMNS": "20", "TERM": "dumb", "CI": "true"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "COLUMNS": "0", "FORCE_COLOR": "1"},
    ],
    ids=str,
)
def test_terminals_that_know_little(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "[b].csv").write_text(
        "# name: λ [b] :x: ﬀ\nlevel,control,amplitude,phase\n0,0,1,0\n1,9,1,3\n", encoding="utf-8"
    )
    words = [sys.executable, "-c", ONE_AFTER_ANOTHER, "train --help", "device show [b].csv"]
    done = subprocess.run(
        words, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout
    if environment.keys() & {"PYTHONIOENCODING", "LC_ALL"}:
        for character in "λﬀ":
            shown = shown.replace(f"\\u{ord(character):04x}", character)
    assert "\nλ [b] :x: ﬀ\n" in shown
    assert ["1", "9", "1.0000", "3.0000", "0.955"] in [line.split() for line in shown.splitlines()]
