"""The files of a deployed folder, written with their hashes and read without trust."""

from __future__ import annotations

import hashlib
import json
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from voltphase.core.errors import DeploymentError
from voltphase.core.files import map_array
from voltphase.core.limits import require_memory
from voltphase.deployment.records import ArrayRecord, FileRecord

MANIFEST_NAME: Final = "manifest.json"
#: Key of the manifest's own checksum.
CHECKSUM: Final = "manifest_sha256"

# Bytes of a text, or of what surrounds an array or a picture in its file.
_LARGEST_REST: Final = 1 << 20


def record_file(path: Path) -> FileRecord:
    """Return the record of a file as it lies on the disk."""
    return FileRecord(file=path.name, sha256=_digest(path))


def write_array(path: Path, array: NDArray[np.generic]) -> ArrayRecord:
    """Write an array in C order and little-endian, on any machine."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    np.save(path, array, allow_pickle=False)
    return ArrayRecord(file=path.name, sha256=_digest(path), dtype=array.dtype.str)


def read_file(folder: Path, record: FileRecord, largest: int = 0) -> bytes:
    """Return the content of a file that still has the hash it was written with, at most 1 MiB more than ``largest``."""
    content = _content(folder / record.file, largest)
    check_content(folder, record, content)
    return content


def read_files(folder: Path, records: Sequence[FileRecord], largest: int) -> dict[str, bytes]:
    """Return the content of files by their names, once there is memory for all of them, whatever their hashes are.

    A file that is byte for byte another of them is refused.
    """
    files = {record.file: record for record in records}
    size = 0
    for name in files:
        with reading(folder / name):
            size += _checked_size(folder / name, largest)
    advice = "read them on a larger machine, or restore them if they never were that large"
    require_memory(size, f"the maps of all layers in {folder}", DeploymentError, advice)
    contents = {name: _content(folder / name, largest) for name in files}
    owners = {record.sha256: name for name, record in files.items()}
    for name, content in contents.items():
        owner = owners.get(found := hashlib.sha256(content).hexdigest())
        if owner is not None and found != files[name].sha256:
            raise DeploymentError(
                f"expected {folder / name} as it was deployed, but it holds what {owner} was deployed with: they were "
                "mixed up; restore the file or deploy again"
            )
    return contents


def was_changed(record: FileRecord, content: bytes) -> bool:
    """Return whether what a file was read as has another hash than the file that was deployed."""
    return hashlib.sha256(content).hexdigest() != record.sha256


def check_content(folder: Path, record: FileRecord, content: bytes) -> None:
    """Refuse what a file was read as, if it has another hash than the file that was deployed."""
    _check_digest(folder / record.file, record, hashlib.sha256(content).hexdigest())


def read_array(folder: Path, record: ArrayRecord, shape: tuple[int, ...], kind: str, what: str) -> NDArray[Any]:
    """Return the array of an ``.npy`` file of a shape and of a kind of numbers: numpy's ``"u"``, ``"i"`` or ``"f"``."""
    path = folder / record.file
    with reading(path):
        _check_regular(path)
        mapped = map_array(path)
    if mapped.dtype.kind != kind or mapped.shape != shape or record.dtype not in (None, mapped.dtype.str):
        typed = f" of dtype {record.dtype}" if record.dtype else ""
        raise DeploymentError(
            f"expected {what} of shape {shape} in {path}{typed}, but got {mapped.dtype} of shape {mapped.shape}: "
            "restore the file or deploy again"
        )
    with reading(path):
        _checked_size(path, mapped.nbytes)
        _check_digest(path, record, _digest(path))
    # In this machine's byte order, as torch wants it.
    return np.array(mapped, dtype=mapped.dtype.newbyteorder("="))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong with reading ``path`` in this block into a DeploymentError."""
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
    if not stat.S_ISREG(path.stat().st_mode):
        raise DeploymentError(f"expected the file {path}, but it is no regular file: restore it or deploy again")


def _content(path: Path, largest: int) -> bytes:
    with reading(path):
        _checked_size(path, largest)
        return path.read_bytes()


def _checked_size(path: Path, largest: int) -> int:
    _check_regular(path)
    size = path.stat().st_size
    if size > largest + _LARGEST_REST:
        raise DeploymentError(
            f"expected at most {largest + _LARGEST_REST} bytes in {path}, but it has {size}: restore the file or "
            "deploy again"
        )
    return size


def _check_digest(path: Path, record: FileRecord, digest: str) -> None:
    if digest != record.sha256:
        raise DeploymentError(
            f"expected {path} as it was deployed, but its SHA-256 differs from the one in {MANIFEST_NAME}: the file "
            "was changed after deployment; restore it or deploy again"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest_digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its checksum, as its conventions say."""
    rest = {key: value for key, value in content.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def dump(value: Any, indent: str = "") -> str:
    """Return JSON with every list or object that holds no further one on a line of its own."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(child, dict | list) for child in children):
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {dump(child, inner)}" for key, child in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + dump(child, inner) for child in value) + f"\n{indent}]"
