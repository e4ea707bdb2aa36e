"""Reading a profile from TOML: every mistake is one line with the file, the field and the value."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic import ValidationError as Refused

from memory_assets.errors import InputError
from memory_assets.risk.distribution import unknown
from memory_assets.risk.fields import DISTRIBUTIONS, Text
from memory_assets.risk.options import Measure, Option, combine
from memory_assets.risk.profile import (
    SECTIONS,
    Data,
    Decision,
    Exposure,
    Loss,
    Profile,
    Source,
    Transfer,
    Value,
)
from memory_assets.spec import UNKNOWN_KEY, in_words
from memory_assets.store.paths import is_file

_MOST_BYTES = 1 << 20
_SHIPPED = Path(__file__).parent / "profiles"
_REMEDIES = {
    "bool_type": "write true or false",
    "string_pattern_mismatch": "give a text",
    "dataclass_type": "give a table",
    "union_tag_invalid": 'give a table such as {dist = "fixed", value = ..., basis = ...}',
}
"""What to do about a value, where pydantic's word for the mistake does not say it."""


@dataclass(frozen=True)
class _Combination:
    """An option that takes others together, which are declared beside it."""

    combines: Annotated[tuple[str, ...], Field(min_length=2)]


def _named(tables: Any) -> Any:
    """Measures bear the names of their tables."""
    if not isinstance(tables, dict) or not all(isinstance(v, dict) for v in tables.values()):
        raise ValueError("expected tables such as [options.output-filter]")
    return {n: t if "combines" in t else {**t, "name": n} for n, t in tables.items()}


_Option = Annotated[
    Annotated[_Combination, Tag("combination")] | Annotated[Measure, Tag("measure")],
    Discriminator(lambda table: "combination" if "combines" in table else "measure"),
]


class _File(BaseModel):
    """What a profile's file may say."""

    model_config = ConfigDict(extra="forbid")

    title: Text
    industry: Text
    currency: Literal["JPY", "USD", "EUR", "GBP", "AUD", "CAD", "CHF", "CNY", "INR", "KRW", "SGD"]
    data: Data
    exposure: Exposure
    loss: Loss
    transfer: Transfer = Transfer()
    value: Value
    decision: Decision
    options: Annotated[dict[str, _Option], BeforeValidator(_named)] = Field(default_factory=dict)
    sources: tuple[Source, ...] = ()


def _place(location: tuple[Any, ...]) -> list[str]:
    """Where a mistake is, without the words by which pydantic tells the forms of a table apart."""
    parts = [str(part) for part in location]
    if parts[0] == "options":
        del parts[2:3]
    return parts[:2] + [part for part in parts[2:] if part not in DISTRIBUTIONS]


def _known(location: tuple[Any, ...]) -> list[str]:
    """The keys beside the one at `location`."""
    *above, _ = location
    if not above:
        return list(_File.model_fields)
    part = {"sources": Source, "options": Measure, **SECTIONS}[above[0]]
    part = _Combination if above[-1] == "combination" else part
    return [f.name for f in fields(DISTRIBUTIONS.get(above[-1], part) if len(above) > 1 else part)]


def _in_one_line(error: Refused) -> str:
    """The first mistake, an unknown key before what is missing where it was misspelt."""
    mistakes: list[Any] = list(error.errors(include_url=False))
    first = next((m for m in mistakes if m["type"] in UNKNOWN_KEY), mistakes[0])
    kind, given, place = first["type"], first["input"], _place(first["loc"])
    where = ".".join(place)
    if kind in UNKNOWN_KEY:
        clause = unknown("key", place.pop(), _known(first["loc"]))
        return f"{'.'.join(place)}: {clause}" if place else clause
    if kind in ("missing", "missing_argument"):
        return f"{where} is missing: add it"
    if kind == "union_tag_invalid" and isinstance(given, dict):
        return f"{where}: {unknown('dist', str(given.get('dist')), list(DISTRIBUTIONS))}"
    if kind == "literal_error":
        choices = re.findall("'(.*?)'", first["ctx"]["expected"])
        return f"{where}: {unknown(place[-1], str(given), choices)}"
    if kind == "value_error":
        return f"{where}: {in_words(first)}"
    return f"{where}: {given!r}: {_REMEDIES.get(kind) or in_words(first)}"


def _options(tables: dict[str, Measure | _Combination], file: str) -> tuple[Option, ...]:
    """An option for each table, those that are taken together made of the others."""
    single = {n: Option(n, (t,)) for n, t in tables.items() if isinstance(t, Measure)}
    options = dict(single)
    for name, table in tables.items():
        if isinstance(table, Measure):
            continue
        for part in table.combines:
            if part not in single:
                hint = unknown("option", part, list(single))
                raise InputError(f"{file}: options.{name}.combines: {hint}")
        options[name] = Option(name, combine(*(single[part] for part in table.combines)).measures)
    return tuple(options[name] for name in tables)


def _check_kpi(profile: Profile, file: str) -> None:
    """A unit's worth is stated in exactly one of the two ways."""
    v = profile.value
    saved = v.minutes_saved is not None and v.wage_per_hour is not None
    half = (v.minutes_saved is None) != (v.wage_per_hour is None)
    if half or saved == (v.value_per_unit is not None):
        raise InputError(
            f"{file}: value.value_per_unit: state a unit's worth once: value_per_unit, or "
            "minutes_saved with wage_per_hour"
        )


def _check_divisors(profile: Profile, file: str) -> None:
    """What the formulas divide by, or take the logarithm of, is not at its limit."""
    if profile.exposure.releases.mean <= 0:
        raise InputError(f"{file}: exposure.releases is 0: give the releases a year, above 0")
    rate = profile.decision.material_rate.mean
    if not 0 < rate < 1:
        raise InputError(
            f"{file}: decision.material_rate is {rate:g}: give a rate between 0 and 1, such as 0.01"
        )


def _check_sources(profile: Profile, file: str) -> None:
    """A source named beside a figure must be listed."""
    listed = [s.id for s in profile.sources]
    for name, distribution in profile.inputs().items():
        if distribution.source and distribution.source not in listed:
            hint = unknown("source", distribution.source, listed) if listed else "none is listed"
            raise InputError(f"{file}: {name}.source: {hint}; list it under [[sources]]")


def parse_profile(text: str, file: str) -> Profile:
    """A profile from TOML text; `file` is the name that errors give.

    Raises:
        InputError: one line with the file, the field, the value and what to do.
    """
    try:
        read = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not valid TOML: {error}") from error
    except Refused as error:
        raise InputError(f"{file}: {_in_one_line(error)}") from error
    except (ValueError, RecursionError) as error:  # a number too long, nested too deep
        raise InputError(f"{file}: not valid TOML ({type(error).__name__})") from error
    said: dict[str, Any] = {name: getattr(read, name) for name in _File.model_fields}
    said["options"] = _options(read.options, file)
    profile = Profile(**said)
    _check_kpi(profile, file)
    _check_divisors(profile, file)
    _check_sources(profile, file)
    return profile


def shipped_profiles() -> tuple[str, ...]:
    """The names of the profiles that come with the package, such as `healthcare-jp`."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def load_profile(name: str | Path) -> Profile:
    """A profile from a file, or a shipped one by name.

    Raises:
        InputError: no such file or name, or anything wrong in it.
    """
    path = Path(name)
    if str(name) in shipped_profiles():
        path = _SHIPPED / f"{name}.toml"
    elif not is_file(path):
        hint = unknown("profile", str(name), list(shipped_profiles()))
        raise InputError(f"{name}: no such file, and {hint}")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path.name}: larger than {_MOST_BYTES >> 10} KiB; a profile is not")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror})") from error
    return parse_profile(text, path.name)
