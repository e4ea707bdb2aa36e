"""Reading a profile from TOML: every mistake is one line with the file, the field and the value."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from memory_assets.errors import InputError
from memory_assets.risk.distribution import (
    Beta,
    Distribution,
    Fixed,
    Lognormal,
    Pert,
    Poisson,
    Uniform,
    unknown,
)
from memory_assets.risk.options import Kind, Measure, Option, combine, kinds
from memory_assets.risk.profile import SECTIONS, Profile, Source
from memory_assets.store.paths import is_file

CURRENCIES = ("JPY", "USD", "EUR", "GBP", "AUD", "CAD", "CHF", "CNY", "INR", "KRW", "SGD")
_MOST_BYTES = 1 << 20
_SHIPPED = Path(__file__).parent / "profiles"


_KINDS: dict[str, type[Distribution]] = {
    "fixed": Fixed,
    "uniform": Uniform,
    "pert": Pert,
    "beta": Beta,
    "lognormal": Lognormal,
    "poisson": Poisson,
}


def distribution_from(table: Mapping[str, Any]) -> Distribution:
    """A distribution from `{dist, parameters, basis, source, note}`.

    Raises:
        ValueError: one clause that names the key and the value, ready to follow a field's name.
    """
    kind = table.get("dist")
    if kind not in _KINDS:
        raise ValueError(unknown("dist", str(kind), list(_KINDS)))
    cls = _KINDS[kind]
    given = {key: value for key, value in table.items() if key != "dist"}
    known = [f.name for f in fields(cls)]
    for key, value in given.items():
        if key not in known:
            raise ValueError(unknown(f"key in a {kind}", key, known))
        text = key in ("basis", "source", "note")
        if isinstance(value, bool) or not isinstance(value, str if text else int | float):
            raise ValueError(f"{key} is {value!r}: expected {'a text' if text else 'a number'}")
    missing = [key for key in (*cls.parameters(), "basis") if key not in given]
    if missing:
        raise ValueError(f"a {kind} needs {', '.join(missing)}: add it")
    return cls(**given)


def _quantity(given: Any, meta: Kind) -> Distribution:
    if not isinstance(given, dict):
        raise ValueError(f'{given!r} is not a table: write {{dist = "fixed", value = ...}}')
    found = distribution_from(given)
    low, high = found.support
    if meta.name == "rate" and not 0 <= low <= high <= 1:
        bad = high if high > 1 else low
        raise ValueError(f"{bad:g} is not a probability: give values between 0 and 1")
    if meta.name in ("amount", "count") and low < 0:
        raise ValueError(f"{low:g} is below 0: give values of 0 or more")
    if meta.known and not isinstance(found, Fixed):
        raise ValueError(f'dist is {given["dist"]!r}: expected "fixed", one known value')
    return found


def _flag(given: Any, _: Kind) -> bool:
    if not isinstance(given, bool):
        raise ValueError(f"{given!r}: write true or false")
    return given


def _whole(given: Any, _: Kind) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= 50:
        raise ValueError(f"{given!r}: give a whole number from 1 to 50")
    return given


def _share(given: Any, _: Kind) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise ValueError(f"{given!r}: give a share between 0 and 1")
    return float(given)


def _text(given: Any, _: Kind) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{given!r}: give a text")
    return given


def _texts(given: Any, _: Kind) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise ValueError(f"{given!r}: give a list of texts")
    return tuple(_text(item, _) for item in given)


def _shares(given: Any, _: Kind) -> dict[str, float]:
    if not isinstance(given, dict):
        raise ValueError(f"{given!r}: give a table of shares by stratum")
    found = {name: _share(value, _) for name, value in given.items()}
    if abs(sum(found.values()) - 1) > 1e-6:
        raise ValueError(f"shares sum to {sum(found.values()):g}: make them sum to 1")
    return found


def _choice(given: Any, meta: Kind) -> str:
    if given not in meta.choices:
        raise ValueError(unknown("value", str(given), list(meta.choices)))
    return given


_READERS: dict[str, Callable[[Any, Kind], Any]] = {
    **dict.fromkeys(("rate", "amount", "count", "signed"), _quantity),
    "flag": _flag,
    "whole": _whole,
    "share": _share,
    "text": _text,
    "texts": _texts,
    "shares": _shares,
    "choice": _choice,
}


def _table(cls: type, given: Any, where: str) -> Any:
    """Fill one dataclass from one TOML table; `where` is the file and section."""
    if not isinstance(given, dict):
        raise InputError(f"{where}: {given!r} is not a table: write [{where.split(': ')[-1]}]")
    known = {f.name: f for f in fields(cls)}
    for key in given:
        if key not in known:
            raise InputError(f"{where}: {unknown('key', key, list(known))}")
    filled: dict[str, Any] = {}
    for name, f in known.items():
        if name not in given:
            if f.default is MISSING and f.default_factory is MISSING:
                raise InputError(f"{where}.{name} is missing: add it")
            continue
        try:
            filled[name] = _READERS[kinds(cls)[name].name](given[name], kinds(cls)[name])
        except ValueError as error:
            raise InputError(f"{where}.{name}: {error}") from error
        except OverflowError as error:
            raise InputError(f"{where}.{name}: a number too large to be one") from error
    return cls(**filled)


def _options(given: Any, file: str) -> tuple[Option, ...]:
    """`[options.NAME]` holds a measure, or `combines = [names]` of measures declared beside it."""
    if not isinstance(given, dict) or not all(isinstance(v, dict) for v in given.values()):
        raise InputError(f"{file}: options: expected tables such as [options.output-filter]")
    single: dict[str, Option] = {}
    for name, table in given.items():
        if "combines" not in table:
            measure = _table(Measure, {**table, "name": name}, f"{file}: options.{name}")
            single[name] = Option(name, (measure,))
    options = dict(single)
    for name, table in given.items():
        if name in single:
            continue
        where = f"{file}: options.{name}.combines"
        parts = table["combines"]
        if not isinstance(parts, list) or len(parts) < 2 or len(table) > 1:
            raise InputError(f"{where}: {parts!r}: give a list of two or more options, alone")
        for part in parts:
            if part not in single:
                raise InputError(f"{where}: {unknown('option', str(part), list(single))}")
        both = combine(*(single[p] for p in parts))
        options[name] = Option(name, both.measures)
    return tuple(options[name] for name in given)


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
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not valid TOML: {error}") from error
    except (ValueError, RecursionError) as error:  # a number too long, nested too deep
        raise InputError(f"{file}: not valid TOML ({type(error).__name__})") from error
    known = ["title", "industry", "currency", *SECTIONS, "options", "sources"]
    for key in given:
        if key not in known:
            raise InputError(f"{file}: {unknown('key', key, known)}")
    for key in known[:3]:
        if not isinstance(given.get(key), str) or not given[key].strip():
            raise InputError(f"{file}: {key} is {given.get(key)!r}: give a text")
    if given["currency"] not in CURRENCIES:
        hint = unknown("currency", given["currency"], list(CURRENCIES))
        raise InputError(f"{file}: currency: {hint}")
    for name in SECTIONS:
        if name not in given and name != "transfer":
            raise InputError(f"{file}: [{name}] is missing: add this section")
    listed = given.get("sources", [])
    if not isinstance(listed, list):
        raise InputError(f"{file}: sources: write one [[sources]] table for each source")
    profile = Profile(
        title=given["title"],
        industry=given["industry"],
        currency=given["currency"],
        **{n: _table(cls, given.get(n, {}), f"{file}: {n}") for n, cls in SECTIONS.items()},
        sources=tuple(_table(Source, s, f"{file}: sources[{i}]") for i, s in enumerate(listed)),
        options=_options(given.get("options", {}), file),
    )
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
