"""Facts and pictures of one object, as a piece of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from voltphase.core.words import printable


def card(title: str, facts: Mapping[str, str], pictures: Iterable[str] = ()) -> str:
    """Return a title with facts under it and pictures beside them, for a notebook.

    Args:
        title: Title, as text.
        facts: Texts by what they tell.
        pictures: Pictures as HTML, see :mod:`voltphase.core.display.pictures`.

    Examples:
        >>> card("a < b", {"size": "3"})
        '<div><b>a &lt; b</b><table><tr><td>size</td><td>3</td></tr></table></div>'
    """
    rows = "".join(f"<tr><td>{_shown(name)}</td><td>{_shown(text)}</td></tr>" for name, text in facts.items())
    return f"<div><b>{_shown(title)}</b><table>{rows}</table>{''.join(pictures)}</div>"


def _shown(text: str) -> str:
    return escape(printable(text))
