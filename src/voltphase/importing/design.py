"""The file that says what the maps of a design are: a configuration with one section more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Gt, Le
from pydantic import model_validator

from voltphase.config import Config
from voltphase.config.load import load_as
from voltphase.core.errors import ConfigError, DataError
from voltphase.core.files import checked_path
from voltphase.settings.fields import Section, misfit

#: Name of the file in the folder of a design.
DESIGN_NAME: Final = "design.yaml"

#: What the numbers of a map are.
Kind = Literal["level", "control", "phase", "height", "complex"]
Flip = Literal["none", "horizontal", "vertical", "both"]

#: Kinds whose light depends on which way time runs in the program that made them.
_SIGNED: Final = ("phase", "complex")
#: Kinds that mean nothing without the device whose states they count.
_OF_A_DEVICE: Final = ("level", "control")
#: The device of phases that no device is named for.
IDEAL: Final = {"model": "lcos", "levels": None}


class MapsConfig(Section):
    """The maps of a design, one for each layer in the order light meets them.

    Attributes:
        files: Their files, named from the folder of the design: .npy, .csv without a header, or grey pictures.
        weights: One file of trained weights in place of them, of LightRidge or TorchOptics: .pth or .safetensors.
        layers: Names of the modules in the weights that are layers, in the order light meets them; null for those that
            the program's own models have.
        kind: What a number is: the ``level`` of the device's table, counted from 0; the ``control`` value to send, such
            as a grey value; a ``phase`` in radians; a ``height`` in metres; or the ``complex`` factor on the light.
        two_pi: Number that stands for a phase of 2 pi, such as 256 in a picture or 360 for degrees; null for radians.
        height_unit: Height in metres that a number of 1 stands for, such as 1e-9; null for metres.
        conjugate: Whether the program that made phases takes time to run as exp(+i omega t), so that they count the
            other way.
        turns: Quarter turns anticlockwise that bring a map as it is stored to how light meets it.
        flip: How it is mirrored after that: left and right are exchanged by ``horizontal``.
    """

    files: list[str] | None = None
    weights: str | None = None
    layers: list[str] | None = None
    kind: Kind | None = None
    two_pi: Annotated[float, Gt(0)] | None = None
    height_unit: Annotated[float, Gt(0)] | None = None
    conjugate: bool = False
    turns: Annotated[int, Ge(0), Le(3)] = 0
    flip: Flip = "none"

    @model_validator(mode="after")
    def _fit_together(self) -> MapsConfig:
        if bool(self.files) == (self.weights is not None):
            got = "both" if self.files else "neither"
            raise misfit(f"expected either maps.files, one for each layer, or maps.weights, but got {got}")
        if self.files is not None and self.kind is None:
            raise misfit("expected maps.kind to be level, control, phase, height or complex, but it is missing")
        if self.files is not None and self.layers is not None:
            raise misfit("expected no maps.layers beside maps.files, whose order says it, but got some: leave it out")
        if self.weights is not None:
            given = [key for key in ("kind", "two_pi", "height_unit") if getattr(self, key) is not None]
            if given or self.conjugate:
                raise misfit(
                    f"expected no maps.{(given or ['conjugate'])[0]} beside maps.weights, which say what they are, but "
                    "got one: leave it out"
                )
        for key, kind in (("two_pi", "phase"), ("height_unit", "height")):
            if getattr(self, key) is not None and self.kind != kind:
                raise misfit(f"expected no maps.{key} for maps.kind {self.kind}, but got one: it is for {kind}")
        if self.conjugate and self.kind not in _SIGNED:
            raise misfit(
                f"expected no maps.conjugate for maps.kind {self.kind}, whose device or material says what light does, "
                "but it is true: leave it out"
            )
        return self


class Design(Config):
    """A configuration of a system whose maps are given.

    What need not be said: ``optics.depth`` and ``optics.size`` follow from the maps, ``optics.method`` is ``auto``, a
    device has all its states, and phases without a device are for an ideal one; levels and control values need one.

    Attributes:
        maps: The maps.
    """

    maps: MapsConfig

    @model_validator(mode="before")
    @classmethod
    def _say_the_rest(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values, maps = dict(values), values.get("maps")
        if "data" not in values:
            values.setdefault("task", {"name": "image"})
        if isinstance(optics := values.get("optics", {}), dict):
            values["optics"] = {"method": "auto", **optics}
            if (depth := _depth(optics, values.get("devices"), maps)) is not None:
                values["optics"].setdefault("depth", depth)
        each, one = values.get("devices"), values.get("device")
        if each is None and one is None:
            _require_phases(maps)
            values["device"] = IDEAL
        if isinstance(one, dict):
            values["device"] = {"levels": None, **one}
        if isinstance(each, list):
            values["devices"] = [{"levels": None, **device} if isinstance(device, dict) else device for device in each]
        return values


def read_design(folder: Path, overrides: list[str] | tuple[str, ...] = ()) -> Design:
    """Return what the file in the folder of a design says.

    Args:
        folder: Folder with ``design.yaml``.
        overrides: Single settings in place of those in the file, as for :func:`voltphase.config.load_config`.

    Raises:
        DataError: if there is no such folder or file.
        ConfigError: if a key or a value in it does not fit, or there is a task without data or data without a task.
    """
    file = checked_path(folder, DataError) / DESIGN_NAME
    if not file.is_file():
        there = f"holds no {DESIGN_NAME}" if folder.is_dir() else "is no folder"
        raise DataError(
            f"expected a folder with the maps of a design and a {DESIGN_NAME} that says what they are, but {folder} "
            f"{there}: write one with the keys maps and optics"
        )
    design = load_as(Design, file, overrides)
    given = design.model_fields_set
    if "task" not in given and "data" in given:
        raise ConfigError(
            f"{file}: expected a task beside the data, which says how the detector is read, but there is none: give "
            "task, such as {name: classification, regions: [...]}"
        )
    if "data" not in given and design.task.name != "image":
        raise ConfigError(
            f"{file}: expected data to answer for the task {design.task.name}, but there are none: give data, such as "
            "{name: mnist}, or leave the task out, for a picture of the light"
        )
    return design


def _require_phases(maps: Any) -> None:
    """Refuse maps of levels or control values of a device that is not named."""
    kind = maps.get("kind") if isinstance(maps, dict) else None
    if kind in _OF_A_DEVICE:
        raise misfit(
            f"expected a device for maps.kind {kind}, as its table says what light each of the numbers stands for, but "
            "got none: add device: {file: slm.csv} or {model: NAME}; of numbers that are phases say maps.kind: phase, "
            "and in maps.two_pi which number stands for 2 pi"
        )


def _depth(optics: dict[str, Any], devices: Any, maps: Any) -> int | None:
    """Return how many layers there are, by whatever lists one thing for each; None if nothing does."""
    files = maps.get("files") if isinstance(maps, dict) else None
    distances, detectors = optics.get("distances"), optics.get("detectors")
    behind = 0 if isinstance(detectors, dict) and detectors.get("distances") else 1  # the last layer
    for each, more in ((files, 0), (devices, 0), (distances, behind)):
        if isinstance(each, list) and len(each) > more:
            return len(each) - more
    return None
