"""Files: written so that nothing incomplete is ever left under its final name, and read without trust.

Functions that read take ``error``, the class to raise.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import Any, Final

import numpy as np
import psutil
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from voltphase.core.errors import OutputError, VoltphaseError
from voltphase.core.limits import require_memory
from voltphase.core.words import printable, shown

# Far more than any JSON file that voltphase writes.
_LARGEST_JSON: Final = 64 << 20
_LONGEST_SHOWN: Final = 200

#: How the names of files end whose pictures keep each number as it was.
PICTURES: Final = (".png", ".tif", ".tiff", ".bmp")

# Where something is written before it has its name: machine, process and a token. Nothing takes a day to write.
_TEMPORARY: Final = re.compile(r"\.voltphase-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{16}")
_ABANDONED_SECONDS: Final = 86_400
_in_use: set[str] = set()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Provide a temporary path beside that of a file, and rename it to ``path`` if the block succeeds.

    Raises:
        OutputError: if the file cannot be written (missing folder, no permission, full disk).
    """
    path = checked_path(path, OutputError)
    with write_errors(path), _beside(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        # Some writers put a file there that is private.
        temporary.chmod(mode)
        temporary.replace(path)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Provide a temporary folder to fill, and rename it to ``path`` if the block succeeds.

    Raises:
        OutputError: if ``path`` exists already or cannot be written.
    """
    path = checked_path(path, OutputError)
    if path.exists():
        raise OutputError(f"expected a new folder, but {path} exists already: choose another or remove it")
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as temporary:
            temporary.mkdir()
            yield temporary
            temporary.replace(path)


@contextmanager
def write_errors(path: str | PathLike[str]) -> Iterator[None]:
    """Turn an OSError of this block, which writes ``path``, into an OutputError of one sentence."""
    try:
        yield
    except OSError as cause:
        sentence = f"cannot write {_shortened(path)}: {reason_of(cause)}; choose a place that can be written"
        raise OutputError(sentence) from cause


def remove_folder(path: Path) -> None:
    """Remove a folder at once: a killed process leaves all of it, or only a temporary folder."""
    with write_errors(path), _beside(path) as grave:
        path.replace(grave)


def is_temporary(path: Path) -> bool:
    """Return whether a path is named like a folder in which something is written before it has its name."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary folders that killed processes left in ``folder``.

    A temporary folder of this machine is removed if its process has ended, and one of another machine, which cannot be
    asked, if it is older than a day. What cannot be removed stays.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            made_by = _TEMPORARY.fullmatch(path.name)
            if made_by is None or path.name in _in_use:
                continue
            machine, process = made_by[1], int(made_by[2])
            ended = machine == _machine() and (process == os.getpid() or not psutil.pid_exists(process))
            if ended or time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                rmtree(path, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    # A name that is no text, as file names may be, is written with escapes rather than not at all.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON to ``path``, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def load_array(path: Path) -> NDArray[Any]:
    """Return the array of an ``.npy`` file; see :func:`map_array`."""
    return np.array(map_array(path))


def map_array(path: Path) -> NDArray[Any]:
    """Return the array of an ``.npy`` file without reading it, to look at its shape and type before memory is needed.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a plain array, holds Python objects, or is shorter than its header says.
    """
    try:
        return open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # a damaged header is parsed as Python, and may fail in any way that this can
        raise ValueError("no plain array as numpy.save writes it") from error


def read_numbers(path: Path, error: type[VoltphaseError], largest_table: int = 1 << 28) -> NDArray[Any]:
    """Return the numbers in a file as they are stored: an array (NPY), a table (CSV), or a grey picture.

    Args:
        path: Path of the file.
        error: Class of the error to raise.
        largest_table: Bytes that a table may have.

    Raises:
        VoltphaseError: of that class, if there is no such file, it is of another kind or damaged, or has colours.
    """
    suffix = path.suffix.lower()
    with read_errors(path, error):
        require_file(path, error)
        size = path.stat().st_size
    require_memory(32.0 * size, f"reading {path}", error, "free some, or give fewer numbers")
    if suffix == ".npy":
        with read_errors(path, error):
            try:
                return load_array(path)
            except ValueError as cause:
                raise error(f"expected an array as numpy.save writes it, but got {cause}") from cause
    if suffix == ".csv":
        try:
            return np.loadtxt(read_text(path, error, largest_table).splitlines(), delimiter=",", ndmin=2)
        except ValueError as cause:
            raise error(f"expected rows of numbers with commas between, but got {cause!s:.100}") from cause
    if suffix in PICTURES:
        found = stored_picture(path)
        if not isinstance(found, str) and found.ndim > 2:
            found = "has colours: save it in grey"
        if isinstance(found, str):
            raise error(f"expected a grey picture, but it {found}")
        return found
    kinds = ", ".join(known[1:].upper() for known in PICTURES)
    raise error(f"expected a file NPY, CSV, {kinds}, but got {suffix or 'a name without ending'}")


def stored_picture(file: Path) -> NDArray[Any] | str:
    """Return a picture as it is stored: ``rows x columns`` of uint8 or uint16, or ``rows x columns x 3`` with colours.

    Colours that are all grey are none. What is no such picture is not raised but told, for others of many to be read.

    Args:
        file: Path of the picture.

    Returns:
        The numbers, or why there are none, as the predicate of a sentence.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            if getattr(picture, "n_frames", 1) > 1:
                return "holds several pictures"
            # What Pillow has no mode for it reads with 8 bits only.
            stored = str(picture.tile[0][3]) if picture.tile else ""
            if "16" in stored and not picture.mode.startswith("I;16"):
                return "has colours or transparency of 16 bits: save it with 8, or in grey"
            picture.load()
            if picture.mode in ("1", "L"):
                return np.asarray(picture.convert("L"))
            if picture.mode.startswith("I;16"):
                return np.asarray(picture).astype(np.uint16)
            if picture.mode not in ("P", "RGB", "LA", "RGBA", "PA"):
                return f"is of Pillow's mode {picture.mode}: save it with 8 or 16 bits in grey"
            pixels = np.asarray(picture.convert("RGBA"))
    except UnidentifiedImageError:
        return "is no picture"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"cannot be read ({' '.join(str(error).split()):.80})"
    if (pixels[..., 3] < 255).any():
        return "has transparent parts: save it without"
    if (pixels[..., :1] == pixels[..., :3]).all():
        return pixels[..., 0]
    return pixels[..., :3]


def checked_path(path: str | PathLike[str], error: type[VoltphaseError], what: str = "a path") -> Path:
    """Return ``path`` with ``~`` replaced by the home folder, after asking the system whether such a path can exist.

    Every path that a user gives goes through here first, so that one that cannot be used at all (too long, with a NUL
    or a lone surrogate, below a folder that may not be searched, a pipe or a device) is an error of one sentence, with
    ``what`` would do where it is of another type.
    """
    if not isinstance(path, str | PathLike):
        raise error(f"expected {what}, but got {shown(path)}: give a text or a pathlib.Path")
    text = os.fsdecode(path)
    if not text:
        raise error("expected a path, but got an empty text: name a file or a folder, the current one by a dot")
    try:
        checked = Path(text)
        if text.startswith("~"):
            checked = checked.expanduser()
        elif str(checked).startswith("~"):  # Path drops the ./ that tells a name from a home folder
            checked = Path.cwd() / checked
        mode = stat.S_IFDIR
        with suppress(FileNotFoundError, NotADirectoryError):
            mode = checked.stat().st_mode
    except RuntimeError as cause:
        raise error(f"expected a path, but there is no home folder for {_shortened(path)}: write it in full") from cause
    except (OSError, ValueError) as cause:
        reason = reason_of(cause) if isinstance(cause, OSError) else "it holds a character that no path may"
        raise error(f"cannot use the path {_shortened(path)}: {reason}; check it and its permissions") from cause
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        # One would wait for ever, another gives or takes bytes without end.
        raise error(f"expected a file or a folder, but {_shortened(path)} is no regular file: choose another")
    return checked


@contextmanager
def read_errors(path: str | PathLike[str], error: type[VoltphaseError]) -> Iterator[None]:
    """Turn an OSError of this block, or a text that is not UTF-8, into an error of one sentence about ``path``."""
    try:
        yield
    except OSError as cause:
        named = _shortened(cause.filename or path)
        raise error(f"cannot read {named}: {reason_of(cause)}; check the path and its permissions") from cause
    except UnicodeDecodeError as cause:
        raise error(f"cannot read {_shortened(path)}: it is not UTF-8 text") from cause


@contextmanager
def given_path(path: str | PathLike[str], error: type[VoltphaseError]) -> Iterator[Path]:
    """Provide a path that a user gave, checked, and turn what the system says against reading it into one sentence."""
    path = checked_path(path, error)
    with read_errors(path, error):
        yield path


def read_text(path: Path, error: type[VoltphaseError], largest: int) -> str:
    """Return the text of a regular file in UTF-8, of at most ``largest`` bytes."""
    with read_errors(path, error):
        require_file(path, error)
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
        if len(content) > largest:
            size = f"{largest >> 20} MiB" if largest >> 20 else f"{largest >> 10} KiB"
            raise error(f"expected a file of at most {size}, but {_shortened(path)} is larger")
        return content.decode("utf-8")


def require_file(path: Path, error: type[VoltphaseError]) -> None:
    """Refuse a path that exists but is not a regular file: a folder, or a pipe or device that is read without end."""
    if path.exists() and not path.is_file():
        what = "a folder and no regular file" if path.is_dir() else "no regular file"
        raise error(f"expected a file at {_shortened(path)}, but it is {what}: check the path")


def read_json(path: Path, error: type[VoltphaseError]) -> Any:
    """Return the content of a JSON file.

    What cannot be read, is no regular file or is larger than 64 MiB is refused, and what is not JSON: nested too deep,
    an integer of thousands of digits, NaN or a key that comes twice.
    """
    text = read_text(path, error, _LARGEST_JSON)
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except (RecursionError, ValueError) as cause:
        wrong = "nested too deep" if isinstance(cause, RecursionError) else f"damaged: {cause!s:.200}"
        raise error(f"expected JSON in {path}, but it is {wrong}") from cause


def reason_of(error: OSError) -> str:
    """Return what the system says of an error, as part of a sentence."""
    return (error.strerror or str(error)).lower()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        repeated = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"the key {repeated!r} comes twice")
    return content


def _shortened(path: object) -> str:
    """Return a path as a sentence can show it: printable, and at most a few lines long."""
    text = printable(os.fsdecode(path) if isinstance(path, str | bytes | PathLike) else str(path))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    # In a folder of its own, where it is made like any file and so with the permissions of new files: the umask that
    # says what these are cannot be read without setting it, for all threads. Not a TemporaryDirectory: Ctrl-C while
    # that is being made or removed leaves it behind.
    remove_abandoned(path.parent)
    folder = path.parent / f".voltphase-{_machine()}-{os.getpid()}-{token_hex(8)}"
    try:
        _in_use.add(folder.name)
        folder.mkdir()
        yield folder / path.name
    finally:
        try:
            rmtree(folder, ignore_errors=True)
        except (KeyboardInterrupt, OSError):
            # Ctrl-C is all it does not ignore, and may make it close a folder twice, which is an OSError.
            rmtree(folder, ignore_errors=True)
            raise KeyboardInterrupt from None
        finally:
            _in_use.discard(folder.name)


def _machine() -> str:
    """Return what stands for this machine, or for this container on it: where a process number means one process."""
    about = socket.gethostname()
    with suppress(OSError):  # not on Linux
        about += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:8]
