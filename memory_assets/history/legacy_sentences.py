"""Sentences that audits stored before findings were data, read back as findings.

The templates of then are frozen in `legacy_sentences.toml`. A sentence that today's catalogue would
not put into the very same words is kept as it was, under the key `legacy`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from memory_assets.results.findings import Finding, Value, legacy, render, templates

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


@cache
def _templates() -> Mapping[str, str]:
    text = files("memory_assets.history").joinpath("legacy_sentences.toml").read_text("utf-8")
    groups = tomllib.loads(text).items()
    return {f"{group}.{name}": words for group, own in groups for name, words in own.items()}


def _group(name: str) -> list[str]:
    return [key for key in _templates() if key.startswith(f"{name}.")]


def _pattern(key: str, *, named: bool) -> str:
    """The regular expression that a sentence matches; `named` marks its values for reading."""
    template, found, end = _templates()[key], [], 0
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


def _number(text: str) -> int | float:
    plain = text.replace(",", "")
    if plain.endswith("%"):
        return float(plain[:-1]) / 100
    return int(plain) if re.fullmatch(r"-?\d+", plain) else float(plain)


def _typed(name: str, text: str, metric: str) -> Value:
    inner = _group(name)
    if inner:
        return _read(text, inner, metric) or ()
    if name == "attacks":
        return tuple(text.split(", "))
    return text if name in _SHAPES else _number(text)


def _read(text: str, keys: list[str], metric: str = "") -> tuple[Finding, ...] | None:
    found: list[Finding] = []
    at = 0
    while at < len(text):
        matches = [(key, m) for key in keys if (m := _reader(key).match(text, at))]
        best = max(matches, key=lambda one: one[1].end(), default=None)
        if best is None or best[1].end() == at:
            return None
        key, match = best
        named = match.groupdict()
        of = named.get("metric") or metric
        values = {name: _typed(name, value, of) for name, value in named.items()}
        found.append(Finding(key, _as_today(key, values, of)))
        at = match.end()
        gap = re.compile(r"[.;]?\s*").match(text, at)
        at = gap.end() if gap else at
    return tuple(found)


def _as_today(key: str, values: dict[str, Value], metric: str) -> dict[str, Value]:
    """One sentence alone is a finding and no list of them; a figure says of which metric it is."""
    single = {
        name: value[0]
        if isinstance(value, tuple) and len(value) == 1 and name != "attacks"
        else value
        for name, value in values.items()
    }
    if metric and key.startswith(("told.", "verdict.", "shortage.")):
        single["metric"] = metric
    return single


def _alone(value: Value) -> Value:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _joined(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sentences about limits, which ended in one full stop together, as one finding."""
    result: list[Finding] = []
    limits: list[Finding] = []
    for one in found:
        if one.key.startswith("verdict.") and "metric" in one.parameters:
            limits.append(one)
            continue
        if limits:
            result.append(Finding("verdict.limits", {"limits": tuple(limits)}))
            limits = []
        result.append(one)
    return (
        (*result, Finding("verdict.limits", {"limits": tuple(limits)})) if limits else tuple(result)
    )


def findings_of(text: str) -> tuple[Finding, ...]:
    """The findings that a stored text tells; where they would not say the same, the text itself.

    >>> findings_of("The owner has set no limit (gate) to hold the audit to.")[0].key
    'verdict.no_limit'
    """
    read = _read(text, list(_templates()))
    if read is None:
        return legacy(text)
    found = _joined(read)
    known = all(one.key in templates("en") for one in found)
    return found if known and " ".join(map(render, found)) == text else legacy(text)
