"""The installed package: its version, the libraries that its light distribution leaves to extras, and Triton."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from voltphase.core.errors import MissingLibraryError

#: Distributions that bring this package. Both hold all of it; the second brings fewer libraries.
DISTRIBUTIONS: Final = ("voltphase", "voltphase-light")

_EXTRAS: Final = {
    "lightning": "train",
    "optuna": "train",
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
    "gdstk": "fabrication",
    "ti_plm": "plm",
    "psycopg": "postgresql",
    "submitit": "slurm",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
}
# What `voltphase` brings too; the rest are extras of both.
_BROUGHT: Final = ("train", "report", "cli")


def package_version() -> str:
    """Return the version of the installed package, as the tag it was built from says.

    Examples:
        >>> package_version().split(".")[0]
        '0'
    """
    from importlib.metadata import PackageNotFoundError, version  # here, for a command line that starts at once

    try:
        return version(_distribution())
    except PackageNotFoundError:
        return "0+unknown"


def _distribution() -> str:
    """Return the name of the distribution that is installed, that of the whole if none is known."""
    from importlib.metadata import PackageNotFoundError, version

    for distribution in DISTRIBUTIONS:
        try:
            version(distribution)
        except PackageNotFoundError:
            continue
        return distribution
    return DISTRIBUTIONS[0]


def triton_obstacle(device: str) -> str | None:
    """Return why kernels written in Triton cannot run on a type of device, such as ``"cuda"``, or None if they can.

    It is the part of a sentence after "because". They run on a CUDA GPU; on a CPU only where the variable
    ``TRITON_INTERPRET=1`` asks for Triton's interpreter, which is slow and for tests.

    Examples:
        >>> triton_obstacle("mps")
        'its kernels run on CUDA GPUs alone'
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device != "cuda" and not (device == "cpu" and interpreted):
        return "its kernels run on CUDA GPUs alone"
    return None if _has_triton() else "Triton is not installed (pip install triton)"


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


@contextmanager
def needing_extras() -> Iterator[None]:
    """Say what to install if an import in this block fails for a library that only an extra brings."""
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if isinstance(error, MissingLibraryError) or library not in _EXTRAS:
            raise
        extra, (whole, light) = _EXTRAS[library], DISTRIBUTIONS
        advice = f"run pip install '{light}[{extra}]', or install {whole}, which brings it"
        if extra not in _BROUGHT:
            advice = f"run pip install '{_distribution()}[{extra}]'"
        raise MissingLibraryError(
            f"expected the library {library}, but it is not installed: {advice}", name=library
        ) from None
