"""YAML from outside: small, shallow, without tricks, and read as plain data only.

A few lines of YAML can stand for more data than any memory holds (aliases of aliases), for a
structure without end (an alias inside its own anchor), or for one deeper than Python's stack. All
are refused before anything is built.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from memory_assets.errors import InputError

MOST_BYTES = 1 << 18
MOST_VALUES = 20_000
"""After aliases are written out."""
DEEPEST = 40
MOST_DIGITS = 100
"""Python turns no number of more than 4,300 digits into text, and reads one of base 60 slowly."""
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_HALF_A_SIGN = re.compile("[\ud800-\udfff]")


class _Refused(Exception):  # noqa: N818 - it says what happened
    """What is wrong, ready to follow the file's name."""


class _Loader(yaml.SafeLoader):
    """Refuses depth and size while it reads; aliases are measured before anything is built."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        self.depth += 1
        self.nodes += 1
        if self.nodes > MOST_VALUES:
            raise _Refused(f"more than {MOST_VALUES:,} values")
        if self.depth > DEEPEST:
            raise _Refused(f"nested deeper than {DEEPEST} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _check_scalar(node: yaml.ScalarNode) -> None:
    line = f"line {node.start_mark.line + 1}"
    if node.tag in _NUMBERS and len(node.value) > MOST_DIGITS:
        raise _Refused(f"{line}: a number of more than {MOST_DIGITS} digits")
    if _HALF_A_SIGN.search(node.value):
        raise _Refused(f"{line}: half of a surrogate pair, which no text can hold")


def _values(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """How many values a node stands for, aliases written out; `known` says it of others."""
    if node in known:
        if known[node] == 0:
            raise _Refused(f"line {node.start_mark.line + 1}: an alias inside its own anchor")
        return known[node]
    known[node] = 0
    total = 1
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        total += sum(_values(child, known) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise _Refused(f"line {line}: the key {key.value[:80]!r} stands twice")
                seen.add(key.value)
            total += _values(key, known) + _values(value, known)
    if total > MOST_VALUES:
        raise _Refused(f"stands for more than {MOST_VALUES:,} values")
    known[node] = total
    return total


def parse_yaml(text: str, source: object) -> Any:
    """Plain data from YAML text; `source` is the name that errors give.

    Raises:
        InputError: not YAML, a tag that is not plain data, a key that stands twice, or more data
            than a configuration has. Nothing of the text is repeated: it may hold a token.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _values(node, {})
        return loader.construct_document(node)
    except _Refused as refused:
        raise InputError(f"{source}: {refused}; a configuration has no need of it") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{source}: not YAML: {line}{_problem(error)}") from None
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        AttributeError,
    ) as error:
        # A character that YAML does not allow, a date that no calendar has or that is none.
        raise InputError(f"{source}: not YAML ({type(error).__name__})") from None
    finally:
        if loader is not None:
            loader.dispose()


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What is wrong, up to what it quotes from the file."""
    return (error.problem or type(error).__name__).partition("'")[0].strip() or "damaged"


def read_yaml(path: Path) -> Any:
    """Plain data from a YAML file.

    Raises:
        InputError: as `parse_yaml`, a file that cannot be read, is not UTF-8, or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES >> 10} KiB; a configuration is not")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not YAML in UTF-8 (byte {error.start})") from None
    return parse_yaml(text, path)
