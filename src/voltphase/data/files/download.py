"""Fetching a file, or those in an archive, with its checksum from the first mirror that has it."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from voltphase.core.errors import DataError
from voltphase.core.files import atomic_path, write_bytes, write_errors

_SECONDS_TO_CONNECT = 10
_SECONDS_BETWEEN_BYTES = 30
_CHUNK_BYTES = 1 << 16


def fetch(path: Path, mirrors: Sequence[str], md5: str, *, advice: str, download: bool = True) -> None:
    """Download ``path.name``, which is missing, from the first mirror that gives it whole, and write it to ``path``.

    Nothing is left behind when it fails, not even the folders made for it. Where standard error is a terminal, it shows
    a progress bar.

    Args:
        path: Where the file belongs.
        mirrors: Addresses of folders that hold it, each ending in a slash, tried in order.
        md5: Its checksum.
        advice: What a sentence ends with that says that there is no such file.
        download: Whether to; otherwise it is said that the file is not there.

    Raises:
        DataError: if nothing is to be downloaded, no mirror can be reached or none gives a file with this checksum.
        OutputError: if the file cannot be written.
    """
    if not download:
        raise DataError(f"expected {path.name} in {path.parent}, but it is not there: {advice}")
    with _folder(path.parent), atomic_path(path) as temporary:
        complaints = []
        for mirror in mirrors:
            complaint = _try(mirror + path.name, temporary, md5)
            if complaint is None:
                return
            complaints.append(f"{mirror} {complaint}")
        raise DataError(f"cannot download {path.name} ({'; '.join(complaints)}): {advice}")


def fetch_with_others(
    path: Path,
    archive: str,
    mirrors: Sequence[str],
    md5: str,
    wanted: Callable[[str], bool],
    *,
    advice: str,
    download: bool = True,
) -> None:
    """Download the archive that holds a missing file, and take it and others out of it into the folder of ``path``.

    Args:
        path: Where the missing file belongs.
        archive: Name of the archive, ``.zip`` or ``.tar.gz``, which does not stay.
        mirrors: Addresses of folders that hold the archive; see :func:`fetch`.
        md5: Checksum of the archive.
        wanted: Function that says of the name of a file in the archive whether it is taken out.
        advice: What a sentence ends with that says that there is no such file.
        download: Whether to; otherwise it is said that the file is not there.

    Raises:
        DataError: if the archive cannot be fetched, or does not hold the file.
        OutputError: if a file cannot be written.
    """
    packed = path.parent / archive
    fetch(packed if download else path, mirrors, md5, advice=advice, download=download)
    for name, read in _content(packed):
        if wanted(name):
            write_bytes(path.parent / name, read())
    packed.unlink()
    if not path.is_file():
        raise DataError(f"expected {path.name} in {archive}, but it is not there: {advice}")


def _content(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each file in an archive, without its folder, with a function that reads it."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as files:
            for entry in files.infolist():
                yield Path(entry.filename).name, partial(files.read, entry)
        return
    with tarfile.open(archive) as files:
        for entry in files:
            if (stream := files.extractfile(entry)) is not None:
                yield Path(entry.name).name, stream.read


def _try(url: str, target: Path, md5: str) -> str | None:
    """Download ``url`` over ``target``; on failure the reason, as the predicate of a sentence."""
    import pooch
    import requests

    # Any, because the protocol that pooch declares for downloaders is not the one its own downloaders follow. Its
    # `retrieve` is not used: it raises a ValueError for another checksum and for a malformed proxy alike.
    download: Any = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=_CHUNK_BYTES,
        timeout=(_SECONDS_TO_CONNECT, _SECONDS_BETWEEN_BYTES),
    )
    try:
        download(url, str(target), None)
    except requests.HTTPError as error:
        return f"answered {error}" if error.response is None else f"answered {error.response.status_code}"
    except requests.exceptions.SSLError:
        return "shows no certificate that this machine trusts (see REQUESTS_CA_BUNDLE)"
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        return "broke off"
    except (requests.RequestException, ValueError):
        # A ValueError is of a malformed proxy: our addresses are right. Its own address may hold a password.
        proxies = requests.utils.get_environ_proxies(url)
        through = " through the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names" if proxies else ""
        return f"cannot be reached{through}"
    except OSError as error:
        if error.errno is not None:
            raise
        # Of requests, which has no error of its own for a REQUESTS_CA_BUNDLE that is not there.
        return f"cannot be asked ({' '.join(str(error).split()):.200})"
    with target.open("rb") as stream:
        # MD5 tells a whole file from a damaged one here, and no friend from foe.
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if found == md5 else "gave a file with another checksum"


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make ``folder``, and take away what was made and is still empty if the block fails."""
    made = [candidate for candidate in (folder, *folder.parents) if not candidate.exists()]
    try:
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for candidate in made:
            with contextlib.suppress(OSError):
                candidate.rmdir()
        raise
