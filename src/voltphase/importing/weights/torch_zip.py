"""The tensors in a file of ``torch.save``, read without executing anything.

Such a file is a ZIP archive. Each ``data/N`` in it is the plain bytes of a storage; which tensors are views of which is
said in ``data.pkl``, a program for Python's unpickler. That program is not run. It is read as a text, by
`pickletools.genops`, and followed with strings, numbers, lists and dictionaries alone: what it would import is only
ever looked at as a name, and of all calls that it may ask for, those that make a dictionary or a tensor are known here.
"""

from __future__ import annotations

import math
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DataError
from voltphase.core.files import read_errors
from voltphase.core.limits import require_memory

#: What to do where a file holds more than tensors.
ADVICE: Final = "save the tensors alone, by torch.save(model.state_dict(), path) or as safetensors"

# Far more than names and shapes of a million tensors take.
_LARGEST_PROGRAM: Final = 64 << 20
_DTYPES: Final = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch ComplexFloatStorage": "<c8",
    "torch ComplexDoubleStorage": "<c16",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "<i1",
    "torch ByteStorage": "<u1",
    "torch BoolStorage": "?",
}
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS: Final = frozenset(
    ["BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"]
)


@dataclass(frozen=True)
class _Name:
    """What the program would import: its name, nothing else."""

    name: str


def read_torch(path: Path) -> Any:
    """Return what a file of ``torch.save`` holds, with arrays for tensors: strings, numbers, lists and dictionaries.

    Args:
        path: Path of the file.

    Raises:
        DataError: if it is no such file, is damaged, was written before PyTorch 1.6, or holds more than tensors.
    """
    with read_errors(path, DataError):
        try:
            with zipfile.ZipFile(path) as archive:
                return _Reader(archive, path).read()
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(
                f"expected a ZIP archive as torch.save writes it in {path}, but it is none, or one of PyTorch before "
                f"1.6: {ADVICE}"
            ) from error
        except (EOFError, LookupError, OverflowError, RuntimeError, TypeError, ValueError, struct.error) as error:
            raise DataError(
                f"expected tensors in {path}, but it is damaged ({' '.join(str(error).split()):.100})"
            ) from error


@dataclass
class _Reader:
    """Follows the program in an archive.

    Attributes:
        archive: The archive.
        path: Its path, for sentences.
    """

    archive: zipfile.ZipFile
    path: Path
    _stack: list[Any] = field(default_factory=list)
    _marks: list[int] = field(default_factory=list)
    _memory: dict[int, Any] = field(default_factory=dict)
    _storages: dict[str, NDArray[Any]] = field(default_factory=dict)
    _folder: str = ""

    def read(self) -> Any:
        programs = [name for name in self.archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(programs) != 1:
            raise DataError(f"expected a file of torch.save, but {self.path} holds no data.pkl: {ADVICE}")
        self._folder = programs[0].removesuffix("data.pkl")
        if f"{self._folder}byteorder" in self.archive.namelist() and self._bytes("byteorder", 16) != b"little":
            raise DataError(f"expected little-endian numbers in {self.path}, but got others: {ADVICE}")
        for operation, argument, _ in pickletools.genops(self._bytes("data.pkl", _LARGEST_PROGRAM)):
            if operation.name == "STOP":
                return self._stack.pop()
            self._follow(operation.name, argument)
        raise DataError(f"expected tensors in {self.path}, but it is cut off")

    def _follow(self, name: str, argument: Any) -> None:
        if name in ("PROTO", "FRAME"):
            return
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name == "GLOBAL":
            self._stack.append(_Name(argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memory[argument] = self._stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memory[argument])
        elif name == "MARK":
            self._marks.append(len(self._stack))
        elif (follow := _FOLLOW.get(name)) is not None:
            follow(self)
        else:
            self._refuse(f"Python objects ({name.lower()})")

    def _refuse(self, what: str) -> None:
        raise DataError(f"expected tensors and nothing else in {self.path}, but it holds {what}: {ADVICE}")

    def _since_mark(self) -> list[Any]:
        place = self._marks.pop()
        found = self._stack[place:]
        del self._stack[place:]
        return found

    def _last(self, count: int) -> list[Any]:
        found = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return found

    def _put(self, pairs: list[Any]) -> None:
        into = self._stack[-1]
        if not isinstance(into, dict) or not all(isinstance(key, str | int) for key in pairs[::2]):
            self._refuse("Python objects")
        into.update(zip(pairs[::2], pairs[1::2], strict=True))

    def _append(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            self._refuse("Python objects")
        self._stack[-1].extend(items)

    def _call(self) -> None:
        called, given = self._last(2)
        name = called.name if isinstance(called, _Name) else "an object"
        if name == "collections OrderedDict" and given == ():
            self._stack.append({})
        elif name == "torch._utils _rebuild_tensor_v2":
            self._stack.append(_tensor(*given[:4]))
        elif name == "torch._utils _rebuild_parameter":
            self._stack.append(given[0])
        else:
            self._refuse(name.replace(" ", "."))

    def _set_state(self) -> None:
        # Notes of PyTorch on a state dict. They are attributes of it, and none of its content.
        self._stack.pop()
        if not isinstance(self._stack[-1], dict):
            self._refuse("Python objects")

    def _load_storage(self) -> None:
        what, kind, key, _, count = self._stack.pop()
        name = kind.name if isinstance(kind, _Name) else "an object"
        if what != "storage" or name not in _DTYPES:
            self._refuse(f"numbers of the type {name.replace(' ', '.')}")
        if key not in self._storages:
            dtype = np.dtype(_DTYPES[name])
            content = self._bytes(f"data/{key}", count * dtype.itemsize)
            self._storages[key] = np.frombuffer(content, dtype=dtype)
        self._stack.append(self._storages[key])

    def _bytes(self, name: str, largest: int) -> bytes:
        entry = self.archive.getinfo(f"{self._folder}{name}")
        # torch.save compresses nothing: what is compressed may be any size.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > largest:
            raise ValueError(f"{name} is not as torch.save writes it")
        require_memory(2.0 * entry.file_size, f"reading {self.path}", DataError, "free memory")
        return self.archive.read(entry)


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> NDArray[Any]:
    """Return a copy of a view of a storage, once it lies within it."""
    if not isinstance(storage, np.ndarray) or len(size) != len(stride) or min((offset, *size, *stride)) < 0:
        raise ValueError("a tensor is no view of a storage")
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if not math.prod(size):
        return np.empty(size, dtype=storage.dtype)
    # A view whose strides are 0 would be as large as it likes.
    if last >= len(storage) or math.prod(size) > len(storage):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False).copy()


_FOLLOW: Final[dict[str, Callable[[_Reader], None]]] = {
    "EMPTY_TUPLE": lambda reader: reader._stack.append(()),
    "EMPTY_LIST": lambda reader: reader._stack.append([]),
    "EMPTY_DICT": lambda reader: reader._stack.append({}),
    "TUPLE": lambda reader: reader._stack.append(tuple(reader._since_mark())),
    "TUPLE1": lambda reader: reader._stack.append(tuple(reader._last(1))),
    "TUPLE2": lambda reader: reader._stack.append(tuple(reader._last(2))),
    "TUPLE3": lambda reader: reader._stack.append(tuple(reader._last(3))),
    "SETITEM": lambda reader: reader._put(reader._last(2)),
    "SETITEMS": lambda reader: reader._put(reader._since_mark()),
    "APPEND": lambda reader: reader._append(reader._last(1)),
    "APPENDS": lambda reader: reader._append(reader._since_mark()),
    "REDUCE": _Reader._call,
    "BUILD": _Reader._set_state,
    "BINPERSID": _Reader._load_storage,
}
