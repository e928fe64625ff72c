"""Things that users choose by name, and that other packages can add to."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Generic, TypeVar, cast

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, VoltphaseError, VoltphaseWarning

Entry = TypeVar("Entry", bound=Callable[..., object])
_Own = TypeVar("_Own", bound=Callable[..., object])

#: What leaves the choice of a method or a back end to voltphase, and so is the name of none.
AUTO: Final = "auto"
#: Kinds of things that other packages can add. Their registries may not be imported yet when one looks for plugins.
GROUPS: Final = tuple(
    f"voltphase.{kind}"
    for kind in (
        "backends",
        "data",
        "devices",
        "elements",
        "loggers",
        "methods",
        "panel_formats",
        "relaxations",
        "schedules",
        "targets",
        "tasks",
    )
)
_known_groups = set(GROUPS)
_registries: list[Registry[Callable[..., object]]] = []


class PluginWarning(VoltphaseWarning):
    """Another package's addition that cannot be loaded, and is left out."""


def failure(error: BaseException) -> str:
    """Return what another package's code raised, on one line.

    Examples:
        >>> failure(ZeroDivisionError("division by zero"))
        'ZeroDivisionError: division by zero'
    """
    return f"{type(error).__name__}: {' '.join(str(error).split()):.200}"


def foreign_failure(error: BaseException) -> str | None:
    """Return the sentence for an error that arose in another package's entry while it ran, or None if in none.

    What an entry calls of libraries is its own doing; what it calls of ours is not.
    """
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = _package(str(frame.f_globals.get("__name__")))
        if package == _package(__name__):
            return None
        entries = [
            (of.what, name, entry)
            for of in _registries
            for name, entry in of._entries.items()
            if _package(entry.__module__) == package
        ]
        if entries:
            mine, code = frame.f_locals.get("self"), frame.f_code
            found = (
                f"{what} {name!r} of {package}"
                for what, name, entry in entries
                if getattr(entry, "__code__", None) is code or (isinstance(entry, type) and isinstance(mine, entry))
            )
            what = next(found, f"the package {package}")
            return f"{what} failed: {failure(error)}: correct it; called from Python, the same shows where"
    return None


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
        kind: Class that every plugin must be a subclass of; None where entries are functions too.

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

    def __init__(
        self, what: str, group: str, error: type[VoltphaseError] = ConfigError, kind: type | None = None
    ) -> None:
        self.what, self.group, self.error, self.kind = what, group, error, kind
        self._entries: dict[str, Entry] = {}
        self._left_out: dict[str, str] = {}
        self._looked_for_plugins = False
        _known_groups.add(group)
        _registries.append(cast("Registry[Callable[..., object]]", self))

    def register(self, name: str) -> Callable[[_Own], _Own]:
        """Return a decorator that adds a class or a function.

        Args:
            name: What users write: lower-case letters, digits and hyphens.

        Raises:
            TypeError: if the name is taken, or is no name.
        """
        if problem := _unfit(name):
            raise TypeError(f"expected a name for {self.what}, but {checks.shown(name)} {problem}")

        def add(entry: _Own) -> _Own:  # its own type, which a decorator must not hide from a type checker
            if self._entries.setdefault(name, cast(Entry, entry)) is not entry:
                raise TypeError(f"expected a new name for {self.what}, but {name!r} is {self._entries[name]!r}")
            return entry

        return add

    def name_of(self, entry: object) -> str | None:
        """Return the name of an entry, or None if it was never registered."""
        return next((name for name, known in self._all().items() if known is entry), None)

    def leave_out(self, name: str, reason: str) -> None:
        """Take an entry that cannot be used from those there are, with a warning that ends with the ``reason``."""
        self._left_out[name] = reason
        self._entries.pop(name, None)
        advise(f"{self.what} {name!r} is left out: {reason}", PluginWarning)

    @contextmanager
    def trying(self, name: object, *, asked: bool = False, advice: str = "") -> Iterator[None]:
        """Use another package's entry in a block: what it raises there leaves it out, with its reason.

        What an entry of ours raises is raised as it is.

        Args:
            name: Name of the entry.
            asked: Whether the entry was asked for by its name; whoever did gets the reason as an error instead.
            advice: What to do about that error, for the end of its sentence.

        Raises:
            VoltphaseError: if the entry was asked for, the registry's unless it is one already.
        """
        try:
            yield
        except Exception as error:
            entry = self._entries.get(name) if isinstance(name, str) else None
            if entry is None or _package(entry.__module__) == _package(__name__):
                raise
            if not asked:
                self.leave_out(str(name), failure(error))
            elif isinstance(error, VoltphaseError):
                raise
            else:
                raise self.error(f"{self.what} {name!r} failed: {failure(error)}: {advice}") from error

    def why_left_out(self, name: object) -> str | None:
        """Return the sentence for an entry that cannot be used, or None if there is no such one of that name."""
        if not isinstance(name, str) or name in self._all() or name not in self._left_out:
            return None
        return f"{self.what} {name!r} cannot be used: {self._left_out[name]}"

    def checked(self, name: str, *words: str) -> str:
        """Return a name if it is that of an entry, or one of some words besides; else raise the registry's error."""
        names = (*words, *self._all())
        if isinstance(name, str) and name in names:
            return name
        if reason := self.why_left_out(name):
            raise self.error(reason)
        sentence = f"expected {self.what} out of {', '.join(names)}, but got {checks.shown(name)}"
        close = difflib.get_close_matches(str(name).lower(), names, n=1)
        raise self.error(f"{sentence}: did you mean {close[0]}?" if close else sentence)

    def __getitem__(self, name: str) -> Entry:
        return self._all()[self.checked(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, Entry]:
        if not self._looked_for_plugins:
            self._looked_for_plugins = True
            _warn_of_unknown_groups()
            for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
                self._add_plugin(point)
        return self._entries

    def _add_plugin(self, point: EntryPoint) -> None:
        name, origin = point.name, point.value if point.dist is None else f"{point.value} of {point.dist.name}"
        try:
            entry = point.load()
        except (Exception, SystemExit) as error:  # whatever another package's code raises must not stop ours
            reason = failure(error)
        else:
            reason = self._problem(name, entry)
            if not reason and self._entries.setdefault(name, entry) is not entry:
                reason = "the name is taken"
        if reason and name in self._entries:  # that of another
            advise(f"{self.what} {name!r} ({origin}) is left out: {reason}", PluginWarning)
        elif reason:
            self.leave_out(name, f"{reason} ({origin})")

    def _problem(self, name: str, entry: object) -> str:
        if problem := _unfit(name):
            return f"its name {problem}"
        if not callable(entry):
            return f"it is {checks.shown(entry)}"
        if self.kind is not None and not (isinstance(entry, type) and issubclass(entry, self.kind)):
            return f"it is no subclass of {self.kind.__module__}.{self.kind.__name__}"
        lacking = sorted(getattr(entry, "__abstractmethods__", ()))  # of an abstract class
        return f"it lacks {', '.join(lacking)}" if lacking else ""


def _package(module: str) -> str:
    return module.partition(".")[0]


def _unfit(name: str) -> str:
    if name == AUTO:
        return "is a word that leaves the choice to voltphase"
    fits = isinstance(name, str) and re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name)
    return "" if fits else "is not made of lower-case letters, digits and hyphens"


@cache
def _warn_of_unknown_groups() -> None:
    for group in sorted(entry_points().groups):
        if group.startswith("voltphase.") and group not in _known_groups:
            close = difflib.get_close_matches(group, GROUPS, n=1)
            advice = f"did you mean {close[0]}?" if close else f"the groups are {', '.join(GROUPS)}"
            advise(f"entry points of the group {group} are left out, there is no such group: {advice}", PluginWarning)
