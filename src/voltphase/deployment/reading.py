"""Reading a JSON file strictly: each value is there and of its type, or an error names the file and the key."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voltphase.core.errors import DeploymentError

_LONGEST_SHOWN = 60
_LARGEST_SIDE = 65536
#: Samples of a plane, 4096 x 4096: more than any modulator has pixels, few enough to be computed while somebody waits.
LARGEST_PLANE = 2**24
_DIGEST_LENGTH = 64


@dataclass(frozen=True)
class Reader:
    """An object of a JSON file, that knows where in the file it lies.

    Every method raises :class:`voltphase.core.errors.DeploymentError` if the key is missing or holds another type.

    Args:
        path: The file.
        where: The dotted keys that lead to the object.
        content: The object.
    """

    path: Path
    where: str
    content: dict[str, Any]

    @classmethod
    def of(cls, path: Path, content: Any) -> Reader:
        """The reader of a whole file, whose content must be an object."""
        if not isinstance(content, dict):
            raise DeploymentError(f"expected a JSON object in {path}, but got {_kind(content)}: deploy again")
        return cls(path, "", content)

    def error(self, sentence: str) -> DeploymentError:
        """An error that names the file and the place in it."""
        place = f"{self.path}, {self.where}" if self.where else f"{self.path}"
        return DeploymentError(f"{place}: {sentence}")

    def child(self, key: str) -> Reader:
        """The object under ``key``."""
        return Reader(self.path, self._place(key), self._typed(key, dict, "an object"))

    def optional_child(self, key: str) -> Reader | None:
        """The object under ``key``, or None where ``null`` stands there."""
        return None if self.value(key) is None else self.child(key)

    def children(self, key: str) -> list[Reader]:
        """The objects of the list under ``key``."""
        children = []
        for index, entry in enumerate(self.entries(key)):
            if not isinstance(entry, dict):
                raise self._unexpected(f"{key}[{index}]", "an object", entry)
            children.append(Reader(self.path, f"{self._place(key)}[{index}]", entry))
        return children

    def entries(self, key: str) -> list[Any]:
        """The list under ``key``."""
        return self._typed(key, list, "a list")

    def text(self, key: str) -> str:
        """The string under ``key``."""
        return self._typed(key, str, "a text")

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of strings under ``key``."""
        entries = self.entries(key)
        if not all(isinstance(entry, str) for entry in entries):
            raise self._unexpected(key, "a list of texts", entries)
        return tuple(entries)

    def one_of(self, key: str, choices: Iterable[str]) -> str:
        """The string under ``key``, one out of ``choices``."""
        value = self.text(key)
        if value not in choices:
            raise self.error(f"expected {key} out of {', '.join(choices)}, but got {value!r}")
        return value

    def file_name(self, key: str) -> str:
        """The name of a file of the same folder under ``key``."""
        value = self.text(key)
        if value in ("", ".", "..") or "/" in value or "\\" in value or "\0" in value:
            raise self.error(f"expected {key} to name a file of the same folder, but got {value!r}")
        return value

    def digest(self, key: str) -> str:
        """The SHA-256 under ``key``, in hexadecimal."""
        value = self.text(key)
        if len(value) != _DIGEST_LENGTH or set(value) - set("0123456789abcdef"):
            raise self.error(
                f"expected a SHA-256 of {_DIGEST_LENGTH} hexadecimal digits as {key}, but got {value!r:.80}"
            )
        return value

    def boolean(self, key: str) -> bool:
        """The truth value under ``key``."""
        return self._typed(key, bool, "true or false")

    def integer(self, key: str) -> int:
        """The integer under ``key``."""
        value = self.value(key)
        if not _is_integer(value):
            raise self._unexpected(key, "an integer", value)
        return value

    def integers(self, key: str, count: int, *, of: Any = None) -> tuple[int, ...]:
        """A list of ``count`` integers: the one under ``key``, or ``of``, an entry of it."""
        value = self.value(key) if of is None else of
        if not isinstance(value, list) or len(value) != count or not all(map(_is_integer, value)):
            raise self._unexpected(key, f"{count} integers", value)
        return tuple(value)

    def pair(self, key: str) -> tuple[int, int]:
        """The (rows, columns) under ``key``."""
        first, second = self.integers(key, 2)
        if not (0 < first <= _LARGEST_SIDE and 0 < second <= _LARGEST_SIDE):
            raise self.error(f"expected {key} of 1 to {_LARGEST_SIDE} samples a side, but got {_kind([first, second])}")
        if first * second > LARGEST_PLANE:
            raise self.error(f"expected {key} of at most {LARGEST_PLANE} samples, but got {first} x {second}")
        return first, second

    def count(self, key: str, most: int) -> int:
        """The integer under ``key``, from 1 to ``most``."""
        value = self.integer(key)
        if not 1 <= value <= most:
            raise self.error(f"expected {key} of 1 to {most}, but got {_kind(value)}")
        return value

    def number(self, key: str) -> float:
        """The finite number under ``key``."""
        value = self.value(key)
        if not _is_number(value):
            raise self._unexpected(key, "a number", value)
        return float(value)

    def within(self, key: str, low: float, high: float) -> float:
        """The number under ``key``, from ``low`` to ``high``."""
        return self._bounded(key, self.number(key), low, high)

    def numbers(
        self, key: str, count: int | None = None, low: float = -math.inf, high: float = math.inf
    ) -> tuple[float, ...]:
        """The list of numbers under ``key``, ``count`` of them if given, each from ``low`` to ``high``."""
        entries = self.entries(key)
        if not all(map(_is_number, entries)) or count not in (None, len(entries)):
            raise self._unexpected(key, "a list of numbers" if count is None else f"{count} numbers", entries)
        return tuple(self._bounded(key, float(entry), low, high) for entry in entries)

    def _bounded(self, key: str, value: float, low: float, high: float) -> float:
        if not low <= value <= high:
            raise self.error(f"expected {key} from {low:g} to {high:g}, but got {value:g}")
        return value

    def _place(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def value(self, key: str) -> Any:
        """Whatever stands under ``key``."""
        if key not in self.content:
            raise DeploymentError(f"{self.path}: expected the key {self._place(key)}, but it is missing: deploy again")
        return self.content[key]

    def _typed(self, key: str, kind: type, words: str) -> Any:
        value = self.value(key)
        if not isinstance(value, kind):
            raise self._unexpected(key, words, value)
        return value

    def _unexpected(self, key: str, words: str, value: Any) -> DeploymentError:
        return DeploymentError(f"{self.path}: expected {words} at {self._place(key)}, but got {_kind(value)}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # Python's integers have no bound, and one beyond the largest float is no number to compute with.
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _kind(value: Any) -> str:
    names = {dict: "an object", bool: "true or false", type(None): "null"}
    shown = names.get(type(value), repr(value))
    return shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "..."
