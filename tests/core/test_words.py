"""Text from outside: shown as it is, or as what it is where no terminal shows it; commands that can be pasted."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltphase.core.words import printable, shell

_NAMES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "text",
    [
        "pluto [nir]",
        "[/NIR]",
        ":smile:",
        "run[red]:x:",
        "λ/4 $x_1$ 100 %",
        "\xa0 \u3000",
        "سلام\u200cها",
        "👩\u200d🔬",
        "",
    ],
)
def test_text_is_shown_as_it_is(text: str):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("a\r\tb\0", "a\\r\\tb\\x00"),
        ("\x1b[31mred\x9b0m", "\\x1b[31mred\\x9b0m"),
        ("gpj.\u202efdp\u200f\u2066", "gpj.\\u202efdp\\u200f\\u2066"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("\u2028\x85\x7f", "\\u2028\\x85\\x7f"),
    ],
)
def test_what_no_terminal_shows_is_spelt(text: str, shown: str):
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_shown_can_be_written_anywhere_and_is_one_line(text: str):
    shown = printable(text)
    assert shown.encode("utf-8").decode("utf-8").splitlines() in ([shown], [])
    assert "\x1b" not in shown


@given(st.lists(_NAMES, min_size=1, max_size=3))
def test_a_command_is_split_again_into_its_words(words: list[str]):
    command = shell("voltphase", *words)
    if "$'" not in command:
        assert shlex.split(command) == ["voltphase", *words]
    assert printable(command) == command


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, to paste into")
@pytest.mark.parametrize(
    "name", ["a b", "$(x)`y`'\"\\", "a\nb\x1b[0m", "é\u202e", os.fsdecode(b"\xff\xfe'"), "-x", "~root", "*?[a]!"]
)
def test_a_pasted_command_gets_the_very_path(name: str):
    pasted = subprocess.run(
        ["bash", "-c", shell("printf", "%s") + " " + shell(Path(name))], capture_output=True, check=True
    )
    assert os.fsencode(Path(name)) == os.fsencode(Path(os.fsdecode(pasted.stdout)))
    assert not pasted.stdout.startswith((b"-", b"~"))
