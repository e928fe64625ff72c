"""The files of a deployed folder: named with their hashes, and read without trust."""

from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from voltphase.core.errors import DeploymentError
from voltphase.core.files import map_array

MANIFEST_NAME = "manifest.json"

# Of a text or of what surrounds an array or a picture in its file, in bytes.
_LARGEST_REST = 1 << 20
_PNG_MODES = {8: ("L",), 16: ("I;16", "I;16B", "I")}


@dataclass(frozen=True)
class FileRecord:
    """A file of the folder.

    Args:
        name: Its name.
        sha256: SHA-256 of its bytes, in hexadecimal.
        dtype: Type of the numbers of an array as numpy writes it, such as ``"<f4"``. None of another file, or where
            the manifest does not say it.
    """

    name: str
    sha256: str
    dtype: str | None = None

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """The record of a file as it lies on the disk."""
        return cls(path.name, _digest(path))


def write_array(path: Path, array: NDArray[np.generic]) -> FileRecord:
    """Write an array in C order and little-endian, on any machine."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    np.save(path, array, allow_pickle=False)
    return FileRecord(path.name, _digest(path), array.dtype.str)


def check_unchanged(folder: Path, record: FileRecord, largest: int = 0) -> None:
    """Check that a file still has the hash it was written with.

    Args:
        folder: That holds it.
        record: What it was when it was written.
        largest: Bytes of its content; a file much larger than that is not read.

    Raises:
        DeploymentError: if it has not.
    """
    path = folder / record.name
    _check_size(path, largest)
    with reading(path):
        unchanged = _digest(path) == record.sha256
    if not unchanged:
        raise DeploymentError(
            f"expected {path} as it was deployed, but its SHA-256 differs from the one in {MANIFEST_NAME}: the file "
            "was changed after deployment; restore it or deploy again"
        )


def read_array(folder: Path, record: FileRecord, shape: tuple[int, ...], kind: str, what: str) -> NDArray[np.generic]:
    """An array from an ``.npy`` file; never one that holds Python objects, nor one of another shape.

    Args:
        folder: That holds the file.
        record: What it was when it was written.
        shape: It has to have.
        kind: The kind of number it has to hold, as numpy's ``dtype.kind``: one of ``"u"``, ``"i"``, ``"f"``.
        what: It holds, for messages.

    Raises:
        DeploymentError: if the file is missing, was changed, or is no such array.
    """
    path = folder / record.name
    _check_regular(path)
    with reading(path):
        mapped = map_array(path)
    if mapped.dtype.kind != kind or mapped.shape != shape or record.dtype not in (None, mapped.dtype.str):
        typed = f" of dtype {record.dtype}" if record.dtype else ""
        raise DeploymentError(
            f"expected {what} of shape {shape} in {path}{typed}, but got {mapped.dtype} of shape {mapped.shape}: "
            "restore the file or deploy again"
        )
    check_unchanged(folder, record, mapped.nbytes)
    # In this machine's byte order, as torch wants it.
    return np.array(mapped, dtype=mapped.dtype.newbyteorder("="))


def read_image(folder: Path, record: FileRecord, shape: tuple[int, int], bits: int) -> NDArray[np.uint16]:
    """The grey values of a PNG.

    Args:
        folder: That holds the file.
        record: What it was when it was written.
        shape: (rows, columns) it has to have.
        bits: 8 or 16, of its grey values.

    Raises:
        DeploymentError: if the file is missing, was changed, or is no such picture.
    """
    path, (rows, columns) = folder / record.name, shape
    _check_size(path, 2 * rows * columns * bits // 8)
    # What makes PIL warn of a picture that may fill the memory is an error here.
    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=["PNG"]) as image:
            if image.size != (columns, rows):
                raise DeploymentError(
                    f"expected {rows} rows x {columns} columns in {path}, but got {image.height} x {image.width}: "
                    "restore the file or deploy again"
                )
            if image.mode not in _PNG_MODES[bits]:
                raise DeploymentError(
                    f"expected a grey image of {bits} bits in {path}, but its mode is {image.mode}: restore the file "
                    "or deploy again"
                )
            codes = np.asarray(image).astype(np.uint16)
    check_unchanged(folder, record, 2 * codes.nbytes)
    _check_chunks(path)
    return codes


def _check_chunks(path: Path) -> None:
    """Refuse what others may show otherwise: a turn, transparency, a gamma, a second frame, bytes at the end."""
    with reading(path):
        content = path.read_bytes()
        found, at = [], 8
        while at + 12 <= len(content):
            (length,) = struct.unpack_from(">I", content, at)
            found.append(content[at + 4 : at + 8])
            at += 12 + length
    expected = [b"IHDR", *[b"IDAT"] * (len(found) - 2), b"IEND"]
    if found != expected or at != len(content):
        raise DeploymentError(
            f"expected a grey picture and nothing else in {path}, but it holds more, or less, than such a PNG has: "
            "restore the file or deploy again"
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong with reading ``path`` in here into a DeploymentError."""
    pictures = (Image.DecompressionBombError, Image.DecompressionBombWarning, struct.error, zlib.error)
    try:
        yield
    except FileNotFoundError as error:
        raise DeploymentError(f"expected the file {path}, but it is missing: restore it or deploy again") from error
    except (OSError, ValueError, EOFError, SyntaxError, *pictures) as error:
        raise DeploymentError(
            f"expected to read {path}, but it is damaged or no file of its kind ({error}): restore it or deploy again"
        ) from error


def _check_regular(path: Path) -> None:
    # A pipe would be waited for, and what another device gives has no end.
    with reading(path):
        if path.stat() and not path.is_file():
            raise DeploymentError(f"expected the file {path}, but it is no regular file: restore it or deploy again")


def _check_size(path: Path, largest: int) -> None:
    _check_regular(path)
    with reading(path):
        size = path.stat().st_size
    if size > largest + _LARGEST_REST:
        raise DeploymentError(
            f"expected at most {largest + _LARGEST_REST} bytes in {path}, but it has {size}: restore the file or "
            "deploy again"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
