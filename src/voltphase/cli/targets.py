"""Targets on the command line: which there are, and their settings."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from voltphase.cli.common import CommandWithTable, option

if TYPE_CHECKING:
    from voltphase.deployment import Target
    from voltphase.settings.fields import Section

_WIDTH = 74
_SET = (
    "A setting of the target, as KEY=VALUE; may be given several times. A name or path is all that follows the =; null "
    "is none."
)
TargetSetOption = Annotated[list[str] | None, option("--set", "-s", metavar="KEY=VALUE", help=_SET)]


class CommandWithTargets(CommandWithTable):
    """A command whose help ends with the targets there are, each with its settings."""

    def table(self) -> str:
        return "\n".join(
            ["[bold]Targets[/bold], each with its settings (--set KEY=VALUE) and their defaults.", "", *_lines()]
        )


def chosen_target(name: str, overrides: Sequence[str]) -> Target:
    """Return the target of a name with the settings that were typed as ``KEY=VALUE``.

    Raises:
        DeploymentError: if there is no such target.
        ConfigError: if it has no such setting, or a value does not fit.
    """
    from pydantic import ValidationError

    from voltphase.core.errors import ConfigError
    from voltphase.deployment import TARGETS
    from voltphase.settings.keys import kinds
    from voltphase.settings.messages import describe
    from voltphase.settings.yaml_io import read_setting

    target, model = TARGETS[name], _models()[name]
    if overrides and not model.model_fields:
        raise ConfigError(f"expected no --set, as the target {name} has no settings, but got {overrides[0]!r:.100}")
    known, example = kinds(model), next(iter(model.model_fields), "")
    given = dict(read_setting(one, lambda path: known.get(path[0], "any"), f"{example}=VALUE") for one in overrides)
    try:
        return target(**model.model_validate(given).model_dump(exclude_unset=True))
    except ValidationError as error:
        raise ConfigError(f"--set: {describe(error, model, given)[0]}") from error


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
