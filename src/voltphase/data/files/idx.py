"""The IDX file format of MNIST and its relatives, plain or compressed with gzip.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": a four-byte magic number
(0, 0, type code, number of dimensions), one big-endian 32-bit size per dimension, then the values.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Final

import torch
from torch import Tensor

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path, read_errors
from voltphase.core.limits import require_memory

_GZIP_MAGIC: Final = b"\x1f\x8b"
_UNSIGNED_BYTE: Final = 0x08
# The largest relative of MNIST that is in use, EMNIST's 814,255 images by class, has 0.64 GB.
_LARGEST: Final = 1 << 30

# What lies in the place of an IDX file, by how it begins.
_SOMETHING_ELSE: Final = (
    (b"PK\x03\x04", "is a ZIP archive: unpack it and put the file that is in it in its place"),
    (b"\xfd7zXZ\x00", "is compressed with xz: unpack it"),
    (b"BZh", "is compressed with bzip2: unpack it"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it and put the file that is in it in its place"),
    (b"\x93NUMPY", "is an array of numpy: put the IDX file in its place"),
    (b"<", "is a web page, as servers send it for a file that they do not have: fetch the file again"),
)


def read_idx(path: str | Path, dimensions: int) -> Tensor:
    """Read an IDX file of unsigned bytes.

    No more is read or expanded than the file's header promises, and a header that promises more than 1 GiB is refused:
    a small gzip file may hold any amount of zeros.

    Args:
        path: The file; whether it is compressed is seen from its content, not from its name.
        dimensions: Number of dimensions that it must have: 3 for images, 1 for labels.

    Raises:
        DataError: if the file cannot be read, is damaged, holds something else, or more than 1 GiB or than this machine
            has memory for.
    """
    path = checked_path(path, DataError)
    with read_errors(path, DataError):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise DataError(f"expected an IDX file at {path}, but it is no regular file: put the file in its place")
        with path.open("rb") as stream:
            packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            stream.seek(0)
            if not packed:
                return _read(stream, path, dimensions, os.fstat(stream.fileno()).st_size)
            try:
                with gzip.GzipFile(fileobj=stream) as content:
                    return _read(io.BufferedReader(content), path, dimensions, None)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DataError(
                    f"expected {path} to be a whole gzip file, but it is damaged: fetch it again"
                ) from error


def _read(stream: BinaryIO, path: Path, dimensions: int, whole: int | None) -> Tensor:
    """Read the values that the header promises, and see that nothing follows; ``whole`` is the size where known."""
    begin = stream.read(4)
    wanted = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if begin != wanted:
        raise DataError(_other_content(path, dimensions, wanted, begin + stream.read(4)))
    header = stream.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(
            f"expected {path} to begin with {4 + 4 * dimensions} bytes of header, but it has {4 + len(header)}: "
            "it is cut short, fetch it again"
        )
    shape = struct.unpack(f">{dimensions}I", header)
    size = math.prod(shape)
    words = f"{' x '.join(map(str, shape))} = {size} values"
    if size > _LARGEST:
        raise DataError(
            f"expected {path} to hold at most {_LARGEST} values, but its header promises {words}: it is damaged or no "
            "data set of small grey images, put the right file in its place"
        )
    held = None if whole is None else whole - 4 - len(header)
    if held is not None and held != size:
        raise DataError(f"expected {path} to hold {words}, but it holds {held}: it is damaged, fetch it again")
    if size == 0:
        raise DataError(f"expected {path} to hold values, but it is empty: fetch it again")
    require_memory(2 * size, f"reading {path}", DataError, "free memory, or put a smaller file in its place")
    # A bytearray, because torch warns about tensors over memory that cannot be written.
    content = bytearray(stream.read(size))
    if len(content) != size or stream.read(1):
        held = f"{len(content)}" if len(content) != size else "more"
        raise DataError(f"expected {path} to hold {words}, but it holds {held}: it is damaged, fetch it again")
    return torch.frombuffer(content, dtype=torch.uint8).reshape(shape)


def _other_content(path: Path, dimensions: int, wanted: bytes, begin: bytes) -> str:
    expected = f"expected {path} to be an IDX file of {dimensions}-dimensional bytes (magic {wanted.hex()})"
    if begin.startswith(_GZIP_MAGIC):
        return f"{expected}, but it is compressed twice: unpack it once"
    for magic, what in _SOMETHING_ELSE:
        if begin.lstrip().startswith(magic):
            return f"{expected}, but it {what}"
    kind = begin[:4]
    what = {1: "labels", 3: "grey images", 4: "colour images"}
    if kind[:3] == wanted[:3] and len(kind) == 4 and kind[3] in what:
        return f"{expected}, but it holds {what[kind[3]]} (magic {kind.hex()}): put the right file in its place"
    return f"{expected}, but it begins with {kind.hex() or 'nothing'}: put the right file in its place"
