"""Findings in the reader's language, with the names that the page gives to what they name."""

from __future__ import annotations

from collections.abc import Iterable

from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.tables import metric_label
from memory_assets.results.findings import LEGACY, Finding, render, singly


def translated(found: Iterable[Finding], t: Catalogue) -> list[str]:
    """A sentence a finding; on a page in another language than English, where a sentence of an
    older version is known by its English words alone, that it is so."""

    def rename(parameter: str, value: str) -> str:
        match parameter:
            case "attack" | "attacks":
                return t.name("attack", value)
            case "metric":
                return metric_label(value, t)
            case "control":
                return t.name("control.name", value)
            case "status":
                return t.texts.get(f"status.{value.replace(' ', '_')}_note", value)
        return value

    return [
        t("control.unread") if one.key == LEGACY and t.lang != "en" else render(one, t.lang, rename)
        for one in singly(found)
    ]
