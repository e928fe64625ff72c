"""Settings models made from signatures, and the kinds of field that sections share.

Whatever users choose by name is a class or a function in a registry. Its parameters are its settings: their type hints
and bounds are what a configuration is checked against, their defaults are the configuration's, and the lines under
``Args:`` in its docstring are the help.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Len
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from voltphase.core.errors import VoltphaseError
from voltphase.core.registry import Registry, failure

T = TypeVar("T")
S = TypeVar("S", bound="Settings")
M = TypeVar("M", bound="Section")


def _one_or_each(value: Any) -> str:
    return "each" if isinstance(value, list | tuple) else "one"


#: One value for all planes or layers, or a list with one for each.
OneOrEach = Annotated[
    Union[Annotated[T, Tag("one")], Annotated[list[T], Tag("each")]],  # noqa: UP007 - | knows no type variables here
    Discriminator(_one_or_each),
]


#: A value for each axis of a plane: rows and columns, or y and x.
Pair = Annotated[list[T], Len(2, 2)]


def _one_or_pair(value: Any) -> str:
    return "pair" if isinstance(value, list | tuple) else "one"


def which_planes(value: Any) -> str:
    """Return whether a value of type `OfPlanes` is ``"one"``, a ``"pair"``, or one or a pair for ``"each"`` plane."""
    if not isinstance(value, list | tuple):
        return "one"
    return "pair" if len(value) == 2 and not any(isinstance(one, list | tuple) for one in value) else "each"


#: One value or a pair for all planes, or a list with either for each of them, of which there are three at least: a list
#: of two numbers is a pair.
OfPlanes = Annotated[
    Union[  # noqa: UP007
        Annotated[T, Tag("one")],
        Annotated[Pair[T], Tag("pair")],
        Annotated[
            list[
                Annotated[
                    Union[Annotated[T, Tag("one")], Annotated[Pair[T], Tag("pair")]],  # noqa: UP007
                    Discriminator(_one_or_pair),
                ]
            ],
            Tag("each"),
        ],
    ],
    Discriminator(which_planes),
]


@dataclass(frozen=True)
class Wording:
    """What a field takes, in words, where those that its type makes would be hard to read."""

    text: str


@cache
def described(entry: Any) -> dict[str, str]:
    """Return what a docstring in Google's style, and those of base classes, say of each argument or attribute."""
    texts: dict[str, str] = {}
    for of in reversed(inspect.getmro(entry)) if inspect.isclass(entry) else [entry]:
        lines = f"{inspect.cleandoc(of.__doc__ or '')}\n"
        for block in re.findall(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", lines, re.MULTILINE):
            for name, text in re.findall(r"^    (\w+): (.*\n(?:     .*\n)*)", block, re.MULTILINE):
                texts[name] = " ".join(text.split())
    return texts


class Section(BaseModel):
    """A group of settings: unknown keys are refused, and no value is turned into one of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        for name, field in cls.model_fields.items():
            field.description = field.description or described(cls).get(name)


class Settings(Section):
    """The settings of one entry of a registry.

    Attributes:
        name: Name of the entry.
    """

    entry: ClassVar[Callable[..., Any]]
    made_of: ClassVar[tuple[Any, ...]]
    name: str

    if TYPE_CHECKING:  # what fields there are depends on the entry

        def __getattr__(self, name: str) -> Any: ...

    def build(self, **changed: Any) -> Any:
        """Return what the settings describe, or would with some of them changed."""
        own = inspect.signature(self.entry).parameters
        return self.entry(**{key: getattr(self, key) for key in own} | changed)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.made_of, self.model_dump())

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        content = handler(self)
        if info.exclude_defaults:  # what is as it would have been settled is a default too
            for key in inspect.signature(self.entry).parameters.keys() & content.keys():
                default = type(self).model_fields[key].default
                if default is None and getattr(self.build(**{key: None}), key, None) == content[key]:
                    del content[key]
        return content

    @model_validator(mode="after")
    def _can_be_built(self) -> Settings:
        try:
            built = self.build()
            if built is None:
                raise misfit(f"{self.name!r} makes None", named=False)
        except PydanticCustomError:
            raise
        except (VoltphaseError, ValueError) as error:
            raise misfit(str(error), named=False) from error
        except Exception as error:  # whatever another package's code raises becomes a sentence
            raise misfit(f"{self.name!r} cannot be made: {failure(error)}", named=False) from error
        for key in inspect.signature(self.entry).parameters:  # what was left open is kept as it is settled
            settled = getattr(built, key, None)
            if getattr(self, key) is None and isinstance(settled, bool | int | float | str):
                object.__setattr__(self, key, settled)
        return self


class Choice(Generic[S]):
    """A field whose settings are those of the entry of a registry that is named in it.

    Args:
        registry: The entries there are.
        default: Name of the entry where none is named; None where one is to be named.
        base: Model with the settings that all entries share.
    """

    def __init__(self, registry: Registry[Any], default: str | None, base: type[S]) -> None:
        self.registry, self.default, self.base = registry, default, base

    @property
    def models(self) -> dict[str, type[S]]:
        """The model of each entry's settings by its name."""
        return _usable(self.registry, lambda name, entry: _settings_model(self.base, name, name == self.default, entry))

    def chosen(self, group: Any) -> Any:
        """Return the name of the entry that a group of keys is for, whether there is such an entry or not."""
        return group.get("name", self.default) if isinstance(group, Mapping) else self.default

    def make(self, content: Mapping[str, Any]) -> S:
        """Return checked settings, with a ValidationError if one of them does not fit."""
        name, models = self.chosen(content), self.models
        if not isinstance(name, str) or name not in models:
            problem = {"type": _unknown(self.registry, name), "loc": ("name",), "input": name}
            raise ValidationError.from_exception_data("name", [problem])  # pyright: ignore[reportArgumentType]
        return models[name].model_validate({"name": name, **content})

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: Any) -> Settings:
        if isinstance(value, Settings):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("group", "no group of keys")
        return self.make(value)


class Choices(Choice[S]):
    """A list of such settings, where a name alone stands for an entry as it comes, and one item for a list of it.

    Args:
        registry: The entries there are.
        base: Model with the settings that all entries share.
    """

    def __init__(self, registry: Registry[Any], base: type[S]) -> None:
        super().__init__(registry, None, base)

    def chosen(self, group: Any) -> Any:
        """Return the name of the entry that an item of the list is for, whether there is such an entry or not."""
        return group if isinstance(group, str) else super().chosen(group)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        items = core_schema.list_schema(core_schema.no_info_plain_validator_function(self._validate))
        return core_schema.no_info_before_validator_function(self._listed, items)

    def _validate(self, value: Any) -> Settings:
        return super()._validate({"name": value} if isinstance(value, str) else value)

    @staticmethod
    def _listed(value: Any) -> Any:
        return [value] if isinstance(value, str | Mapping) else value


class _Given(Section):
    # What is not given is left to the function, whose defaults may be what no file may hold, such as infinity.
    model_config = ConfigDict(validate_default=False)


class Parameters:
    """A field whose settings are the parameters of the entry of a registry that is named beside it.

    Args:
        registry: The entries there are.
        default: Name of the entry where none is named.
        left_out: Names of parameters that are given elsewhere.
    """

    base = _Given

    def __init__(self, registry: Registry[Any], default: str, left_out: Sequence[str] = ()) -> None:
        self.registry, self.default, self.left_out = registry, default, frozenset(left_out)

    @property
    def models(self) -> dict[str, type[Section]]:
        """The model of each entry's parameters by its name."""
        return _usable(self.registry, lambda name, entry: _parameters_model(entry, self.left_out))

    def checked(self, name: str | None, values: Any) -> Any:
        """Return the values that are given, with a ValidationError if there is such an entry and one does not fit."""
        if name is None or name not in self.models or not isinstance(values, Mapping):
            return values
        return self.models[name].model_validate(values).model_dump(exclude_unset=True)


class Name:
    """A text that is one of the names in a registry.

    Args:
        registry: The entries there are; or the field with their settings, to have only those that have some.
        words: Words that will do besides, such as ``"auto"``.
    """

    def __init__(self, registry: Registry[Any] | Choice[Any] | Parameters, *words: str) -> None:
        self._entries, self._words = registry, words

    @property
    def names(self) -> list[str]:
        """The names there are."""
        return [*self._words, *(self._entries if isinstance(self._entries, Registry) else self._entries.models)]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def _validate(self, value: str) -> str:
        if value not in self.names:
            raise _unknown(self._entries if isinstance(self._entries, Registry) else self._entries.registry, value)
        return value


def _unknown(registry: Registry[Any], name: Any) -> PydanticCustomError:
    reason = registry.why_left_out(name)
    return misfit(reason, named=False) if reason else PydanticCustomError("name", "unknown name")


def _usable(registry: Registry[Any], make: Callable[[str, Any], type[M]]) -> dict[str, type[M]]:
    models = {}
    for name, entry in list(registry.items()):
        try:
            models[name] = make(name, entry)
        except Exception as error:  # whatever another package's type hints raise must not stop ours
            registry.leave_out(name, f"its parameters, in {entry.__module__}, are no settings: {failure(error)}")
    return models


@cache
def _settings_model(base: type[S], name: str, default: bool, entry: Callable[..., Any]) -> type[S]:
    # Where only what differs from the defaults is kept, the name of every entry but the default one is.
    named: Any = (Literal[name], name if default else ...)
    # A data set, say, takes of the settings that all share those that it knows.
    own = {key: field for key, field in fields_of(entry).items() if key not in base.model_fields}
    model = create_model(f"{base.__name__}:{name}", __base__=base, __doc__=inspect.getdoc(entry), name=named, **own)
    model.entry, model.made_of = staticmethod(entry), (base, name, default, entry)
    return model


def _restored(made_of: tuple[Any, ...], values: dict[str, Any]) -> Settings:
    return _settings_model(*made_of).model_validate(values)


@cache
def _parameters_model(entry: Callable[..., Any], left_out: frozenset[str]) -> type[Section]:
    own = {key: field for key, field in fields_of(entry).items() if key not in left_out}
    return create_model(entry.__name__, __base__=_Given, **own)


def fields_of(entry: Callable[..., Any]) -> dict[str, Any]:
    """Return pydantic's field for each parameter of a class or a function."""
    texts, fields = described(entry), {}
    # The fields of a dataclass may come from classes in other modules, whose names its own does not know.
    function = entry.__init__ if inspect.isclass(entry) and not is_dataclass(entry) else entry
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(entry).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(
                f"expected parameters that can be given by their names, but {name} is {parameter.kind.description}"
            )
        if name not in hints:
            raise TypeError(f"expected a type hint for the parameter {name}, but it has none")
        given = ... if parameter.default is parameter.empty else parameter.default
        given = list(given) if isinstance(given, tuple) else given
        fields[name] = (_plain(hints[name]), Field(default=given, description=texts.get(name)))
    return fields


def misfit(sentence: str, *, named: bool = True) -> PydanticCustomError:
    """Return the error for values that do not fit together; the message names their group if it is not ``named``."""
    return PydanticCustomError("misfit", "{sentence}", {"sentence": sentence, "named": named})


def _plain(annotation: Any) -> Any:
    """Return the type that YAML has for a type of Python: lists for tuples, texts for paths, pairs for complex."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return reduce(lambda kind, more: Annotated[kind, more], parts[1:], _plain(parts[0]))
    if origin in (Union, types.UnionType):
        return reduce(or_, map(_plain, parts))
    if origin is tuple and parts[-1] is not ...:
        return Annotated[list[_plain(parts[0])], Len(len(parts), len(parts))]
    if origin in (tuple, list, Sequence):
        return list[_plain(parts[0])]
    if annotation is complex:
        return float | Annotated[list[float], Len(2, 2)]
    return str if annotation is Path else annotation
