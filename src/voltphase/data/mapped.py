"""Arrays that stay in their files, of which each batch is read when it is needed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import DataError
from voltphase.core.limits import available_memory, require_memory

#: Part of the free memory above which an array stays in its file: below it is read at once, and each step is as fast as
#: with any other array in memory.
MOST: Final = 0.25
# Types that are taken as they are stored; others become another one, and so are read.
_AS_STORED: Final = (np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class MappedFile:
    """A file of which batches are read, as it was when it was mapped into memory.

    Attributes:
        path: Its path.
        state: What says whether it is the same file, and as long and as old as it was.
    """

    path: str
    state: tuple[int, int, int, int]

    @classmethod
    def of(cls, array: object) -> MappedFile | None:
        """Return the file of a memory-mapped array; None if it has no name."""
        name = getattr(array, "filename", None)
        state = None if name is None else _state(name)
        return None if name is None or state is None else cls(str(name), state)

    def require_same(self) -> None:
        """Refuse a file that has been written to since: where it is shorter now, reading it would end the process.

        Whoever has removed it, or put another file in its place, has left this one as it is for who reads it.

        Raises:
            DataError: if it has been.
        """
        now = _state(self.path)
        if now is not None and now[:2] == self.state[:2] and now != self.state:
            raise DataError(
                f"expected {self.path} to stay as it is while batches are read from it, but it has been written to: "
                "restore it, or train again with what it holds now"
            )


def _state(path: str | Path) -> tuple[int, int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def mapped(value: object, what: str) -> Tensor | None:
    """Return a large memory-mapped array as a tensor that shares its pages, or None for anything else.

    The system reads pages of the file as they are needed, keeps them as long as it has room, and drops them where it
    has none. Nothing may be written to them.

    Args:
        value: Anything; of arrays that ``numpy.load(..., mmap_mode="r")`` or ``numpy.memmap`` give, those of uint8,
            float32 or float64 that take more than a quarter of the memory that is free.
        what: What they are called.

    Raises:
        DataError: if it is a memory-mapped array of another type that does not fit into memory.
    """
    if not isinstance(value, np.memmap) or value.nbytes <= MOST * available_memory():
        return None
    if value.dtype in _AS_STORED and value.flags.c_contiguous:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(np.asarray(value))
    advice = "save them with numpy.save as uint8 or float32, images first, which are read from their file by batches"
    require_memory(4.0 * value.nbytes, f"reading {what}", DataError, advice)
    return None
