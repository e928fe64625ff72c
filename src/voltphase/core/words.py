"""Text from outside, as it can be shown and typed again."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Final

# Control characters, ends of lines and paragraphs, lone surrogates, and marks that reorder the text around them, with
# which a line reads otherwise than it is.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_LONGEST_SHOWN: Final = 60


def printable(text: str) -> str:
    r"""Return ``text`` as one line that can be printed anywhere, with escapes for what no terminal shows.

    These are control characters (line ends and the escape of terminal commands among them), marks of the writing
    direction, and lone surrogates, which stand for bytes of a file name that are not text.

    Examples:
        >>> print(printable("two\nlines"))
        two\nlines
    """
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return ``text`` as one line, with a space for what cannot be printed and no spaces at its ends."""
    return re.sub(f" *{_UNPRINTABLE.pattern}+(?:{_UNPRINTABLE.pattern}| )*", " ", text).strip()


def counted(number: int, noun: str) -> str:
    """Return a number of things with their noun in the singular or the plural.

    Examples:
        >>> counted(1, "epoch"), counted(2, "epoch")
        ('1 epoch', '2 epochs')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(minutes: float) -> str:
    """Return how long something takes, in minutes or, from an hour and a half on, in hours.

    Examples:
        >>> duration(0.2), duration(89), duration(90)
        ('0 min', '89 min', '1.5 h')
    """
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def shell(*words: str | Path) -> str:
    """Return a command line as it can be typed into a shell, whatever its words hold.

    A path that a command would take for an option or a home folder is written with ``./`` before it.

    Examples:
        >>> shell("voltphase", "report", Path("my run"))
        "voltphase report 'my run'"
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str | Path) -> str:
    text = str(word)
    if isinstance(word, Path) and text.startswith(("-", "~")):
        text = f".{os.sep}{text}"
    if _UNPRINTABLE.search(text) is None:
        return shlex.quote(text)
    # Bytes in the quotes of bash, zsh and ksh, in which nothing needs to be shown as it is.
    plain = {*range(0x20, 0x7F)} - {*b"'\\"}
    return "$'" + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in os.fsencode(text)) + "'"


def shown(value: object) -> str:
    """Return a value as a sentence names it: on one line, cut after 60 characters.

    Examples:
        >>> shown([1,
        ...        2])
        '[1, 2]'
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a whole number of too many digits, or a class whose repr fails
        text = f"a {type(value).__name__} that cannot be written out"
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
