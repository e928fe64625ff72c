"""A file of trained weights as named arrays, and what the weights of a program say of its system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
from numpy.typing import NDArray

from voltphase.config import OpticsConfig
from voltphase.core.errors import DataError
from voltphase.core.files import checked_path, read_errors, require_file
from voltphase.core.limits import require_memory
from voltphase.importing.design import Kind
from voltphase.importing.weights.torch_zip import ADVICE, read_torch

Tensors = Mapping[str, NDArray[Any]]


class Travel(NamedTuple):
    """How light travels in another program.

    Attributes:
        method: Name of the method of propagation here that is the same, or None if the weights do not say.
        note: What is to be said of it.
    """

    method: str | None
    note: str


@dataclass(frozen=True)
class ForeignLayers:
    """The layers that trained weights of another program hold.

    Attributes:
        program: Name of the program.
        names: Name of each layer's module, in the order light meets them.
        maps: The numbers of each layer, ``rows x columns``.
        kind: What the numbers are.
        optics: What the weights say of the section ``optics``, by its keys.
        levels: Number of states that the levels are of, where they are levels.
        notes: Sentences on what is taken from the weights and how.
        travel: Function of the whole section ``optics`` that refuses one that contradicts the weights, and returns how
            light travels in the program.
    """

    program: str
    names: list[str]
    maps: list[NDArray[Any]]
    kind: Kind
    travel: Callable[[OpticsConfig], Travel]
    optics: dict[str, Any] = field(default_factory=dict)
    levels: int | None = None
    notes: tuple[str, ...] = ()


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by their names.

    Args:
        path: Path of a file of ``torch.save``, ``.pt`` or ``.pth``, or of safetensors.

    Raises:
        DataError: if it is missing, of another kind, damaged, or holds something else.
    """
    path = checked_path(path, DataError)
    if not path.exists():
        raise DataError(f"expected weights in {path}, but there is no such file: correct maps.weights")
    require_file(path, DataError)
    if path.suffix.lower() == ".safetensors":
        with read_errors(path, DataError):
            require_memory(2.0 * path.stat().st_size, f"reading {path}", DataError, "free memory")
            try:
                with safetensors.safe_open(path, framework="np") as file:
                    return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            except (safetensors.SafetensorError, TypeError) as error:
                raise DataError(f"expected tensors in {path}, but it cannot be read: {error}") from error
    if path.suffix.lower() not in (".pt", ".pth"):
        raise DataError(f"expected weights in a file .pth, .pt or .safetensors, but got {path}: {ADVICE}")
    return _state_dict(read_torch(path), path)


def modules_of(tensors: Tensors) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the tensors of each module by the module's dotted name, in the order that they come in."""
    modules: dict[str, dict[str, NDArray[Any]]] = {}
    for key, tensor in tensors.items():
        module, _, name = key.rpartition(".")
        modules.setdefault(module, {})[name] = tensor
    return modules


def _state_dict(content: Any, path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dict, or of the only one in a dictionary that has other things as well."""
    if _all_tensors(content):
        return content
    inner = [each for each in content.values() if _all_tensors(each)] if isinstance(content, dict) else []
    if len(inner) != 1:
        raise DataError(f"expected the tensors of one model by their names in {path}, but got another thing: {ADVICE}")
    return inner[0]


def _all_tensors(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(key, str) and isinstance(value, np.ndarray) for key, value in content.items())
    )


def distances_of(optics: OpticsConfig) -> list[float]:
    """Return the distance of each gap, source to detector."""
    return optics.lengths
