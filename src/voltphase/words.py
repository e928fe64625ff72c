"""Text that came from outside, as it can be shown and typed again."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

# Marks that reorder the text around them, so that a line reads otherwise than it is.
_REORDERING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Return ``text`` as one line that can be printed anywhere: as it is, but for what no terminal shows.

    Control characters (with line ends and the escape that begins a terminal's commands), marks of the writing
    direction, and lone surrogates, which stand for bytes of a file name that are no text, come out as Python writes
    them: ``\\n``, ``\\x1b``, ``\\u202e``, ``\\udcff``.
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(repr(character)[1:-1] if _unprintable(character) else character for character in text)


def shell(*words: str | Path) -> str:
    """Return a command line as it can be typed into a shell, whatever its words hold.

    A path that a command would take for an option or for a home folder is written with ``./`` before it.
    """
    return " ".join(_quoted(_plain_path(word) if isinstance(word, Path) else word) for word in words)


def _unprintable(character: str) -> bool:
    code = ord(character)
    return (
        code < 0x20
        or 0x7F <= code < 0xA0
        or 0xD800 <= code < 0xE000
        or character in "\u2028\u2029"
        or character in _REORDERING
    )


def _plain_path(path: Path) -> str:
    text = str(path)
    return f".{os.sep}{text}" if text.startswith(("-", "~")) else text


def _quoted(word: str) -> str:
    if not any(map(_unprintable, word)):
        return shlex.quote(word)
    # Bytes in the quotes of bash, zsh and ksh, in which nothing needs to be shown as it is.
    encoded = os.fsencode(word)
    return (
        "$'"
        + "".join(chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}" for byte in encoded)
        + "'"
    )
