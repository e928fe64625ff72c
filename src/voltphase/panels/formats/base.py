"""What a format is: it turns frames of grey levels into the file that a maker's panel takes, and reads them back."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.registry import Registry

#: Grey levels of one frame, ``rows x columns`` as the panel has pixels.
Frame = NDArray[np.uint16]

#: What to do about a file that is not as it was written.
AGAIN: Final = "restore the file or deploy again"

# Bytes of a pixel, as text or as colours of four mirrors' electrodes, and of what surrounds the picture.
_LARGEST_PIXEL: Final = 16
_LARGEST_REST: Final = 1 << 20


@dataclass(frozen=True)
class PanelFile:
    """A file in which the frames of a panel are looked for, and what it should be.

    Args:
        content: Bytes of the file.
        name: Name of the file, for sentences about it.
        shape: Rows and columns of the panel.
        bits: Bits of a grey level.
        frames: Number of frames that were written, at most :attr:`Format.frames`.
        exact: Whether the file has to be as :meth:`Format.write` writes it, with nothing besides; a maker's own has
            more.
    """

    content: bytes
    name: str
    shape: tuple[int, int]
    bits: int
    frames: int = 1
    exact: bool = True


class Format(abc.ABC):
    """A kind of file. A subclass is a frozen dataclass whose fields are its settings.

    A profile checks frames before :meth:`write` sees them, and that grey levels which :meth:`read` found are the
    panel's.
    """

    #: Number of frames that one file holds.
    frames: ClassVar[int] = 1

    @property
    @abc.abstractmethod
    def suffix(self) -> str:
        """End of the file's name, such as ``".bmp"``."""

    @abc.abstractmethod
    def obstacle(self, shape: tuple[int, int], bits: int) -> str | None:
        """Return why such a file cannot hold the frames of a panel, or None if it can.

        Args:
            shape: Rows and columns of the panel.
            bits: Bits of a grey level.
        """

    @abc.abstractmethod
    def write(self, frames: Sequence[Frame], bits: int) -> bytes:
        """Return the file.

        Args:
            frames: Frames to show, at least one and at most :attr:`frames`.
            bits: Bits of a grey level.
        """

    @abc.abstractmethod
    def read(self, file: PanelFile) -> list[Frame]:
        """Return the frames of a file.

        Raises:
            DeploymentError: if it is another kind of file, of another size, or holds more; the sentence names it.
        """

    def largest(self, shape: tuple[int, int], bits: int) -> int:
        """Return the bytes that one file can have at most.

        Args:
            shape: Rows and columns of the panel.
            bits: Bits of a grey level.
        """
        return _LARGEST_PIXEL * shape[0] * shape[1] + _LARGEST_REST

    @abc.abstractmethod
    def words(self, bits: int) -> str:
        """Return what kind of file it is, such as "8-bit grey BMP".

        Args:
            bits: Bits of a grey level.
        """


#: Every format by its name.
FORMATS: Registry[type[Format]] = Registry("a panel's file format", "voltphase.panel_formats", kind=Format)
