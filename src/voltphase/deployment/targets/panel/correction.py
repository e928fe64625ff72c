"""Corrections of a panel's own unevenness: a maker's map of grey levels, or a phase through the device's states."""

from __future__ import annotations

import abc
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeploymentError
from voltphase.core.units import beyond_radians, metres
from voltphase.deployment.targets.panel.frame import Frame, nearest_levels
from voltphase.panels import Profile

#: Files of a phase in radians.
RADIANS: Final = (".npy", ".csv")


class Correction(abc.ABC):
    """What is added to a frame before it is sent."""

    @property
    def exact(self) -> bool:
        """Whether each pixel is corrected as the maker says, with no error that could be told."""
        return True

    @property
    @abc.abstractmethod
    def reversible(self) -> bool:
        """Whether what is sent tells what it was before."""

    @abc.abstractmethod
    def applied(self, frame: Frame) -> NDArray[np.uint16]:
        """Return the grey levels that are sent in place of a frame's."""

    def undone(self, sent: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Return the grey levels that a frame had before, of a correction that is reversible."""
        raise NotImplementedError

    def after(self, frame: Frame, sent: NDArray[np.uint16]) -> NDArray[np.complex128]:
        """Return what the light is multiplied by at each pixel of the panel with its unevenness, which it corrects."""
        return frame.states(frame.codes)

    def folded(self, frame: Frame, place: tuple[slice, slice]) -> dict[str, Any]:
        """Return what becomes of levels of which some are sent as one grey level in a part of a frame; empty if none.

        That is ``distinct``, how many of the ``levels`` remain at least, and ``max``, how far two states are apart at
        most that are sent as one, in the largest amplitude.
        """
        return {}


@dataclass(frozen=True, eq=False)
class GreyMap(Correction):
    """A maker's map, added to grey levels modulo a whole period.

    Args:
        levels: Grey level that is added to each pixel.
        modulo: The period.
        full_scale: Grey level that is 2 pi at the wavelength, to which sums are scaled; None where they are sent as
            they are.
    """

    levels: NDArray[np.uint16]
    modulo: int
    full_scale: float | None

    @property
    def reversible(self) -> bool:
        return self.full_scale is None

    def applied(self, frame: Frame) -> NDArray[np.uint16]:
        return self._sent(frame.codes.astype(np.int64) + self.levels)

    def undone(self, sent: NDArray[np.uint16]) -> NDArray[np.uint16]:
        return ((sent.astype(np.int64) - self.levels) % self.modulo).astype(np.uint16)

    def folded(self, frame: Frame, place: tuple[slice, slice]) -> dict[str, Any]:
        control = frame.tables[0].control.astype(np.int64)
        values = np.stack([table.values() for table in frame.tables])
        distinct, apart = len(control), 0.0
        for added in np.unique(self.levels[place]):
            _, first, group = np.unique(self._sent(control + int(added)), return_index=True, return_inverse=True)
            distinct, apart = (
                min(distinct, len(first)),
                max(apart, float(np.abs(values - values[:, first[group]]).max())),
            )
        if distinct == len(control):
            return {}
        return {"folded": {"distinct": distinct, "levels": len(control), "max": apart / float(np.abs(values).max())}}

    def _sent(self, total: NDArray[np.int64]) -> NDArray[np.uint16]:
        total = total % self.modulo
        if self.full_scale is None:
            return total.astype(np.uint16)
        return np.floor(total * (self.full_scale / (self.modulo - 1)) + 0.5).astype(np.uint16)


@dataclass(frozen=True, eq=False)
class Wavefront(Correction):
    """A phase that is added to each pixel's state: the state nearest to the sum is sent.

    Args:
        phase: Phase in radians to add at each pixel.
    """

    phase: NDArray[np.float64]

    @property
    def exact(self) -> bool:
        return False

    @property
    def reversible(self) -> bool:
        return False  # two states may have the same neighbour

    def applied(self, frame: Frame) -> NDArray[np.uint16]:
        sent, wanted = frame.codes.copy(), frame.states(frame.codes) * np.exp(1j * self.phase)
        for number, table in enumerate(frame.tables):
            here = frame.table == number
            if here.any():
                sent[here] = table.control[nearest_levels(table.values(), wanted[here])].astype(np.uint16)
        return sent

    def after(self, frame: Frame, sent: NDArray[np.uint16]) -> NDArray[np.complex128]:
        return np.where(frame.table >= 0, frame.states(sent) * np.exp(-1j * self.phase), frame.fixed)


def read_correction(content: bytes, name: str, profile: Profile, wavelength: float) -> Correction:
    """Return the correction in a file: the maker's, or as ``.npy`` or ``.csv`` a phase in radians to add.

    Args:
        content: Bytes of the file.
        name: Name of the file, for its kind and for sentences.
        profile: The panel.
        wavelength: Wavelength of the light in metres.

    Raises:
        DeploymentError: if it is none of these, or of another size or depth than the panel.
    """
    suffix, convention = Path(name).suffix.lower(), profile.correction
    makers = convention.added == "file" and suffix == profile.correction_files.suffix
    if suffix in RADIANS and not makers:
        return Wavefront(_phase(content, name, profile))
    levels = profile.read_correction(content, name)
    if convention.modulo is None:  # as the profile has made sure
        raise DeploymentError(f"expected a period of grey levels for {profile.name}, but it gives none")
    if int(levels.max()) >= convention.modulo:
        raise DeploymentError(
            f"expected grey levels below {convention.modulo} in {name}, but got {levels.max()}: take the maker's file"
        )
    return GreyMap(levels, convention.modulo, _full_scale(profile, wavelength))


def _full_scale(profile: Profile, wavelength: float) -> float | None:
    """Return the grey level that is 2 pi, between those that the maker gives for wavelengths."""
    points = sorted(map(tuple, profile.correction.full_scale))
    if not points:
        return None
    lengths, levels = (list(column) for column in zip(*points, strict=True))
    if not lengths[0] <= wavelength <= lengths[-1]:
        raise DeploymentError(
            f"expected a wavelength from {metres(lengths[0], 4)} to {metres(lengths[-1], 4)}, for which {profile.make} "
            f"says what grey level is 2 pi on {profile.name}, but got {metres(wavelength, 4)}: give full_scale of the "
            "correction in a profile of your own"
        )
    return float(np.interp(wavelength, lengths, levels))


def _phase(content: bytes, name: str, profile: Profile) -> NDArray[np.float64]:
    """Return the ``rows x columns`` phases of a file; nothing in it is executed."""
    rows, columns = profile.shape
    wanted = f"{rows} x {columns} phases in radians, a number for each pixel of {profile.name},"
    try:
        if name.lower().endswith(".npy"):
            phase = np.load(io.BytesIO(content), allow_pickle=False)
        else:
            phase = np.loadtxt(io.StringIO(content.decode("utf-8-sig")), delimiter=",", ndmin=2)
    except (ValueError, OSError, EOFError, SyntaxError) as error:  # what numpy says of a damaged header is any of these
        raise DeploymentError(f"expected {wanted} in {name}, but it cannot be read as such ({error})") from error
    if not isinstance(phase, np.ndarray) or phase.shape != profile.shape or phase.dtype.kind != "f":
        found = f"{phase.dtype} of shape {phase.shape}" if isinstance(phase, np.ndarray) else "an archive"
        raise DeploymentError(f"expected {wanted} in {name}, but got {found}")
    phase = phase.astype(np.float64)
    if not np.isfinite(phase).all():
        row, column = np.argwhere(~np.isfinite(phase))[0]
        raise DeploymentError(
            f"expected {wanted} in {name}, but got {phase[row, column]:g} at row {row}, column {column}: give each a "
            "finite phase, 0 where nothing was measured"
        )
    if (worst := beyond_radians(phase)) is not None:
        raise DeploymentError(
            f"expected {wanted} in {name}, but {phase.flat[worst]:g} looks like degrees: save degrees by "
            "numpy.radians(phase), and radians of many turns modulo 2 pi, which is the same light"
        )
    return phase
