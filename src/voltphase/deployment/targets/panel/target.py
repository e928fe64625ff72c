"""The target ``panel``: a design on the pixels of a real panel, in the file that its maker's software takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import ValidationError

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DeploymentError
from voltphase.core.files import checked_path, read_errors, require_file
from voltphase.deployment.targets.base import TARGETS, Layer, Shown, Target, Written
from voltphase.deployment.targets.panel import words
from voltphase.deployment.targets.panel.arrangement import AGAIN, Arrangement, and_more
from voltphase.deployment.targets.panel.correction import Correction, read_correction
from voltphase.deployment.targets.panel.frame import Frame, error_of, levels_of
from voltphase.deployment.targets.panel.placement import Flip, Placement, Resample, Turn, Window
from voltphase.panels import Profile, load_profile
from voltphase.settings.messages import describe

# Bytes of a correction for each pixel of the panel, as text at most.
_LARGEST_CORRECTION: Final = 32
_Files = Mapping[str, bytes]


class _Restored(NamedTuple):
    levels: list[NDArray[np.integer]]
    frame: Frame
    correction: Correction | None
    sent: NDArray[np.uint16]


@TARGETS.register("panel")
@dataclass(frozen=True)
class Panel(Target):
    """The pixels of a real panel, in the file that its maker's software takes: tiled, centred, corrected.

    Offsets, flips and turns are one for all layers or one for each; a correction is one for all panels or one for each.

    Args:
        profile: Name of a panel (see `voltphase panel list`), path of a YAML file of one's own, or a profile.
        pixels: Panel pixels along each side of a design pixel; as many as the pitches say if null.
        resample: What a panel pixel shows where pitches do not fit: the design pixel nearest to its centre, or the
            state nearest to their mean over its area; null to refuse.
        offset: Panel pixels [rows, columns] by which a layer is moved from the middle, downwards and to the right.
        flip: Which way a map is mirrored: the order of its rows, of its columns, or both.
        turn: Degrees that a map is then turned by, counter-clockwise.
        border: Grey level around the design; that of the device's darkest state, the first of those equally dark, if
            null.
        correction: Path of the maker's correction, or of a phase in radians to add, a number for each pixel of the
            panel (.npy or .csv); null leaves it to the maker's software.
        layers_per_panel: Number of layers side by side on one panel, each in the middle of its part of the columns.
        sequence: Whether the panels' frames follow each other in as few files as possible, where a file holds several.

    Raises:
        ConfigError: if there is no such panel.
        DeploymentError: if another setting does not fit.

    Examples:
        >>> Panel("holoeye-pluto-2", turn=90, offset=(0, -200)).panel.shape
        (1080, 1920)
    """

    profile: str | dict[str, Any]
    pixels: Annotated[int, Ge(1)] | None = None
    resample: Resample | None = None
    offset: tuple[int, int] | Sequence[tuple[int, int]] = (0, 0)
    flip: Flip | Sequence[Flip] = "none"
    turn: Turn | Sequence[Turn] = 0
    border: Annotated[int, Ge(0)] | None = None
    correction: str | Sequence[str] | None = None
    layers_per_panel: Annotated[int, Ge(1)] = 1
    sequence: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.profile, Profile):
            object.__setattr__(self, "profile", self.profile.model_dump(mode="json"))
        if isinstance(self.profile, PathLike):
            object.__setattr__(self, "profile", str(self.profile))
        _ = self.placement
        if self.border is not None:
            most = 2**self.panel.bits - 1
            checks.whole(self.border, "a grey level of the border", least=0, most=most, error=DeploymentError)
        if self.correction is not None:
            one = isinstance(self.correction, str | PathLike)
            what = "the path of a correction, or one for each panel"
            paths = [self.correction] if one else checks.items(self.correction, what, error=DeploymentError)
            paths = [str(checks.instance(path, (str, PathLike), what, error=DeploymentError)) for path in paths]
            object.__setattr__(self, "correction", paths[0] if one else paths)
        checks.flag(self.sequence, "sequence")

    @cached_property
    def panel(self) -> Profile:
        """The profile itself."""
        if isinstance(self.profile, str):
            return load_profile(self.profile)
        what = "the name of a panel or the path of a YAML file"
        given = dict(checks.instance(self.profile, Mapping, what))
        try:
            return Profile.model_validate(given)
        except ValidationError as error:
            raise ConfigError(f"profile: {describe(error, Profile, given)[0]}") from error

    @cached_property
    def placement(self) -> Placement:
        """Where layers lie on the panel."""
        return Placement(
            self.panel.shape,
            (self.panel.pitch, self.panel.pitch),
            self.panel.name,
            self.pixels,
            self.resample,
            self.offset,
            self.flip,
            self.turn,
            self.layers_per_panel,
        )

    @property
    def corrections(self) -> list[tuple[str, str]]:
        """The path of each correction, and its name in the folder: one for all panels, or one for each."""
        if self.correction is None:
            return []
        if isinstance(self.correction, str):
            return [(self.correction, f"correction{Path(self.correction).suffix}")]
        return [(path, f"correction-{n}{Path(path).suffix}") for n, path in enumerate(self.correction, start=1)]

    def in_folder(self) -> Panel:
        return replace(self.at(Path()), profile=self.panel.model_dump(mode="json"))

    def at(self, folder: Path) -> Panel:
        paths = [str(folder / name) for _, name in self.corrections]
        return replace(self, correction=(paths[0] if isinstance(self.correction, str) else paths) if paths else None)

    def arranged(self, layers: Sequence[Layer]) -> Arrangement:
        """Return how layers are put on panels."""
        return Arrangement(self.panel, self.placement, self.border, self.sequence, layers)

    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        arrangement = self.arranged(layers)
        _ = arrangement.windows  # what does not fit is refused before the work
        for path, name in self.corrections:
            (folder / name).write_bytes(self._read(path))
        written: list[Written] = []
        beside = {name: (folder / name).read_bytes() for _, name in self.corrections}
        corrections = self._given_corrections(arrangement, beside)
        for name, numbers in arrangement.files.items():
            parts = [arrangement.parts[number] for number in numbers]
            frames = [
                arrangement.frame(number, [levels[index] for index in part])
                for number, part in zip(numbers, parts, strict=True)
            ]
            used = [corrections[number] for number in numbers]
            sent = [_applied(correction, frame) for correction, frame in zip(used, frames, strict=True)]
            files = [name, *dict.fromkeys(self._beside(number) for number in numbers if self.corrections)]
            (folder / name).write_bytes(self.panel.write(sent))
            if not all(map(_reversible, used)):
                files.insert(1, _uncorrected(name))
                (folder / files[1]).write_bytes(self.panel.write([frame.codes for frame in frames]))
            for place, part in enumerate(parts):
                for index in part:
                    details = _details(arrangement, index, numbers[place], place, len(numbers))
                    details |= arrangement.resampled(index, frames[place], levels[index])
                    details |= _corrected(used[place], frames[place], sent[place], arrangement.windows[index])
                    written.append(Written(files, details))
        return written

    def read(self, layers: Sequence[Layer], written: Sequence[Written], contents: _Files) -> list[NDArray[np.integer]]:
        return [level for restored in self._restored(self.arranged(layers), contents) for level in restored.levels]

    def shown(self, layers: Sequence[Layer], written: Sequence[Written], contents: _Files) -> list[Shown]:
        arrangement, planes = self.arranged(layers), []
        fill = self.panel.fill_factor or 1.0
        for number, restored in enumerate(self._restored(arrangement, contents)):
            frame, correction = restored.frame, restored.correction
            states = frame.states(frame.codes)
            if correction is not None:
                states = correction.after(frame, restored.sent)
            table, border = frame.tables[0], np.array([arrangement.border_of(number)])
            level = int(levels_of(table, border)[0])
            around = complex(table.values()[level]) if level >= 0 else 0j
            for index in arrangement.parts[number]:
                window = arrangement.windows[index]
                pixels = window.orientation.back(states[window.slices])
                # What lies between pixels sends on light that no level changes: the zero order.
                between = 1 - fill
                grid = window.grid(layers[index].grid)
                planes.append(Shown(grid, fill * pixels + between, fill * around + between))
        return planes

    def largest_file(self, layers: Sequence[Layer]) -> int:
        rows, columns = self.panel.shape
        return max(self.panel.largest_file, _LARGEST_CORRECTION * rows * columns)

    def to_load(self, written: Written) -> Sequence[str]:
        return written.files[:1]

    def format(self, written: Written) -> str:
        return self.panel.file_words

    def summary(self, layer: Layer, written: Written) -> str:
        return words.summary(self.panel, layer, written)

    def instructions(self, layer: Layer, written: Written) -> list[str]:
        return words.instructions(self.panel, layer, written)

    def loading(self, layer: Layer, written: Written) -> list[str]:
        return words.loading(self.panel, written)

    def _restored(self, arrangement: Arrangement, contents: _Files) -> Iterator[_Restored]:
        """Yield each frame as its file has it, once it is certain that the file has nothing else."""
        corrections = self._corrections(arrangement, contents)
        for name, numbers in arrangement.files.items():
            used = [corrections[number] for number in numbers]
            sent = plain = self._frames(name, contents, len(numbers))
            if hidden := not all(map(_reversible, used)):
                plain = self._frames(_uncorrected(name), contents, len(numbers))
            for number, correction, shown, codes in zip(numbers, used, sent, plain, strict=True):
                if correction is not None and not hidden:
                    codes = correction.undone(shown)
                levels, frame = arrangement.gathered(number, codes, _uncorrected(name) if hidden else name)
                if hidden:
                    _require_corrected(name, _applied(correction, frame), shown)
                yield _Restored(levels, frame, correction, shown)

    def _beside(self, number: int) -> str:
        names = [name for _, name in self.corrections]
        return names[number] if len(names) > 1 else names[0]

    def _given_corrections(self, arrangement: Arrangement, contents: _Files) -> list[Correction | None]:
        """Return the correction of each frame; sentences are of the given files, not of those in the folder."""
        try:
            return self._corrections(arrangement, contents, {name: path for path, name in self.corrections})
        except DeploymentError as error:
            raise DeploymentError(str(error).replace(AGAIN, f"take the maker's file for {self.panel.name}")) from error

    def _corrections(
        self, arrangement: Arrangement, contents: _Files, paths: Mapping[str, str] = MappingProxyType({})
    ) -> list[Correction | None]:
        """Return the correction of each frame, with sentences of its path where one is given."""
        count, names = len(arrangement.parts), [name for _, name in self.corrections]
        if not names:
            return [None] * count
        if isinstance(self.correction, list | tuple) and len(names) != count:
            raise DeploymentError(
                f"expected one correction for all panels or one for each of the {count}, but got {len(names)}"
            )
        wavelength, read = arrangement.layers[0].wavelength, {}
        for name in names:
            if name not in contents:
                raise DeploymentError(f"expected the correction {name} among the files of a layer: deploy again")
            read[name] = read_correction(contents[name], paths.get(name, name), self.panel, wavelength)
        return [read[self._beside(number)] for number in range(count)]

    def _read(self, path: str) -> bytes:
        source = checked_path(path, DeploymentError, "the path of a correction")
        with read_errors(source, DeploymentError):
            require_file(source, DeploymentError)
            largest = self.largest_file(())
            with source.open("rb") as stream:
                content = stream.read(largest + 1)
        if len(content) > largest:
            raise DeploymentError(
                f"expected a correction of at most {largest} bytes for {self.panel.name}, but {path} is larger"
            )
        return content

    def _frames(self, name: str, contents: _Files, count: int) -> list[NDArray[np.uint16]]:
        if name not in contents:
            raise DeploymentError(f"expected the file {name} among those of a layer: deploy again")
        return self.panel.read(contents[name], name, count)


def _uncorrected(name: str) -> str:
    path = Path(name)
    return f"{path.stem}-uncorrected{path.suffix}"


def _reversible(correction: Correction | None) -> bool:
    return correction is None or correction.reversible


def _applied(correction: Correction | None, frame: Frame) -> NDArray[np.uint16]:
    return frame.codes if correction is None else correction.applied(frame)


def _details(arrangement: Arrangement, index: int, number: int, place: int, count: int) -> dict[str, Any]:
    window, border = arrangement.windows[index], arrangement.border_of(number)
    details = {
        "rows": [window.top, window.top + window.shape[0] - 1],
        "columns": [window.left, window.left + window.shape[1] - 1],
        "centre": list(window.centre),
        "pixels": [window.rows.ratio, window.columns.ratio],
        "flip": window.orientation.flip,
        "turn": window.orientation.turn,
        "border": border,
        "scale": arrangement.placement.scale(arrangement.layers[index].grid),
    }
    return details | ({"frame": place + 1, "frames": count} if count > 1 else {})


def _corrected(correction: Correction | None, frame: Frame, sent: NDArray[np.uint16], window: Window) -> dict[str, Any]:
    """Return how far the corrected states of a layer are from those wanted, or which are sent as one; empty if none."""
    if correction is None or correction.exact:
        return {} if correction is None else correction.folded(frame, window.slices)
    wanted, found = frame.states(frame.codes), correction.after(frame, sent)
    largest = max(float(table.amplitude.max()) for table in frame.tables)
    return {"corrected": error_of(found[window.slices], wanted[window.slices], largest)}


def _require_corrected(name: str, wanted: NDArray[np.uint16], found: NDArray[np.uint16]) -> None:
    different = np.argwhere(wanted != found)
    if len(different):
        row, column = different[0]
        raise DeploymentError(
            f"expected {name} to be {_uncorrected(name)} with the correction added, but at row {row}, column {column} "
            f"got {found[row, column]} in place of {wanted[row, column]}{and_more(len(different))}: {AGAIN}"
        )
