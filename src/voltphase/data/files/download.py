"""Fetching a file with its checksum from the first mirror that has it."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voltphase.core.errors import DataError
from voltphase.core.files import atomic_path, write_errors

_SECONDS_TO_CONNECT = 10
_SECONDS_BETWEEN_BYTES = 30
_CHUNK_BYTES = 1 << 16


def fetch(path: Path, mirrors: Sequence[str], md5: str, *, advice: str) -> None:
    """Download ``path.name`` from the first of ``mirrors`` that gives it whole, and write it to ``path``.

    Nothing is left behind when it fails, not even the folders made for it. Where standard error is a terminal, it shows
    a progress bar. Mirrors are addresses of folders, each ending in a slash; the error ends with ``advice``.

    Raises:
        DataError: if no mirror can be reached or none gives a file with this checksum.
        OutputError: if the file cannot be written.
    """
    with _folder(path.parent), atomic_path(path) as temporary:
        complaints = []
        for mirror in mirrors:
            complaint = _try(mirror + path.name, temporary, md5)
            if complaint is None:
                return
            complaints.append(f"{mirror} {complaint}")
        raise DataError(f"cannot download {path.name} ({'; '.join(complaints)}): {advice}")


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
