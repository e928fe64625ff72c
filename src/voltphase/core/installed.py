"""The installed package: its version, and the libraries that its light distribution leaves to extras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from voltphase.core.errors import MissingLibraryError

#: Distributions that bring this package. Both hold all of it; the second brings fewer libraries.
DISTRIBUTIONS: Final = ("voltphase", "voltphase-light")

_EXTRAS: Final = {
    "filelock": "train",
    "lightning": "train",
    "PIL": "train",
    "pooch": "train",
    "pydantic": "train",
    "safetensors": "train",
    "sklearn": "train",
    "yaml": "train",
    "matplotlib": "report",
    "rich": "train",
    "typer": "cli",
    "openpyxl": "spreadsheet",
}


def package_version() -> str:
    """Return the version of the installed package, as the tag it was built from says.

    Examples:
        >>> package_version().split(".")[0]
        '0'
    """
    from importlib.metadata import PackageNotFoundError, version  # here, for a command line that starts at once

    for distribution in DISTRIBUTIONS:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "0+unknown"


@contextmanager
def needing_extras() -> Iterator[None]:
    """Say what to install if an import in this block fails for a library that only an extra brings.

    Raises:
        MissingLibraryError: if such a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if isinstance(error, MissingLibraryError) or library not in _EXTRAS:
            raise
        raise MissingLibraryError(
            f"expected the library {library}, but it is not installed: run pip install "
            f"'voltphase-light[{_EXTRAS[library]}]', or install voltphase, which brings all libraries",
            name=library,
        ) from None
