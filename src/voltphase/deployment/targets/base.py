"""What a target is: it writes the map of each layer into files, and reads the levels back from them."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeploymentError
from voltphase.core.registry import Registry
from voltphase.devices import Device
from voltphase.optics.grid import Grid

_LONGEST_LIST: Final = 16
# Bytes of a target's files for each pixel of a design: a mesh takes some hundreds.
_LARGEST_PIXEL: Final = 1024


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a design, as a target sees it.

    Args:
        number: Number of the layer, from 1 in the order light meets them.
        grid: Grid of its pixels.
        device: States that each pixel can take.
        wavelength: Wavelength of the light in vacuum, in metres.
    """

    number: int
    grid: Grid
    device: Device
    wavelength: float


@dataclass(frozen=True)
class Written:
    """What a target wrote for one layer, as the manifest keeps it.

    Args:
        files: Names of the layer's files in the folder; several layers may share one.
        details: Whatever else is needed to read them, of what JSON knows.
    """

    files: Sequence[str]
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Shown:
    """What a layer is where it is finer than the design: on the pixels of the thing that shows it.

    Args:
        grid: Where these pixels lie, in the coordinates of the design.
        states: What the light is multiplied by at each, a complex ``rows x columns`` array.
        around: What it is multiplied by around them, however far; 0 where it is dark.
    """

    grid: Grid
    states: NDArray[np.complex128]
    around: complex = 0j


class Target(abc.ABC):
    """A kind of thing to deploy to. A subclass is a frozen dataclass whose fields are its settings.

    The manifest holds the target's name, its settings and, for each layer, what :meth:`write` returned. The levels
    themselves lie in the folder too, whatever the target, and have to agree with what :meth:`read` finds.

    Attributes:
        loaded: Whether files are loaded on a device, so that a test pattern shows how it lies; not where they are made
            into one.
    """

    loaded: ClassVar[bool] = True

    def in_folder(self) -> Target:
        """Return the target as the manifest names it: without what only this machine knows, such as a path."""
        return self

    def at(self, folder: Path) -> Target:
        """Return the target of a deployed folder that takes the files it needs from there; see :meth:`in_folder`."""
        return self

    @abc.abstractmethod
    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        """Write the files of all layers, and return what was written for each.

        Args:
            folder: Folder to write to; the names ``layer-N-levels.npy`` and ``layer-N-regions.npy`` are taken.
            layers: Layers in the order light meets them.
            levels: Level of each pixel of each layer, ``rows x columns`` whole numbers.

        Raises:
            DeploymentError: if this target cannot show a layer's device.
        """

    @abc.abstractmethod
    def read(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[NDArray[np.integer]]:
        """Return the level of each pixel of each layer, from the files alone.

        Args:
            layers: Layers in the order light meets them.
            written: What :meth:`write` returned for each, as it was read from the manifest: to be trusted no more than
                the files.
            contents: Bytes of each file by its name. They may have been changed since they were written: what is
                wrong with them, as seen from their kind, says more than that their SHA-256 is another.

        Raises:
            DeploymentError: if the files are not such as :meth:`write` writes; it names the file.
        """

    def shown(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[Shown] | None:
        """Return what each layer is on the pixels of the thing that shows it, or None where these are the design's.

        Args:
            layers: Layers in the order light meets them.
            written: What was written for each.
            contents: Bytes of each file by its name, which :meth:`read` has found to be right.
        """
        return None

    def largest_file(self, layers: Sequence[Layer]) -> int:
        """Return the bytes that one file can have at most; what is larger is not read.

        Args:
            layers: Layers in the order light meets them.
        """
        return _LARGEST_PIXEL * sum(layer.grid.rows * layer.grid.columns for layer in layers)

    def to_load(self, written: Written) -> Sequence[str]:
        """Return the files of a layer that are loaded, or made into something, out of all that were written.

        Args:
            written: What was written for the layer.
        """
        return written.files

    def format(self, written: Written) -> str:
        """Return what kind of file a layer's files are, in a few words for README.txt.

        Args:
            written: What was written for the layer.
        """
        return ", ".join(dict.fromkeys(Path(file).suffix.removeprefix(".").upper() for file in written.files))

    def summary(self, layer: Layer, written: Written) -> str:
        """Return what the command says of a layer once it is deployed, in a line; empty for nothing.

        Args:
            layer: Layer that was written.
            written: What was written for it.
        """
        return ""

    def instructions(self, layer: Layer, written: Written) -> list[str]:
        """Return what a person at the bench has to know of a layer's files, as paragraphs for README.txt.

        Args:
            layer: Layer that was written.
            written: What was written for it.
        """
        return []

    def loading(self, layer: Layer, written: Written) -> list[str]:
        """Return what the bench sheet says of how a layer's files are loaded, in short paragraphs.

        Args:
            layer: Layer that was written.
            written: What was written for it.
        """
        return []


TARGETS: Registry[type[Target]] = Registry("a target", "voltphase.targets", DeploymentError, Target)


def listed(values: Iterable[object]) -> str:
    """Return values in a row of text, without those in the middle where they are many.

    Examples:
        >>> listed([0, 85, 170])
        '0, 85, 170'
        >>> listed(range(256))
        '0, 1, 2, ..., 255 (256 in all)'
    """
    words = [str(value) for value in values]
    if len(words) <= _LONGEST_LIST:
        return ", ".join(words)
    return ", ".join([*words[:3], "...", words[-1]]) + f" ({len(words)} in all)"
