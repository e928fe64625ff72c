"""Profiles of panels: size, pitch, grey levels and the maker's file, built in or from one's own YAML."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from annotated_types import Ge, Gt, Le, Len, Lt, MinLen, Unit
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator, model_validator

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DeploymentError, VoltphaseError
from voltphase.core.files import checked_path, read_text
from voltphase.core.units import LARGEST_PITCH, LONGEST_WAVELENGTH, SHORTEST_WAVELENGTH, SMALLEST_PITCH, WAVELENGTH
from voltphase.core.words import shown
from voltphase.panels.formats import FORMATS, Format, Frame, PanelFile
from voltphase.panels.formats.base import AGAIN
from voltphase.settings.fields import Choice, Section, Settings, misfit
from voltphase.settings.keys import kinds
from voltphase.settings.messages import describe, nearest
from voltphase.settings.yaml_io import LARGEST, read_yaml

_Pixels = Annotated[int, Ge(1), Le(8192)]
_Wavelength = Annotated[float, Unit("m"), Ge(SHORTEST_WAVELENGTH), Le(LONGEST_WAVELENGTH)]
_Seconds = Annotated[float, Unit("s"), Gt(0)]
_Text = Annotated[str, MinLen(1)]
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FORMAT: Final = Choice(FORMATS, "grey", Settings)
#: Ends of the names of files with a profile.
PROFILE_SUFFIXES: Final = (".yaml", ".yml")
# Beginnings of the units of control values that are a panel's grey levels.
_UNITS: Final = ("grey", "gray", "level", "mirror")


class Correction(Section):
    """How the maker means a panel's own unevenness to be corrected.

    Attributes:
        added: Where the correction is added to a picture: in the ``file`` that is loaded, by the maker's ``software``,
            or ``none``: the maker gives none.
        modulo: What a sum of grey levels is taken modulo, where it is added in the file.
        format: The maker's file of corrections, as it is added in the file; null for the panel's own format.
        full_scale: Wavelengths in metres, each with the grey level that is 2 pi there: a sum s is sent as
            round(s * level / (modulo - 1)); none where grey levels are sent as they are.
    """

    added: Literal["file", "software", "none"] = "none"
    modulo: Annotated[int, Ge(2), Le(65536)] | None = None
    format: Annotated[Settings, _FORMAT] | None = None
    full_scale: list[Annotated[list[Annotated[float, Gt(0)]], Len(2, 2)]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.added == "file") != (self.modulo is not None):
            raise misfit(
                "expected correction.modulo where a correction is added in the file, and only there, but got "
                f"added: {self.added}, modulo: {'null' if self.modulo is None else self.modulo}"
            )
        for wavelength, level in self.full_scale:
            if not SHORTEST_WAVELENGTH <= wavelength <= LONGEST_WAVELENGTH:
                raise misfit(
                    "expected wavelengths in metres before the grey levels of correction.full_scale, but got "
                    f"[{wavelength:g}, {level:g}]: {WAVELENGTH.meant(wavelength)}"
                )
        return self


class Profile(Section):
    """What has to be known of a panel to show a design on it.

    Attributes:
        name: What to type: make and model in lower case.
        make: Who makes it.
        model: The maker's name for it.
        rows: Rows of pixels, or of mirrors.
        columns: Columns of pixels, or of mirrors.
        pitch: Distance between pixels along both sides, in metres.
        bits: Bits of a grey level: levels are from 0 to 2**bits - 1.
        format: The file that the maker's software loads.
        fill_factor: Share of a pixel's area that modulates light; null where it is not known.
        reflective: Whether light is reflected, or else goes through.
        wavelengths: Shortest and longest wavelength in metres, of all versions together; null where not known.
        orientation: Which side of the picture is which side of the panel, in words.
        correction: How the maker means its unevenness to be corrected.
        rise_time: Seconds in which it settles to a higher phase; null where not known.
        fall_time: Seconds in which it settles to a lower phase; null where not known.
        bench: How a picture is loaded, in words.
        sources: Where all this was taken from.
        unconfirmed: What could not be confirmed, to check at the bench.
    """

    name: str
    make: _Text
    model: _Text
    rows: _Pixels
    columns: _Pixels
    pitch: Annotated[float, Unit("m"), Ge(SMALLEST_PITCH), Lt(LARGEST_PITCH)]
    bits: Annotated[int, Ge(1), Le(16)] = 8
    format: Annotated[Settings, _FORMAT] = _FORMAT.make({})
    fill_factor: Annotated[float, Gt(0), Le(1)] | None = None
    reflective: bool = True
    wavelengths: Annotated[list[_Wavelength], Field(min_length=2, max_length=2)] | None = None
    orientation: str = ""
    correction: Correction = Correction()
    rise_time: _Seconds | None = None
    fall_time: _Seconds | None = None
    bench: str = ""
    sources: list[str] = Field(default_factory=list)
    unconfirmed: list[str] = Field(default_factory=list)

    @field_validator("name")
    @classmethod
    def _is_typed_easily(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise misfit(
                "expected name to be words of small letters and digits with - between them, such as our-pluto, but "
                f"got {shown(name)}"
            )
        return name

    @model_validator(mode="after")
    def _fits_its_files(self) -> Self:
        modulo, most = self.correction.modulo, max([0.0, *(level for _, level in self.correction.full_scale)])
        if modulo is not None and modulo > 2**self.bits:
            raise misfit(
                f"expected correction.modulo of at most {2**self.bits}, the grey levels there are, but got {modulo}"
            )
        if most > 2**self.bits - 1:
            raise misfit(f"expected grey levels of correction.full_scale up to {2**self.bits - 1}, but got {most:g}")
        for format, place in ((self.files, "format"), (self.correction_files, "correction.format")):
            if obstacle := format.obstacle(self.shape, self.bits):
                raise misfit(f"expected {place} to hold the panel's grey levels, but {obstacle}")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @cached_property
    def files(self) -> Format:
        """What writes and reads the panel's files."""
        return self.format.build()

    @cached_property
    def correction_files(self) -> Format:
        """What reads the maker's files of corrections."""
        return self.files if self.correction.format is None else self.correction.format.build()

    @property
    def suffix(self) -> str:
        """End of the name of the panel's files, such as ``".bmp"``."""
        return self.files.suffix

    @property
    def frames_per_file(self) -> int:
        """Number of frames that one file holds."""
        return self.files.frames

    @property
    def largest_file(self) -> int:
        """Bytes that one file can have at most."""
        return self.files.largest(self.shape, self.bits)

    @property
    def file_words(self) -> str:
        """What kind of file it is, such as "8-bit grey BMP"."""
        return self.files.words(self.bits)

    def write(self, frames: Sequence[NDArray[np.integer]]) -> bytes:
        """Return the file that shows frames on the panel.

        Args:
            frames: Grey levels, ``rows x columns`` each: one frame, or as many as :attr:`frames_per_file`; where there
                are fewer, the rest of the file is 0.

        Raises:
            DeploymentError: if frames are of another number, shape or type, or grey levels are not the panel's.

        Examples:
            >>> panel = load_profile("holoeye-pluto-2")
            >>> content = panel.write([np.full(panel.shape, 128, dtype=np.uint16)])
            >>> len(content), int(panel.read(content, "map.bmp")[0][0, 0])
            (2074678, 128)
        """
        if not isinstance(frames, np.ndarray) or not frames.ndim:  # frames in one array are a list of them too
            frames = checks.items(frames, f"a list of frames for {self.name}", error=DeploymentError)
        self._require_count(len(frames))
        return self.files.write([self._checked(np.asarray(frame)) for frame in frames], self.bits)

    def read(self, content: bytes, name: str, frames: int = 1) -> list[Frame]:
        """Return the frames of a file that :meth:`write` wrote.

        Args:
            content: Bytes of the file.
            name: Name of the file, for sentences about it.
            frames: Number of frames that were written to it.

        Raises:
            DeploymentError: if it is another kind of file, of another size, holds more, or other grey levels; it names
                the file.
        """
        checks.instance(content, bytes, f"the bytes of a file of {self.name}", error=DeploymentError)
        self._require_count(checks.whole(frames, f"a number of frames of {self.name}", error=DeploymentError))
        found = self.files.read(PanelFile(content, name, self.shape, self.bits, frames))
        for frame in found:
            self._require_levels(frame, name)
        return found

    def read_correction(self, content: bytes, name: str) -> Frame:
        """Return the grey levels of a file of corrections that the maker gives, ``rows x columns``.

        Args:
            content: Bytes of the file.
            name: Name of the file, for sentences about it.

        Raises:
            DeploymentError: if the panel has no such files, or it is another kind of file, or of another size.
        """
        if self.correction.added != "file":
            raise DeploymentError(
                f"expected no file of corrections for {self.name}, but got {name}: {self.no_correction}"
            )
        (correction,) = self.correction_files.read(PanelFile(content, name, self.shape, self.bits, exact=False))
        self._require_levels(correction, name)
        return correction

    def require_control(
        self, control: NDArray[np.floating], unit: str, of: str, error: type[VoltphaseError] = DeploymentError
    ) -> None:
        """Refuse control values that are no grey levels of the panel.

        Args:
            control: Control values.
            unit: Their unit.
            of: Name of the device whose they are.
            error: Class of the error to raise.
        """
        if not unit.lower().startswith(_UNITS):
            raise error(
                f"expected control values in grey levels for {self.name}, but those of {of} are in {unit}: measure the "
                "device by what its driver is sent"
            )
        wrong = control[(control != np.round(control)) | (control < 0) | (control >= 2**self.bits)]
        if len(wrong):
            raise error(
                f"expected whole control values from 0 to {2**self.bits - 1} for {self.name}, but {of} has "
                f"{wrong[0]:g}: measure the device on this panel, or take one of more bits"
            )

    @property
    def no_correction(self) -> str:
        """Why no correction is added in the file, where none is."""
        if self.correction.added == "software":
            return f"{self.make}'s software adds it"
        return f"{self.make} is not known to give any"

    def _require_count(self, frames: int) -> None:
        if not 1 <= frames <= self.frames_per_file:
            some = "one frame" if self.frames_per_file == 1 else f"1 to {self.frames_per_file} frames"
            raise DeploymentError(f"expected {some} for a file of {self.name}, but got {frames}")

    def _checked(self, frame: NDArray[Any]) -> Frame:
        if frame.dtype.kind not in "ui" or frame.shape != self.shape:
            raise DeploymentError(
                f"expected frames of {self.rows} x {self.columns} whole numbers for {self.name}, but got "
                f"{frame.dtype} of shape {frame.shape}"
            )
        if frame.min() < 0 or frame.max() >= 2**self.bits:
            wrong = frame.min() if frame.min() < 0 else frame.max()
            raise DeploymentError(f"expected grey levels from 0 to {2**self.bits - 1} for {self.name}, but got {wrong}")
        return frame.astype(np.uint16)

    def _require_levels(self, frame: Frame, name: str) -> None:
        if frame.max() >= 2**self.bits:
            row, column = np.argwhere(frame >= 2**self.bits)[0]
            raise DeploymentError(
                f"expected grey levels from 0 to {2**self.bits - 1} in {name}, but got {frame[row, column]} at row "
                f"{row}, column {column}: {AGAIN}"
            )


@cache
def profiles() -> dict[str, Profile]:
    """Return the profiles that come with voltphase, by name."""
    return {name: _parsed(text, name) for name, text in _built_in().items()}


def load_profile(source: str | Path) -> Profile:
    """Return the profile of a name, or of a YAML file of one's own.

    Such a file may start from a profile that comes with voltphase by ``like: NAME``, and give only what differs.

    Args:
        source: Name of a profile (see :func:`profiles`), or the path of a YAML file.

    Raises:
        ConfigError: if there is no such profile or file, it is not YAML, a key or value does not fit, or it has the
            name of another profile that comes with voltphase.

    Examples:
        >>> panel = load_profile("santec-slm-200")
        >>> panel.shape, panel.pitch, panel.bits, panel.suffix
        ((1200, 1920), 8e-06, 10, '.csv')
    """
    known = _built_in()
    if str(source) in known:
        return profiles()[str(source)]
    path = checked_path(source, ConfigError, "the name of a panel or the path of a YAML file")
    if path.is_file() or path.suffix in PROFILE_SUFFIXES:
        profile = _parsed(read_text(path, ConfigError, LARGEST), str(source))
        if profile.name in known and profile != profiles()[profile.name]:
            raise ConfigError(
                f"{source}: expected a name of its own, such as our-{profile.name}, but {profile.name} comes with "
                "voltphase and is not the same"
            )
        return profile
    close = nearest(str(source), known)
    hint = f" (did you mean {close}?)" if close else ""
    raise ConfigError(f"{source} is neither a panel nor a YAML file{hint}: the panels are {', '.join(known)}")


@cache
def _built_in() -> dict[str, str]:
    folder = importlib.resources.files("voltphase").joinpath("panels/profiles")
    texts = {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in folder.iterdir()}
    return dict(sorted(texts.items()))


def _parsed(text: str, place: str) -> Profile:
    raw = read_yaml(text, place, lambda path: _kinds().get(".".join(path), "any"))
    if not isinstance(raw, dict):
        raise ConfigError(f"{place}: expected a group of keys such as rows: 1080, but got {shown(raw)}")
    if "like" in raw:
        raw = _based(raw, place)
    try:
        return Profile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{place}: {describe(error, Profile, raw)[0]}") from error
    except VoltphaseError as error:
        raise ConfigError(f"{place}: {error}") from error


def _based(raw: Mapping[str, Any], place: str) -> dict[str, Any]:
    name, known = raw["like"], _built_in()
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"{place}: expected like to be one of {', '.join(known)}, but got {shown(name)}")
    base = profiles()[name].model_dump()
    return {**base, **{key: _merged(base.get(key), value) for key, value in raw.items() if key != "like"}}


def _merged(base: Any, over: Any) -> Any:
    """Return a setting, or a group with what is given of it; what is said of another format is said no more."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    if "name" in over and over["name"] != base.get("name"):
        return over
    return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}


@cache
def _kinds() -> dict[str, Any]:
    return kinds(Profile)
