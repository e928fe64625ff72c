"""YAML in and out, with the numbers people write."""

from __future__ import annotations

import re
from typing import Any

import yaml

from voltphase.errors import ConfigError

# YAML 1.1, which PyYAML reads, takes 5e-3 and 36e-6 for words because they have no dot. This is YAML 1.2's rule.
_FLOAT = re.compile(
    r"""^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # a list or a group, which PyYAML refuses as a key
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value} appears twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        # Numbers side by side, as a row of a table; groups of keys one below the other.
        plain = not any(isinstance(item, dict) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)


for _tool in (_Loader, _Dumper):
    # The first resolver that matches wins: whole numbers keep theirs, and a dumper that shares the rule quotes
    # words that would read as numbers.
    _tool.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def read_yaml(text: str, source: str) -> Any:
    """What a YAML document says.

    Args:
        text: The document.
        source: Where it comes from, to name in an error.

    Raises:
        ConfigError: if it is not YAML, or a key appears twice in one mapping; names the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is the safe loader with a rule more
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}, line {mark.line + 1}" if mark else source
        raise ConfigError(f"{where}: this cannot be read as YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: this cannot be read as YAML: {' '.join(str(error).split())}") from error


def write_yaml(content: Any) -> str:
    """``content`` as a YAML document that :func:`read_yaml` reads back identically."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True)
