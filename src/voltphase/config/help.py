"""The settings there are, as a table to read in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from voltphase.config.load import presets, recipes
from voltphase.config.sections import Config
from voltphase.settings.keys import enumerate_words, in_words, keys, variants_of

_COLUMN, _NAMES = 10, 16
_RECIPE = (
    "sets what is not given in codesign, task and training; as --set it also replaces what CONFIG gives there, except "
    "regions, epochs and batch_size"
)


def settings_table(width: int = 74) -> str:
    """Return the keys of each section, and of each entry that can be chosen by name its own, in lines of a width.

    Examples:
        >>> "gumbel-softmax  hard, mix" in settings_table()
        True
    """
    return "\n".join(_lines(width))


def meanings(width: int = 100) -> str:
    """Return what each setting means, those of an entry chosen by name with that name, in lines of a width.

    Examples:
        >>> "optics.wavelength" in meanings() and "device.parameters.twist (tn-slm)" in meanings()
        True
    """
    told = [
        ("preset", "Configuration that a file starts from.", enumerate_words(presets())),
        ("recipe", f"How the design is learned: {_RECIPE}.", enumerate_words(recipes())),
    ]
    for key in keys(Config):
        if key.field.description and not key.path.startswith("devices."):
            name = f"{key.path} ({key.of})" if key.of else key.path
            takes = in_words(key.field.annotation, key.field.metadata)
            words = key.field.description.replace("``", "").replace(" None ", " null ")
            told.append((name, words, takes))
    return "\n".join(
        line
        for name, words, takes in told
        for line in (name, *(f"    {part}" for part in textwrap.wrap(f"{words} Takes {takes}.", width - 4)))
    )


def _lines(width: int) -> Iterator[str]:
    yield from _row("  recipe", f"{enumerate_words(recipes())}: {_RECIPE}", _COLUMN, width)
    found = [key for key in keys(Config) if not key.path.startswith("devices.")]
    for group in found:
        variants = variants_of(group.field)
        within = ", ".join(key.name for key in found if key.parent == group.path and key.of is None)
        if group.parent and variants is None and not within:
            continue
        words = "a list of what device holds, one for each layer" if group.path == "devices" else within
        yield from _row(f"  {'  ' if group.parent else ''}{group.name}", words, _COLUMN, width)
        if variants is None:
            continue
        for name, model in variants.models.items():
            own = ", ".join(key for key in model.model_fields if key not in variants.base.model_fields)
            yield from _row(f"      {name}{'*' * (name == variants.default)}", own, _NAMES + 4, width)


def _row(name: str, words: str, column: int, width: int) -> list[str]:
    column += 2
    first, *more = textwrap.wrap(words, width - column) or [""]
    start = name.ljust(column) if len(name) < column else f"{name}  "
    return [f"{start}{first}".rstrip(), *(" " * column + line for line in more)]
