"""Secrets with a known answer: what they are, what else they might have been, and their files.

A report shows `masked()` values only; the files that hold the values are their owner's.
"""

from __future__ import annotations

import csv
import json
import string
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal
from unicodedata import category

import numpy as np
from faker import Faker
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memory_assets.errors import InputError
from memory_assets.records.budget import afford
from memory_assets.records.normal import normal
from memory_assets.records.texts import LONGEST_ID
from memory_assets.store.digest import digest
from memory_assets.store.disk import write_private
from memory_assets.store.paths import is_file

PROVIDERS = ("name", "city", "company", "street_address", "job", "email")
FORMAT = 1
LISTED = "listed"
"""The kind of secrets that somebody lists; a canary's kind is its template."""
PLANTED = "canary:"
"""How the id of a planted line begins; the secret's id and a number follow."""
MOST_REPETITIONS = 1_000_000
_SEPARATORS = frozenset(" -./:")
"""What a mask leaves standing: the punctuation of phone numbers, dates, times and paths."""
_LEAST_DIGITS = 3


def check_pattern(pattern: str, where: str) -> None:
    """Refuse (`InputError`) a pattern that draws nothing; `where` opens the message."""
    if len(pattern) > LONGEST_ID:
        raise InputError(f"{where}: its pattern has more than {LONGEST_ID} signs")
    if pattern.startswith("faker:"):
        if pattern.removeprefix("faker:") not in PROVIDERS:
            raise InputError(
                f"{where}: its pattern; expected faker: and one of {', '.join(PROVIDERS)}"
            )
    elif not set(pattern) & set("#?^"):
        raise InputError(
            f"{where}: its pattern draws nothing; expected #, ? or ^, or faker:provider"
        )


@dataclass(frozen=True)
class Secret:
    """A secret and the text before it. `repetitions` 0 marks a control that was never planted.

    `pattern` draws the other values that it might have been; None where nobody can say.
    `suffix` is what follows the value in the text.
    """

    id: str
    prefix: str
    value: str = field(repr=False)
    suffix: str = ""
    repetitions: int = 0
    kind: str = LISTED
    pattern: str | None = field(default=None, repr=False)
    locale: str = "en_US"

    @property
    def text(self) -> str:
        return self.prefix + self.value + self.suffix

    def masked(self) -> str:
        """The value as a report may show it: its shape and no more."""
        return masked(self.value)

    def references(self, count: int, seed: int) -> list[str]:
        """At most `count` distinct values from the same pattern, the secret's own left out.

        Fewer where the pattern has fewer; none without a pattern.
        """
        if self.pattern is None:
            return []
        # The values alone decide the draw, so that each secret has references of its own.
        key = int(digest(seed, self.id)[:15], 16)
        own = normal(self.value)
        found = dict.fromkeys(draw_values(self.pattern, self.locale, 2 * count, key))
        return [value for value in found if value != self.value and normal(value) != own][:count]


_WIDER = 0xFEE0
"""How far a sign of full width stands behind that of half width."""


def _has_width(sign: str, wider: int) -> bool:
    """Whether there is such a sign in full width (`wider` above 0) or in half width."""
    return "!" <= sign <= "~" if wider > 0 else "\uff01" <= sign <= "\uff5e"


@dataclass(frozen=True)
class RespelledSecret(Secret):
    """A secret as it stands in a corpus; `listed` is its value as the owner lists it."""

    listed: str = field(default="", repr=False)

    def references(self, count: int, seed: int) -> list[str]:
        """As of the listed secret, in the spelling of this one; none where it cannot be told."""
        if len(self.listed) != len(self.value):
            return []
        drawn = replace(self, value=self.listed).listed_references(count, seed)
        spelled = dict.fromkeys(map(self._spelled, drawn))
        return [value for value in spelled if value is not None]

    def listed_references(self, count: int, seed: int) -> list[str]:
        """The references in the spelling of the list."""
        return super().references(count, seed)

    def _spelled(self, other: str) -> str | None:
        """Another value in width and case of this one, sign by sign."""
        if len(other) != len(self.value):
            return None
        signs = []
        for mine, listed, sign in zip(self.value, self.listed, other, strict=True):
            wider = ord(mine) - ord(listed)
            if mine == listed:
                signs.append(sign)
            elif abs(wider) == _WIDER:
                signs.append(chr(ord(sign) + wider) if _has_width(sign, wider) else sign)
            elif mine in (listed.upper(), listed.lower()):
                signs.append(sign.upper() if mine == listed.upper() else sign.lower())
            else:
                return None
        return "".join(signs)


class _SecretRow(BaseModel):
    """A secret as a manifest holds it; the fields are those of `Secret`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(min_length=1, max_length=LONGEST_ID)
    prefix: str
    value: str = Field(min_length=1)
    suffix: str = ""
    repetitions: int = Field(default=0, ge=0, le=MOST_REPETITIONS)
    kind: str = "listed"
    pattern: str | None = None
    locale: str = "en_US"


class _ManifestFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    secrets: list[_SecretRow]
    corpus: str = ""
    seed: int = Field(default=0, ge=0)


def _check_secrets(secrets: tuple[Secret, ...], path: Path) -> None:
    """What no single field shows: ids that repeat, patterns that draw nothing, unknown locales."""
    seen: set[str] = set()
    for number, secret in enumerate(secrets, start=1):
        where = f"{path}: secret {number}"
        if len(secret.id) > LONGEST_ID or any(category(c) in ("Cc", "Cs") for c in secret.id):
            raise InputError(
                f"{where}: its id has more than {LONGEST_ID} characters, or a control character; "
                "give it another"
            )
        if secret.id in seen:
            raise InputError(f"{where}: its id stands more than once; give each an id of its own")
        seen.add(secret.id)
        if secret.pattern is not None:
            check_pattern(secret.pattern, where)
            if secret.pattern.startswith("faker:"):
                faker_for(secret.locale)


def _afford(path: Path) -> None:
    """Go on if there is such a file, and room for it."""
    if not is_file(path):
        raise InputError(f"{path}: no such file of secrets")
    afford(20 * path.stat().st_size, path, "its secrets")


@dataclass(frozen=True)
class Manifest:
    """Which secrets stand in a corpus, how often, and which do not.

    `corpus` is the digest of the texts that the canaries were planted in (canaries included).
    """

    secrets: tuple[Secret, ...]
    corpus: str = ""
    seed: int = 0

    def write(self, path: Path) -> None:
        """Write as JSON, readable by its owner only: it holds the values."""
        content = {"format": FORMAT, **asdict(self)}
        write_private(path, json.dumps(content, ensure_ascii=False, indent=1))

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read what `write` wrote.

        Raises:
            InputError: no such file, not JSON, another format, or an unknown or missing field.
        """
        try:
            _afford(path)
            text = path.read_bytes()
            text.decode("utf-8")
            content = _ManifestFile.model_validate_json(text)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as UTF-8 text") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"{path}: not a canary manifest of format {FORMAT} ({where}: {first['type']}); "
                "write it with `memory-assets canaries`"
            ) from None
        secrets = tuple(Secret(**row.model_dump()) for row in content.secrets)
        _check_secrets(secrets, path)
        return cls(secrets, content.corpus, content.seed)


def masked(value: str) -> str:
    """The value with stars for all but its first sign and its separators: `4*****`,
    `0**-****-****`.

    A value of which no more than two signs would stay hidden, or that holds no letter and no digit,
    is stars throughout: its first sign or its shape would be much of what there is to know.
    """
    hidden = sum(c not in _SEPARATORS for c in value)
    if hidden <= 3 or not any(c.isalnum() for c in value):
        return "*" * len(value)
    return value[0] + "".join(c if c in _SEPARATORS else "*" for c in value[1:])


@lru_cache(maxsize=16)
def faker_for(locale: str) -> Faker:
    """One generator a locale: making one is slow.

    Raises:
        InputError: a locale that Faker does not know.
    """
    try:
        return Faker(locale)
    except AttributeError as error:
        raise InputError(f"locale {locale!r}: unknown to Faker; expected such as ja_JP") from error


def draw_values(pattern: str, locale: str, count: int, seed: int) -> list[str]:
    """`count` values of a pattern, repetitions possible, the same for the same seed."""
    if pattern.startswith("faker:"):
        fake = faker_for(locale)
        fake.seed_instance(seed)
        provider = getattr(fake, pattern.removeprefix("faker:"))
        return [str(provider()).replace("\n", " ") for _ in range(count)]
    rng = np.random.default_rng(seed)
    kinds = {"#": string.digits, "?": string.ascii_lowercase, "^": string.ascii_uppercase}
    columns = [
        rng.choice(list(kinds[c]), count) if c in kinds else np.full(count, c) for c in pattern
    ]
    return ["".join(row) for row in zip(*columns, strict=True)]


def infer_pattern(value: str) -> str | None:
    """The shape of a listed value: ASCII digits vary, everything else stays.

    Letters stay, since a word or a name is likelier than random letters to a model that never saw
    it, and would be ranked high for that. None where fewer than three digits vary (100 values are
    too few to be ranked among) or what stands in the value means something else in a pattern.
    """
    if set(value) & set("#?^") or value.startswith("faker:") or len(value) > LONGEST_ID:
        return None
    shape = "".join("#" if c in string.digits else c for c in value)
    return shape if shape.count("#") >= _LEAST_DIGITS else None


def load_secrets(path: Path) -> tuple[Secret, ...]:
    """Secrets that a user lists: a CSV with the columns `prefix` and `value`.

    Optional columns: `id`, `suffix`, `pattern`, `repetitions` (1 where it is missing; 0 marks a
    control that the model never saw).

    Raises:
        InputError: not a UTF-8 CSV, a missing column or value, or a bad number (by row, without
            the value).
    """
    try:
        _afford(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: not a readable UTF-8 CSV file ({type(error).__name__})"
        ) from error
    if not rows or not {"prefix", "value"} <= set(rows[0]):
        raise InputError(f"{path}: expected the columns prefix and value, and at least one row")
    secrets = []
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"{path}: row {number} has more or fewer cells than the header")
        if not row["prefix"] or not row["value"]:
            raise InputError(f"{path}: row {number} has no prefix or no value; fill in both")
        times = row.get("repetitions") or "1"
        if not (times.isdecimal() and times.isascii() and len(times) <= 7):
            raise InputError(f"{path}: row {number}: repetitions is not a whole number")
        pattern = row.get("pattern") or infer_pattern(row["value"])
        if row.get("pattern"):
            check_pattern(row["pattern"], f"{path}: row {number}")
        secrets.append(
            Secret(
                row.get("id") or f"secret-{number:04d}",
                row["prefix"],
                row["value"],
                row.get("suffix") or "",
                int(times),
                pattern=pattern,
            )
        )
    _check_secrets(tuple(secrets), path)
    return tuple(secrets)
