"""Names from outside in Markdown: they are shown, and mean nothing."""

from __future__ import annotations

import re

from memory_assets.errors import printable

# What opens markup, a link, a cell, an entity or HTML.
_SIGNS = re.compile(r"([\\`*_\[\]<>|~&:@])")
# Where an address begins. Dagster's page makes links of bare ones after it has read the Markdown,
# when no backslash is left; a sign without width (a word joiner) takes them apart.
_ADDRESS = re.compile(r"(://|@|www(?=\.))", re.IGNORECASE)
_APART = "\u2060"


def as_text(value: object) -> str:
    """A name as Markdown that shows it as it is."""
    apart = _ADDRESS.sub(rf"\1{_APART}", printable(str(value)))
    return _SIGNS.sub(r"\\\1", apart)
