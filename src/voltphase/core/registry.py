"""Things that users choose by name, and that other packages can add to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, VoltphaseError, VoltphaseWarning

Entry = TypeVar("Entry", bound=Callable[..., object])
_Own = TypeVar("_Own", bound=Callable[..., object])


class PluginWarning(VoltphaseWarning):
    """Another package's addition that cannot be loaded, and is left out."""


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Classes or functions by name: those of voltphase, and those that installed packages add.

    An entry's own parameters are its settings: the configuration, its checks and its help are made from the signature
    and the docstring. A package adds an entry by an entry point of the registry's group in its ``pyproject.toml``::

        [project.entry-points."voltphase.relaxations"]
        my-relaxation = "my_package:MyRelaxation"

    Args:
        what: What an entry is, with its article, as an error names it: ``"a relaxation"``.
        group: Name of the group of entry points, such as ``"voltphase.relaxations"``.
        error: Class of the error for a name that is not there.

    Examples:
        >>> shapes = Registry("a shape", "voltphase.shapes")
        >>> @shapes.register("square")
        ... def square(side: float = 1.0) -> float:
        ...     return side**2
        >>> shapes["square"](3.0)
        9.0
        >>> list(shapes)
        ['square']
    """

    def __init__(self, what: str, group: str, error: type[VoltphaseError] = ConfigError) -> None:
        self.what, self.group, self.error = what, group, error
        self._entries: dict[str, Entry] = {}
        self._looked_for_plugins = False

    def register(self, name: str) -> Callable[[_Own], _Own]:
        """Return a decorator that adds a class or a function.

        Args:
            name: What users write, in lower case with hyphens.

        Raises:
            TypeError: if the name is taken.
        """

        def add(entry: _Own) -> _Own:  # its own type, which a decorator must not hide from a type checker
            if self._entries.setdefault(name, cast(Entry, entry)) is not entry:
                raise TypeError(f"expected a new name for {self.what}, but {name!r} is {self._entries[name]!r}")
            return entry

        return add

    def name_of(self, entry: object) -> str | None:
        """Return the name of an entry, or None if it was never registered.

        Args:
            entry: The class or function itself.
        """
        return next((name for name, known in self._all().items() if known is entry), None)

    def __getitem__(self, name: str) -> Entry:
        entries = self._all()
        if isinstance(name, str) and name in entries:
            return entries[name]
        sentence = f"expected {self.what} out of {', '.join(entries)}, but got {checks.shown(name)}"
        close = difflib.get_close_matches(str(name).lower(), entries, n=1)
        raise self.error(f"{sentence}: did you mean {close[0]}?" if close else sentence)

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, Entry]:
        if not self._looked_for_plugins:
            self._looked_for_plugins = True
            for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
                self._add_plugin(point)
        return self._entries

    def _add_plugin(self, point: EntryPoint) -> None:
        origin = point.value if point.dist is None else f"{point.value} of {point.dist.name}"
        try:
            entry = point.load()
        except Exception as error:  # whatever another package's code raises must not stop ours
            reason = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
            advise(f"{self.what} {point.name!r} ({origin}) is left out: {reason}", PluginWarning)
            return
        if not callable(entry):
            advise(f"{self.what} {point.name!r} ({origin}) is left out: it is {checks.shown(entry)}", PluginWarning)
        elif self._entries.setdefault(point.name, entry) is not entry:  # pyright: ignore[reportArgumentType]
            advise(f"{self.what} {point.name!r} ({origin}) is left out: the name is taken", PluginWarning)
