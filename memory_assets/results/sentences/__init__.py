"""The sentences that an audit writes down: said once in English, read back in any language.

The history keeps one English sentence for a verdict and for each control. It is a template of
`en.toml` with its values put in, so a report can find the values again and say the same thing in
the language of its reader. Nothing but the sentence needs to be stored, and audits of long ago are
read as well.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_FIELD = re.compile(r"\{(\w+)(?::[^}]*)?\}")
_NUMBER = r"(?:-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?%?|inf|nan)"
_NAME = r"[\w.&-]+(?: [\w.&-]+)*?"
_SHAPES = {
    "attack": _NAME,
    "attacks": rf"{_NAME}(?:, {_NAME})*?",
    "control": r"\w+",
    "metric": r"\S+?",
    "status": r"[a-z ]+",
    "entry": r"[a-z_]+",
    "theirs": r"\S+",
    "ours": r"\S+?",
}
"""How the value of a field looks; other fields hold a number, or the sentences of their group."""

Rename = Callable[[str, str], str]


@dataclass(frozen=True)
class Said:
    """One sentence that was read back: its template, and its values as they were written."""

    key: str
    values: Mapping[str, str | tuple[Said, ...]]


@cache
def templates(lang: str) -> Mapping[str, str]:
    """The templates of a language by their keys, `group.name`."""
    text = files(__name__).joinpath(f"{lang}.toml").read_text(encoding="utf-8")
    groups = tomllib.loads(text).items()
    return {f"{group}.{name}": words for group, own in groups for name, words in own.items()}


def say(key: str, **values: object) -> str:
    """A sentence in English, as it is stored."""
    return templates("en")[key].format(**values)


def said_together(parts: list[str]) -> str:
    """Several sentences as one value of another."""
    return "; ".join(parts)


def _group(name: str) -> list[str]:
    return [key for key in templates("en") if key.startswith(f"{name}.")]


def _pattern(key: str, *, named: bool) -> str:
    """The regular expression that a sentence matches; `named` marks its values for reading."""
    template, end = templates("en")[key], 0
    found: list[str] = []
    for field in _FIELD.finditer(template):
        name, inner = field[1], _group(field[1])
        one = "|".join(_pattern(k, named=False) for k in inner)
        shape = rf"(?:{one})(?:; (?:{one}))*" if inner else _SHAPES.get(name, _NUMBER)
        found += [re.escape(template[end : field.start()])]
        found += [rf"(?P<{name}>{shape})" if named else rf"(?:{shape})"]
        end = field.end()
    return "".join([*found, re.escape(template[end:])])


@cache
def _reader(key: str) -> re.Pattern[str]:
    return re.compile(_pattern(key, named=True))


def _longest(text: str, start: int, keys: list[str]) -> tuple[str, re.Match[str]] | None:
    matches = [(key, m) for key in keys if (m := _reader(key).match(text, start))]
    return max(matches, key=lambda found: found[1].end(), default=None)


def _read(text: str, keys: list[str]) -> tuple[Said, ...] | None:
    found: list[Said] = []
    at = 0
    while at < len(text):
        best = _longest(text, at, keys)
        if best is None or best[1].end() == at:
            return None
        key, match = best
        values: dict[str, str | tuple[Said, ...]] = {}
        for name, value in match.groupdict().items():
            inner = _group(name)
            values[name] = (_read(value, inner) or ()) if inner else value
        found.append(Said(key, values))
        at = match.end()
        gap = re.compile(r"[.;]?\s*").match(text, at)
        at = gap.end() if gap else at
    return tuple(found)


def read_back(text: str) -> tuple[Said, ...] | None:
    """The sentences of a stored text with their values; None where one of them is not known."""
    return _read(text, list(templates("en")))


def tell(said: Said, lang: str, rename: Rename) -> str:
    """A sentence that was read back, in a language; `rename(field, value)` names what is named."""
    between = "、" if lang == "ja" else "; "
    values = {
        name: rename(name, value)
        if isinstance(value, str)
        else between.join(tell(inner, lang, rename) for inner in value)
        for name, value in said.values.items()
    }
    return templates(lang)[said.key].format(**values) if lang != "en" else _plain(said.key, values)


def _plain(key: str, values: Mapping[str, str]) -> str:
    """The English template around values that are words already."""
    return _FIELD.sub(lambda field: values[field[1]], templates("en")[key])
