"""What multiplies light sample by sample: a filter, a phase plate, or the light that really falls on the source."""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import DataError, GeometryError, VoltphaseError
from voltphase.core.files import checked_path, read_numbers

# Rounding of phasors in single precision.
_ROUNDING: Final = 1e-6
_GREY_LEVELS: Final = {torch.uint8: 255, torch.uint16: 65535}


class Mask:
    """A mask, a filter or a measured illumination: what the field is multiplied by at each sample of its plane.

    Real numbers are its amplitude (not its intensity), complex ones its amplitude and phase;
    of grey levels of 8 or 16 bits the brightest is amplitude 1. Two masks with the same values are equal.

    Args:
        values: ``rows x columns`` tensor or array with a value for each sample of its plane; no amplitude is above 1.

    Attributes:
        values: The same, a complex128 array that cannot be written to.
        digest: SHA-256 of its shape and values, in hexadecimal.

    Raises:
        GeometryError: if it is no such array, holds a number that is not finite or an amplitude above 1, or is dark.

    Examples:
        >>> import voltphase as vp
        >>> half = torch.ones(64, 64)
        >>> half[:, :32] = 0  # a knife edge
        >>> source = vp.optics.SourceLight(mask=Mask(half))  # for DONN(source=...)
    """

    values: NDArray[np.complex128]
    digest: str

    def __init__(self, values: Tensor | NDArray[Any]) -> None:
        given = checks.array(values, "a mask", error=GeometryError).detach().cpu()
        if given.ndim != 2 or given.numel() == 0:
            raise GeometryError(
                f"expected a mask of rows x columns, but got {' x '.join(map(str, given.shape)) or 'a single number'}"
            )
        exact = given.to(torch.complex128) / _GREY_LEVELS.get(given.dtype, 1)
        if not bool(exact.isfinite().all()):
            raise GeometryError("expected a mask of finite values, but some are not: set what is dark to 0")
        if (largest := float(exact.abs().max())) > 1 + _ROUNDING:
            raise GeometryError(
                f"expected a mask with amplitudes up to 1, as it can only take light away, but got {largest:g}: divide "
                "it by its largest one, and take the square root of a measured intensity first; of phases in radians "
                "save exp(1j * phase)"
            )
        if largest == 0:
            raise GeometryError("expected a mask that lets some light through, but all of it is 0")
        self.values = exact.resolve_conj().numpy()
        self.values.setflags(write=False)
        content = np.ascontiguousarray(self.values, dtype="<c16")
        self.digest = hashlib.sha256(f"{content.shape}".encode() + content.tobytes()).hexdigest()

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Mask:
        """Return the mask in a file: an array (NPY), a table of numbers (CSV), or a grey picture of 8 or 16 bits.

        Raises:
            DataError: if the file cannot be read, or holds no mask.
        """
        file = checked_path(path, DataError)
        try:
            return cls(read_numbers(file, DataError))
        except VoltphaseError as error:
            raise DataError(str(error) if str(file) in str(error) else f"{file}: {error}") from error

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the plane that it is for."""
        rows, columns = self.values.shape
        return rows, columns

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Mask({self.shape[0]} x {self.shape[1]}, digest {self.digest[:12]})"
