"""In which order people count releases: v9, v10, V11; 1.0.0-rc1 before 1.0.0; dates by time."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

Key = tuple[tuple[tuple[int, tuple[int, ...], str], ...], tuple[str, ...]]
"""Sorts names: parts by rank, number and word, then what tells names apart that rank the same."""

_DATE = r"((?:19|20)\d\d)(?:([-_.])(\d{1,2})\2(\d{1,2})|(\d\d)(\d\d))"
_TIME = r"(\d\d)[-_.:]?(\d\d)(?:[-_.:]?(\d\d)(?:[.,](\d{1,9}))?)?"
_ZONE = r"\s?(z|utc|gmt|[+-]\d\d:?\d\d)"
_MOMENT = re.compile(rf"(?<![\d.]){_DATE}(?:(?:[t_ -])?{_TIME}(?:{_ZONE})?)?(?!\d)", re.ASCII)
_MONTH = re.compile(r"(?<![\d.])((?:19|20)\d\d)[-_](0[1-9]|1[0-2])(?![\d.])", re.ASCII)
_SEMANTIC = re.compile(
    r"(?P<before>.*?)(?P<core>(?<![\d.])\d+\.\d+\.\d+)(?:-(?P<pre>[0-9a-z.-]+))?(?:\+(?P<build>[0-9a-z.-]+))?",
    re.ASCII,
)
_PARTS = re.compile(r"\x00\d+(?:\.\d+)*\x00|\d+(?:\.\d+)*|[^\W\d_]+|[^\x00-\x7f]", re.ASCII)
_BEFORE = frozenset(
    [
        "alpha",
        "beta",
        "rc",
        "pre",
        "preview",
        "prerelease",
        "dev",
        "snapshot",
        "nightly",
        "candidate",
        "canary",
        "milestone",
    ]
)
_AFTER = re.compile(r"(hotfix|fix|fixed|patch|patched|post|final|ga|sp|update|rev)(?![a-z])")
_BEFORE_SHORT = frozenset("abcm")
_NO_WORD = frozenset(["v", "ver", "version", "rel", "release"])
_FIRST, _END, _NUMBER, _WORD = range(4)

Part = tuple[int, tuple[int, ...], str]
_AT_END: Part = (_END, (), "")


def release_key(name: str) -> Key:
    """A sorting key by which the release that people call later sorts later.

    Numbers count as numbers (v9, v10), case and separators do not matter, and neither does a `v`
    before a number; wide digits are digits. Three numbers with dots are a semantic version: what
    follows a hyphen comes before the release, but for words that say otherwise (hotfix, patch,
    post, final), and what follows a plus decides nothing that the rest decides. Elsewhere words
    such as rc or beta after a number do the same. A date, with or without a time and its zone,
    counts by its moment; one without a zone is in UTC. Names that rank the same are told apart by
    their letters, so that the order is always the same.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    found = _SEMANTIC.fullmatch(folded)
    if found and not _AFTER.match(found["pre"] or ""):
        parts = [*_parts(found["before"] + found["core"])]
        parts += _prerelease(found["pre"]) if found["pre"] else [_AT_END]
        apart = [*_parts(found["build"] or ""), _AT_END]
        return (*parts, (_END, (), ""), *apart), (folded, name)
    return (*_parts(folded), _AT_END), (folded, name)


def _prerelease(text: str) -> list[Part]:
    """The identifiers after the hyphen: numbers before words, a shorter list before a longer."""
    parts: list[Part] = [(_FIRST, (), "")]
    for identifier in text.split("."):
        parts += _words(identifier)
    return [*parts, _AT_END]


def _parts(text: str) -> list[Part]:
    return _words(_MONTH.sub(_as_month, _MOMENT.sub(_as_moment, text)))


def _words(text: str) -> list[Part]:
    """The numbers and words of a name in order; a word that says "not yet" ranks before the end."""
    found = _PARTS.findall(text)
    parts: list[Part] = []
    for i, part in enumerate(found):
        after = found[i + 1] if i + 1 < len(found) else ""
        if part[0] == "\x00":
            parts.append((_NUMBER, tuple(int(n) for n in part.strip("\x00").split(".")), ""))
        elif part[0].isascii() and part[0].isdigit():
            numbers = [int(n) for n in part.split(".")]
            while len(numbers) > 1 and numbers[-1] == 0:  # 1.0 is 1.0.0
                numbers.pop()
            parts.append((_NUMBER, tuple(numbers), ""))
        elif part in _NO_WORD and (after[:1].isdigit() or after[:1] == "\x00"):
            continue
        else:
            numbered = bool(parts) and parts[-1][0] == _NUMBER
            short = part in _BEFORE_SHORT and len(parts[-1][1]) > 1 if numbered else False
            early = numbered and (part in _BEFORE or (short and after[:1].isdigit()))
            parts.append((_FIRST if early else _WORD, (), part))
    return parts


def _as_moment(found: re.Match[str]) -> str:
    """A date as one number of its day, and of the time of day where it has one."""
    year, separator, *rest = found.groups()
    month, day = (rest[0], rest[1]) if separator else (rest[2], rest[3])
    hour, minute, second, fraction, zone = rest[4:]
    if separator == "." and hour is None:  # 2024.1.9 is a version like any other
        return found[0]
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        ).replace(tzinfo=_zone(zone))
    except ValueError:
        return found[0]
    moment = moment.astimezone(UTC)
    said = f"{moment:%Y%m%d}"
    if hour is not None:
        said += f".{int(f'{moment:%H%M%S}') + 1}.{int((fraction or '0').ljust(9, '0'))}"
    return f"\x00{said}\x00"


def _zone(text: str | None) -> timezone:
    if text is None or text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _as_month(found: re.Match[str]) -> str:
    return f"\x00{found[1]}{found[2]}00\x00"
