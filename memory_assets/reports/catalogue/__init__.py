"""Every sentence that a reader sees, in each language; the code holds none."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from memory_assets.errors import InputError

LANGUAGES: tuple[str, ...] = ("en", "ja")
_PARTS = ("", "language.", "money.")
"""Files of a language: an audit, what a language model recites, and what it means in money."""


@dataclass(frozen=True)
class Catalogue:
    """The texts of one language: `t("verdict.pass", name=...)` is a sentence with its values in."""

    lang: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        return self.texts[key].format(**values)

    def name(self, group: str, name: str) -> str:
        """What to call a registry name of a group; one that the catalogue lacks stands as it is."""
        return self.texts.get(f"{group}.{name}", name)

    def under(self, stem: str) -> list[str]:
        """The texts whose keys begin with `stem`, in the order of the file."""
        return [text for key, text in self.texts.items() if key.startswith(stem)]


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in table.items():
        texts |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return texts


@cache
def catalogue(lang: str) -> Catalogue:
    """The catalogue of a language.

    Raises:
        InputError: there is no catalogue in that language.
    """
    if lang not in LANGUAGES:
        raise InputError(f"no report in language {lang!r}: choose one of {', '.join(LANGUAGES)}")
    texts: dict[str, str] = {}
    for part in _PARTS:
        text = files(__name__).joinpath(f"{part}{lang}.toml").read_text(encoding="utf-8")
        texts |= _flat(tomllib.loads(text))
    return Catalogue(lang, texts)
