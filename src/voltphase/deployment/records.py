"""The files of a deployed folder: named with their hashes, and read without trust."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from voltphase.errors import DeploymentError
from voltphase.files import load_array

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class FileRecord:
    """A file of the folder and the SHA-256 of its bytes."""

    name: str
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """The record of a file as it lies on the disk."""
        return cls(path.name, file_digest(path))


def file_digest(path: Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_unchanged(folder: Path, record: FileRecord) -> None:
    """Check that a file still has the hash it was written with.

    Raises:
        DeploymentError: if it has not.
    """
    with reading(folder / record.name):
        unchanged = file_digest(folder / record.name) == record.sha256
    if not unchanged:
        raise DeploymentError(
            f"expected {folder / record.name} as it was deployed, but its SHA-256 differs from the one in "
            f"{MANIFEST_NAME}: restore the file or deploy again"
        )


def read_array(path: Path) -> np.ndarray:
    """An array from an ``.npy`` file; never one that holds Python objects.

    Raises:
        DeploymentError: if the file is missing or is no such array.
    """
    with reading(path):
        return load_array(path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong with reading ``path`` in here into a DeploymentError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DeploymentError(f"expected the file {path}, but it is missing: restore it or deploy again") from error
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise DeploymentError(
            f"expected to read {path}, but it is damaged or no file of its kind ({error}): restore it or deploy again"
        ) from error
