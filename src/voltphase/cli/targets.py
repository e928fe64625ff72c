"""Targets on the command line: which there are, and their settings."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from voltphase.cli.common import CommandWithTable, option, path_option
from voltphase.core.errors import ConfigError

if TYPE_CHECKING:
    from voltphase.deployment import Target
    from voltphase.settings.fields import Section

_WIDTH = 74
_SET = (
    "A setting of the target, as KEY=VALUE; may be given several times. A name or path is all that follows the =; null "
    "is none."
)
TargetSetOption = Annotated[list[str] | None, option("--set", "-s", metavar="KEY=VALUE", help=_SET)]

_GROUP = "On a panel"


def _panel_option(flag: str, help: str, **details: Any) -> Any:
    return option(flag, help=help, rich_help_panel=_GROUP, **details)


_CORRECTION = (
    "The maker's correction, or a phase in radians to add (.npy or .csv); once for all panels, or once for each."
)
PanelOption = Annotated[
    str | None,
    _panel_option("--panel", "A panel of voltphase panel list, or a YAML file of your own.", metavar="NAME"),
]
PixelsOption = Annotated[
    int | None, _panel_option("--pixels", "Panel pixels along each side of a design pixel, if not as the pitches say.")
]
OffsetOption = Annotated[
    list[str] | None,
    _panel_option(
        "--offset", "Move a layer down and to the right; once for all, or once for each.", metavar="ROWS,COLUMNS"
    ),
]
FlipOption = Annotated[
    list[str] | None,
    _panel_option(
        "--flip", "Mirror a map: reverse its rows, its columns or both; once, or once for each.", metavar="WAY"
    ),
]
TurnOption = Annotated[
    list[int] | None,
    _panel_option(
        "--turn", "Then turn it counter-clockwise: 0, 90, 180 or 270; once, or once for each.", metavar="DEGREES"
    ),
]
BorderOption = Annotated[int | None, _panel_option("--border", "Grey level around the design, if not the darkest.")]
CorrectionOption = Annotated[
    list[Path] | None, path_option("--correction", metavar="FILE", help=_CORRECTION, rich_help_panel=_GROUP)
]
ResampleOption = Annotated[
    Literal["nearest", "area"] | None, _panel_option("--resample", "What to show where pitches do not fit.")
]
SideBySideOption = Annotated[
    int | None, _panel_option("--layers-per-panel", "Layers side by side on one panel.", metavar="N")
]


def panel_target(target: str | None, overrides: Sequence[str], panel: str | None, **options: Any) -> Target:
    """Return the target that options of their own and ``--set`` describe.

    Args:
        target: Name that was given, or None.
        overrides: Settings that were typed as ``KEY=VALUE``.
        panel: Panel to deploy to, or None for another target.
        **options: Settings of the panel; None where they were not given.

    Raises:
        ConfigError: if options of a panel are given without one, or another target besides, or a value does not fit.
    """
    given = {key: value for key, value in options.items() if value is not None and value != []}
    if panel is None and target != "panel":
        if given:
            flag = f"--{next(iter(given)).replace('_', '-')}"
            raise ConfigError(f"expected --panel NAME with {flag}, but got none: name the panel to place the design on")
        return chosen_target(target or "slm-image", overrides)
    if target not in (None, "panel"):
        raise ConfigError(f"expected one thing to deploy to, but got --panel {panel} and --target {target}")
    if "offset" in given:
        given["offset"] = [_offset(text) for text in given["offset"]]
    if "correction" in given:
        paths = [str(path) for path in given["correction"]]
        given["correction"] = paths[0] if len(paths) == 1 else paths
    return chosen_target("panel", overrides, ({} if panel is None else {"profile": panel}) | given)


def _offset(text: str) -> list[int]:
    parts = text.split(",")
    try:
        rows, columns = map(int, parts)
    except ValueError as error:
        raise ConfigError(
            f"expected --offset ROWS,COLUMNS as two whole numbers such as 0,-200, but got {text!r:.60}"
        ) from error
    return [rows, columns]


class CommandWithTargets(CommandWithTable):
    """A command whose help ends with the targets there are, each with its settings."""

    def table(self) -> str:
        from rich.markup import escape

        head = "[bold]Targets[/bold], each with its settings (--set KEY=VALUE) and their defaults."
        return "\n".join([head, "", *map(escape, _lines())])


def chosen_target(name: str, overrides: Sequence[str], options: Mapping[str, Any] | None = None) -> Target:
    """Return the target of a name with the settings that were typed as ``KEY=VALUE``.

    Args:
        name: Name of the target.
        overrides: What was typed.
        options: Settings that were given by options of their own.

    Raises:
        DeploymentError: if there is no such target.
        ConfigError: if it has no such setting, or a value does not fit.
    """
    from pydantic import ValidationError

    from voltphase.deployment import TARGETS
    from voltphase.settings.keys import kinds
    from voltphase.settings.messages import describe
    from voltphase.settings.yaml_io import read_setting

    target, model = TARGETS[name], _models()[name]
    if overrides and not model.model_fields:
        raise ConfigError(f"expected no --set, as the target {name} has no settings, but got {overrides[0]!r:.100}")
    known, example = kinds(model), next(iter(model.model_fields), "")
    typed = [read_setting(one, lambda path: known.get(path[0], "any"), f"{example}=VALUE") for one in overrides]
    given = {**(options or {}), **dict(typed)}
    try:
        return target(**model.model_validate(given).model_dump(exclude_unset=True))
    except ValidationError as error:
        sentence, path = describe(error, model, given)
        key = path.partition(".")[0]
        flag = key.replace("_", "-") if key in (options or {}) and key not in dict(typed) else "set"
        raise ConfigError(f"--{flag}: {sentence}") from error


def _models() -> dict[str, type[Section]]:
    from voltphase.deployment import TARGETS
    from voltphase.settings.fields import Parameters

    return Parameters(TARGETS, "").models


def _lines() -> Iterator[str]:
    from voltphase.deployment import TARGETS
    from voltphase.settings.keys import in_words
    from voltphase.settings.messages import yaml_shown

    for name, model in _models().items():
        yield from _wrapped(f"{name}: {(inspect.getdoc(TARGETS[name]) or '').partition(chr(10) * 2)[0]}", 2)
        for key, field in model.model_fields.items():
            takes = in_words(field.annotation, field.metadata)
            default = "" if field.is_required() else f"; {yaml_shown(field.default)} by default"
            yield from _wrapped(f"{key}: {field.description or ''} Takes {takes}{default}.", 6)


def _wrapped(text: str, indent: int) -> list[str]:
    words = " ".join(text.replace("``", "").split())
    return textwrap.wrap(words, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
