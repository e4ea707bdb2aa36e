"""Names from outside in Markdown: they are shown, and mean nothing."""

from __future__ import annotations

import re

from memory_assets.errors import printable

# What opens markup, a link, a cell, an entity or HTML.
_SIGNS = re.compile(r"([\\`*_\[\]<>|~&:@])")


def as_text(value: object) -> str:
    """A name as Markdown that shows it as it is."""
    return _SIGNS.sub(r"\\\1", printable(str(value)))
