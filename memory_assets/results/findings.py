"""What an audit found, as data: the key of a sentence and its parameters, in words when shown.

Nothing stores a sentence. `render` says a finding in the language of its reader from the catalogue
beside (`sentences/en.toml`, `sentences/ja.toml`), where a parameter may be another finding or
several of them.
"""

from __future__ import annotations

import json
import math
import string
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Union, cast

import numpy as np

from memory_assets.results.metrics import find

LANGUAGES = ("en", "ja")
LEGACY = "legacy"
"""The key of a sentence from before findings were data, where no other key says the same."""

Severity = Literal["info", "warning", "error"]
Value = Union[str, int, float, "Finding", tuple[str, ...], tuple["Finding", ...]]
Rename = Callable[[str, str], str]

_BETWEEN = {"en": "; ", "ja": "、"}
_NOT_FINITE = "not_finite"


@dataclass(frozen=True)
class Finding:
    """One sentence as data: its key in the catalogue, `group.name`, and its parameters.

    Numbers are kept whole, and rounded where they are shown. Made by `finding`.
    """

    key: str
    parameters: Mapping[str, Value] = field(default_factory=dict[str, Any], hash=False)

    def as_json(self) -> str:
        """The parameters as JSON; a finding among them has its own key."""
        return json.dumps(_plain(self.parameters), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, key: str, parameters: str) -> Finding:
        """The finding that `as_json` was written of.

        >>> Finding.from_json("told.no_ends", finding("verdict.no_limit").as_json()).parameters
        {}
        """
        return cls(key, {name: _typed(value) for name, value in json.loads(parameters).items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Finding):
        return {"key": value.key, "parameters": _plain(value.parameters)}
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in cast("tuple[Any, ...]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {_NOT_FINITE: str(value)}  # JSON has no infinity
    return value


def _typed(value: Any) -> Value:
    if isinstance(value, dict):
        held = cast("dict[str, Any]", value)
        if _NOT_FINITE in held:
            return float(held[_NOT_FINITE])
        return Finding(held["key"], {n: _typed(v) for n, v in held["parameters"].items()})
    if isinstance(value, list):
        return tuple(_typed(one) for one in cast("list[Any]", value))  # pyright: ignore[reportReturnType]
    return value


@cache
def templates(lang: str) -> Mapping[str, str]:
    """The templates of a language by their keys, `group.name`."""
    folder = files("memory_assets.results") / "sentences"
    groups = tomllib.loads(folder.joinpath(f"{lang}.toml").read_text(encoding="utf-8")).items()
    return {f"{group}.{name}": words for group, own in groups for name, words in own.items()}


@cache
def _template(key: str, lang: str) -> str | None:
    """The template in a language, each number in the format that the English one gives it."""
    template = templates(lang).get(key)
    if template is None or lang == "en":
        return template
    formats = {name: spec for _, name, spec, _ in string.Formatter().parse(templates("en")[key])}
    parts = [
        text if name is None else f"{text}{{{name}:{formats.get(name) or ''}}}"
        for text, name, _, _ in string.Formatter().parse(template)
    ]
    return "".join(parts)


@cache
def fields_of(template: str) -> frozenset[str]:
    """The names of the parameters that a template shows."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


def finding(key: str, **parameters: object) -> Finding:
    """A finding with the parameters that its English template shows, and no other.

    Raises:
        KeyError: no template has this key, or a parameter of it is missing.

    >>> render(finding("verdict.not_run", metric="auc"))
    'auc: it was not run'
    """
    shown = fields_of(templates("en")[key]) | ({"metric"} & parameters.keys())
    if missing := shown - parameters.keys():
        raise KeyError(f"{key} needs {', '.join(sorted(missing))}")
    return Finding(key, {name: _value(parameters[name]) for name in sorted(shown)})


def singly(found: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding by itself, those about limits too, which are one finding together.

    >>> both = finding("verdict.limits", limits=[finding("verdict.not_run", metric="auc")])
    >>> [one.key for one in singly([both])]
    ['verdict.not_run']
    """
    for one in found:
        limits = one.parameters.get("limits") if one.key == "verdict.limits" else None
        if isinstance(limits, tuple):
            yield from (limit for limit in limits if isinstance(limit, Finding))
        else:
            yield one


def as_key(found: Finding | None) -> str:
    """What an artifact's key holds of a finding: not its words, which may change."""
    return "" if found is None else f"{found.key} {found.as_json()}"


def legacy(text: str) -> tuple[Finding, ...]:
    """A sentence that is known by its words alone; none where it is empty."""
    return (Finding(LEGACY, {"text": text}),) if text else ()


def _value(given: object) -> Value:
    if isinstance(given, np.generic):
        given = cast("np.generic[Any]", given).item()
    if isinstance(given, list | tuple):
        return tuple(_value(one) for one in cast("list[object]", given))  # pyright: ignore[reportReturnType]
    if not isinstance(given, str | int | float | Finding):
        raise TypeError(f"{given!r} is no parameter of a finding")
    return given


def share(value: float) -> str:
    """A share as a percentage, with as many digits as it needs.

    >>> share(0.2034), share(1.0)
    ('20.3%', '100%')
    """
    return f"{100 * value:.3g}%"


def measured(metric: str, value: float) -> str:
    """A value of a metric as people write it: shares as percentages.

    >>> measured("tpr_at_fpr_0.1", 0.2034), measured("auc", 0.61283)
    ('20.3%', '0.613')
    """
    known = find(metric)
    return share(value) if known is not None and known.percent else f"{value:.3g}"


class _Words(string.Formatter):
    """Python's formats, and two of our own: `share` and `of_metric`."""

    def __init__(self, metric: str) -> None:
        self.metric = metric

    def format_field(self, value: Any, format_spec: str) -> str:
        match format_spec:
            case "share":
                return share(value)
            case "of_metric":
                return measured(self.metric, value)
            case _:
                whole = isinstance(value, str)
                return value if whole else super().format_field(value, format_spec)


def _same(_: str, value: str) -> str:
    return value


def _shown(name: str, value: Value, lang: str, rename: Rename) -> Any:
    if isinstance(value, Finding):
        return render(value, lang, rename)
    if isinstance(value, tuple):
        told = [_shown(name, one, lang, rename) for one in value]
        listed = all(isinstance(one, str) for one in value)
        return (", " if listed and lang == "en" else _BETWEEN[lang]).join(told)
    return rename(name, value) if isinstance(value, str) else value


def render(found: Finding, lang: str = "en", rename: Rename = _same) -> str:
    """A finding in words; `rename(parameter, value)` names what is named in the reader's language.

    A finding of an older version whose key is no more is shown as its key with its parameters.
    """
    if found.key == LEGACY:
        return str(found.parameters["text"])
    template = _template(found.key, lang)
    if template is None or fields_of(template) - found.parameters.keys():
        return f"{found.key} {found.as_json()}"
    own = {n: _shown(n, v, lang, rename) for n, v in found.parameters.items()}
    return _Words(str(found.parameters.get("metric", ""))).vformat(template, (), own)


def render_all(found: Iterable[Finding], lang: str = "en", rename: Rename = _same) -> str:
    """Several findings as one text."""
    return ("" if lang == "ja" else " ").join(render(one, lang, rename) for one in found)
