"""YAML in and out: plain data only, with the numbers people write."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import yaml

from voltphase.core.errors import ConfigError

#: What a scalar without quotes is read as at some place: as it is, as a word that may stand for true or false, or as
#: whatever it looks like.
Kind = Literal["text", "switch", "any"]
#: The kind of what is at a path of keys and numbers.
KindAt = Callable[[tuple[str, ...]], Kind]

#: More bytes than any configuration has, and no more than are read in a second or two.
LARGEST: Final = 128 << 10
# Far more than any setting has.
_DEEPEST: Final = 32
_LONGEST_NUMBER: Final = 100

# The words and numbers of YAML 1.2. Those of 1.1, which PyYAML reads, take 5e-3 for a word because it has no dot,
# 010 for eight, 1:30 for ninety, 2026-02-30 for a date and no for false.
_NULL: Final = ("null", "Null", "NULL")
_TRUE: Final = ("true", "True", "TRUE")
_FALSE: Final = ("false", "False", "FALSE")
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT: Final = re.compile(
    r"""[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN)""",
    re.VERBOSE | re.ASCII,
)


class _Loader(yaml.BaseLoader):
    """A loader of documents that hold nothing but groups, lists and scalars, and not too deep."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _problem(mark, "expected no anchor (&) or alias (*), write it out or quote it")
        if getattr(event, "tag", None) is not None:
            raise _problem(mark, "expected no tag (!), leave it out or quote it")
        if self._depth >= _DEEPEST:
            raise _problem(mark, f"expected at most {_DEEPEST} levels, it is nested deeper")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _LineLoader(_Loader):
    """A loader of what is typed on a command line, where nothing may be lost as a comment."""

    def scan_to_next_token(self) -> None:
        ahead = 0
        while self.peek(ahead) in (" ", "\t", "\n", "\r"):
            ahead += 1
        if self.peek(ahead) == "#":
            raise _problem(self.get_mark(), "a # begins a comment, quote what holds it")
        super().scan_to_next_token()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        # Numbers side by side, as a row of a table; groups of keys one below the other.
        plain = not any(isinstance(item, dict) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # In double quotes what is no plain character is escaped; elsewhere exotic line ends become spaces.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)
# The dumper quotes what YAML 1.1 would read as something else than text, and so would we: numbers without a dot.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(f"(?:{_FLOAT.pattern})$", _FLOAT.flags), list("-+0123456789.")
)


def read_yaml(text: str, source: str, kind_at: KindAt = lambda path: "any") -> Any:
    """Return what a YAML document says; errors name its ``source``, and null is null whatever ``kind_at`` says.

    Groups of keys, lists, text, numbers, true, false and null: no tags, anchors, aliases or merged keys, and no dates.

    Raises:
        ConfigError: if it is not such YAML, or a key appears twice in one mapping; names the line.
    """
    return _read(text, source, kind_at, _Loader)


def read_setting(given: str, kind_at: KindAt, example: str) -> tuple[str, Any]:
    """Return the key and the value of ``KEY=VALUE``, as ``--set`` takes it; see :func:`read_value`.

    Args:
        given: What is typed.
        kind_at: What a value is read as, by its key.
        example: What an error shows as an example.

    Raises:
        ConfigError: if there is no key or no value, or it is not such YAML.
    """
    start, equals, text = given.partition("=")
    key = start.strip()
    if not equals or not key:
        raise ConfigError(f"expected --set KEY=VALUE such as {example}, but got {given!r:.100}")
    if start.endswith(" "):  # spaces around the sign are no part of a name
        text = text.lstrip()
    return key, read_value(text, f"--set {key}", tuple(key.split(".")), kind_at)


def read_value(text: str, source: str, path: tuple[str, ...], kind_at: KindAt) -> Any:
    """Return what is typed on a command line as the value of a setting.

    For a setting that is a text this is all of it, unless it is in quotes as a whole. Other values are read as YAML,
    without comments. Errors name the option, ``source``.

    Raises:
        ConfigError: if there is nothing, or it is not such YAML.
    """
    if not text.strip():
        raise ConfigError(f"{source}: expected a value after the =, but there is none: give one, or null for none")
    if kind_at(path) == "text" and text.strip()[0] not in "'\"":
        return None if text in _NULL else text
    try:
        return _read(text, source, lambda below: kind_at((*path, *below)), _LineLoader)
    except ConfigError:
        if kind_at(path) == "text":  # it begins with a quotation mark of its own
            return text
        raise


def write_yaml(content: Any) -> str:
    """Return a YAML document that :func:`read_yaml` reads back identically."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True)


def _read(text: str, source: str, kind_at: KindAt, loader: type[_Loader]) -> Any:
    if len(text) > LARGEST:
        raise ConfigError(f"{source}: expected at most {LARGEST >> 10} KiB of YAML, but there is more")
    try:
        node = yaml.compose(text, Loader=loader)
        return None if node is None else _value(node, (), kind_at)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}, line {mark.line + 1}" if mark else source
        problem = error.problem or error.context or ""
        if problem.startswith("but "):  # the other half of a sentence
            problem = f"{error.context}, {problem}"
        raise ConfigError(f"{where}: this cannot be read as YAML: {problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: this cannot be read as YAML: {' '.join(str(error).split())}") from error


def _value(node: yaml.Node, path: tuple[str, ...], kind_at: KindAt) -> Any:
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem(key_node.start_mark, "expected a word as a key, but got a list or a group of keys")
            key = key_node.value
            if key in content:
                raise _problem(key_node.start_mark, f"the key {key} appears twice")
            content[key] = _value(value_node, (*path, key), kind_at)
        return content
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, str(index)), kind_at) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node, kind_at(path)) if node.style is None else node.value


def _scalar(node: yaml.ScalarNode, kind: Kind) -> Any:
    text = node.value
    if text in (*_NULL, "~", ""):
        return None
    if kind == "text":
        return text
    if text in _TRUE or (kind == "switch" and text.lower() in ("yes", "on")):
        return True
    if text in _FALSE or (kind == "switch" and text.lower() in ("no", "off")):
        return False
    if _INTEGER.fullmatch(text):
        if len(text) > _LONGEST_NUMBER:
            raise _problem(node.start_mark, f"expected a number, but got one of {len(text)} digits")
        return int(text)
    if _FLOAT.fullmatch(text):
        # Python writes those that are not finite without the dot.
        return float(text.replace(".", "") if text[-1].isalpha() else text)
    return text


def _problem(mark: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
