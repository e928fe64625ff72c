"""The IDX file format of MNIST and its relatives, plain or compressed with gzip.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": a four-byte magic number
(0, 0, type code, number of dimensions), one big-endian 32-bit size per dimension, then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from voltphase.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08


def read_idx(path: str | Path, dimensions: int) -> Tensor:
    """Read an IDX file of unsigned bytes.

    Args:
        path: The file; whether it is compressed is seen from its content, not from its name.
        dimensions: How many dimensions it must have: 3 for images, 1 for labels.

    Returns:
        A uint8 tensor with that many dimensions.

    Raises:
        DataError: if the file cannot be read, is damaged, or holds something else.
    """
    content = _content(Path(path))
    header = 4 + 4 * dimensions
    wanted = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if content[:4] != wanted:
        raise DataError(
            f"expected {path} to be an IDX file of {dimensions}-dimensional bytes (magic {wanted.hex()}), "
            f"but it begins with {content[:4].hex() or 'nothing'}: put the right file in its place"
        )
    if len(content) < header:
        raise DataError(
            f"expected {path} to begin with {header} bytes of header, but it has {len(content)}: "
            "it is cut short, fetch it again"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size = math.prod(shape)
    if len(content) - header != size:
        raise DataError(
            f"expected {path} to hold {' x '.join(map(str, shape))} = {size} values, "
            f"but it holds {len(content) - header}: it is damaged, fetch it again"
        )
    if size == 0:
        raise DataError(f"expected {path} to hold values, but it is empty: fetch it again")
    return torch.frombuffer(content, dtype=torch.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytearray:
    try:
        content = path.read_bytes()
        # A bytearray, because torch warns about tensors over memory that cannot be written.
        return bytearray(gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"expected {path} to be a whole gzip file, but it is damaged: fetch it again") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"cannot read {path}: {reason}") from error
