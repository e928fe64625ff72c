"""Pictures of one kind, read without trust: what a viewer, a spreadsheet or a mail program made of them is named."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from voltphase.core.errors import DeploymentError
from voltphase.panels.formats.base import AGAIN

#: Kinds of pictures without loss that makers' software reads.
Kind = Literal["png", "bmp"]

_MODES: Final = {1: ("1",), 8: ("L",), 16: ("I;16", "I;16B", "I"), 24: ("RGB",)}
_MODE_WORDS: Final = {1: "black and white", 8: "grey of 8 bits", 16: "grey of 16 bits", 24: "colour of 24 bits"}
_FOUND_WORDS: Final = {
    **{mode: _MODE_WORDS[bits] for bits, modes in _MODES.items() for mode in modes},
    "RGBA": "colour with transparency",
    "LA": "grey with transparency",
    "P": "of a palette",
}
_SIGNATURES: Final = {
    b"\xff\xd8": "a JPEG, which is not exact",
    b"\x89PNG": "a PNG",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"GIF8": "a GIF",
    b"RIFF": "a WebP",
}
_BMP_HEADER: Final = 54  # bytes before the palette: those of the file, and the 40 of the oldest kind of picture
_BMP_PALETTE: Final = {8: 1024, 24: 0}


def write_picture(picture: NDArray[np.uint8] | NDArray[np.uint16], kind: Kind) -> bytes:
    """Return a picture file.

    Args:
        picture: ``rows x columns`` grey values of 8 or 16 bits, or ``rows x columns x 3`` colours of 8 bits.
        kind: Kind of file; a BMP has no 16 bits.
    """
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind.upper(), optimize=True)
    return stream.getvalue()


def read_picture(
    content: bytes, name: str, shape: tuple[int, int], bits: Literal[8, 16, 24], kind: Kind, *, exact: bool = True
) -> NDArray[np.uint16]:
    """Return the values of a picture, ``rows x columns``, of 24 bits ``rows x columns x 3``.

    Args:
        content: Bytes of the file.
        name: Name of the file, for sentences about it.
        shape: Rows and columns that it has to have.
        bits: Bits of a pixel: grey of 8 or 16, or colours.
        kind: Kind of file that it has to be.
        exact: Whether to refuse a file with more in it than the picture, which a viewer may show otherwise: turned,
            with transparency, a gamma, a second frame or bytes at the end.

    Raises:
        DeploymentError: if it is no such picture.
    """
    found = next((words for start, words in _SIGNATURES.items() if content.startswith(start)), "no picture")
    wanted = f"a {kind.upper()}"
    if found != wanted:
        raise DeploymentError(f"expected {wanted} in {name}, but it is {found}: {AGAIN}")
    damage = (OSError, ValueError, EOFError, SyntaxError, struct.error, zlib.error)
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        # What makes PIL warn of a picture that may fill the memory is an error here.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=[kind.upper()]) as image:
                _check(image, name, shape, bits)
                values = np.asarray(image).astype(np.uint16)
        whole = not exact or _IS_BARE[kind](content, shape, bits)
    except (*damage, *bombs) as error:
        # Of a file that it knows nothing of, PIL names only the stream.
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise DeploymentError(f"expected {wanted} in {name}, but it is damaged{why}: {AGAIN}") from error
    if not whole:
        raise DeploymentError(
            f"expected a picture and nothing else in {name}, but it holds more, or less, than such {wanted} has: "
            f"{AGAIN}"
        )
    return values


def _check(image: Image.Image, name: str, shape: tuple[int, int], bits: int) -> None:
    rows, columns = shape
    if image.size != (columns, rows):
        raise DeploymentError(
            f"expected {rows} rows x {columns} columns in {name}, but got {image.height} x {image.width}: {AGAIN}"
        )
    if image.mode not in _MODES[bits]:
        found = _FOUND_WORDS.get(image.mode, f"of the mode {image.mode}")
        raise DeploymentError(f"expected a picture {_MODE_WORDS[bits]} in {name}, but it is {found}: {AGAIN}")


def _is_bare_png(content: bytes, shape: tuple[int, int], bits: int) -> bool:
    chunks, at = [], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append(content[at + 4 : at + 8])
        at += 12 + length
    return chunks == [b"IHDR", *[b"IDAT"] * (len(chunks) - 2), b"IEND"] and at == len(content)


def _is_bare_bmp(content: bytes, shape: tuple[int, int], bits: int) -> bool:
    rows, columns = shape
    start = _BMP_HEADER + _BMP_PALETTE[bits]
    length = start + rows * (-(-columns * bits // 32) * 4)  # of each row, which ends at whole words
    header = struct.unpack_from("<IHHIIiiHHI", content, 2)
    # Rows from the bottom up, as every reader knows them, one plane, and no compression.
    return header == (length, 0, 0, start, 40, columns, rows, 1, bits, 0) and len(content) == length


_IS_BARE: Final[dict[Kind, Callable[[bytes, tuple[int, int], int], bool]]] = {
    "png": _is_bare_png,
    "bmp": _is_bare_bmp,
}
