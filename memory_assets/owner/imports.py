"""What a file of Python code imports, read from its text; nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_BY_NAME = {
    "import_module",
    "__import__",
    "resolve_name",
    "import_string",
    "find_spec",
    "iter_modules",
    "walk_packages",
    "run_module",
    "lazy_loader",
    "LazyLoader",
}
"""Whoever mentions one of these may import what a text names."""
_PATH = {"path", "addsitedir"}
_MODULE = re.compile(r"\.*[^\W\d]\w*(\.[^\W\d]\w*)*\.?")
_SCRIPT = re.compile(r"[\w./-]+\.(?:py|sh)\b")
_RUN = re.compile(r"\s-m\s+([\w.]+)")
_LONGEST = 300


@dataclass(frozen=True)
class Mentions:
    """The modules that one file may import, as it names them.

    `names` are dotted, relative ones with their dots first; of `from a import b` both `a` and `a.b`
    stand there, as `b` may be a module. `whole` are packages of which `*` is imported. `strings`
    are its short texts, which may name modules where `by_name` is set, and scripts or folders
    anywhere. `computed`: it imports by a name that is not written out. `moves_path`: it may change
    where modules are looked for.
    """

    names: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    strings: frozenset[str] = frozenset()
    by_name: bool = False
    computed: bool = False
    moves_path: bool = False

    @property
    def named(self) -> frozenset[str]:
        """The texts that may name a module; with a dot at the end, all modules of a package."""
        if not self.by_name:
            return frozenset()
        return frozenset(s for s in self.strings if _MODULE.fullmatch(s))


@lru_cache(maxsize=4096)
def mentions(source: bytes) -> Mentions:
    """What a file of Python code may import; nothing where it cannot be parsed."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return Mentions()
    words = set(filter(None, map(_word, nodes)))
    calls = [n for n in nodes if isinstance(n, ast.Call) and _word(n.func) in _BY_NAME]
    written = [c for c in calls if c.args and isinstance(c.args[0], ast.Constant)]
    # A name stands in its import and in each call; elsewhere it was handed on.
    by_name = bool(words & _BY_NAME)
    return Mentions(
        names=frozenset(name for node in nodes for name in _imported(node)),
        whole=frozenset(_module(n) for n in nodes if isinstance(n, ast.ImportFrom) and _star(n)),
        strings=frozenset(
            n.value
            for n in nodes
            if isinstance(n, ast.Constant)
            and isinstance(n.value, str)
            and 0 < len(n.value) <= _LONGEST
        ),
        by_name=by_name,
        computed=by_name and len(written) < max(1, len(calls)),
        moves_path=bool(words & _PATH),
    )


def script_mentions(source: bytes) -> Mentions:
    """What a file that is no Python code, such as a shell script, may run."""
    text = source.decode("utf-8", "replace")
    return Mentions(names=frozenset(_RUN.findall(text)), strings=frozenset(_SCRIPT.findall(text)))


def _word(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.name.rpartition(".")[2] if isinstance(node, ast.alias) else ""


def _module(node: ast.ImportFrom) -> str:
    return "." * node.level + (node.module or "")


def _star(node: ast.ImportFrom) -> bool:
    return any(alias.name == "*" for alias in node.names)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = _module(node)
        yield module
        dot = "" if module.endswith(".") else "."
        yield from (f"{module}{dot}{alias.name}" for alias in node.names if alias.name != "*")
