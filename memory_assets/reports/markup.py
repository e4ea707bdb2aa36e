"""HTML without holes: whatever is not already markup is escaped when it enters an element."""

from __future__ import annotations

import base64
from html import escape

VOID = frozenset({"meta", "img", "br", "hr"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def el(tag: str, *children: str | None, **attributes: str | None) -> Html:
    """An element; children that are plain text are escaped, None is left out.

    Of attribute names (`class_`, `aria_label`) the last underscore goes, others become hyphens.
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Html(f"<{tag}{named}>")
    return Html(f"<{tag}{named}>{join(*children)}</{tag}>")


def join(*children: str | None) -> Html:
    """Markup side by side; plain text among it is escaped."""
    return Html(
        "".join(
            child if isinstance(child, Html) else escape(child)
            for child in children
            if child is not None
        )
    )


def bullets(*items: str | None) -> Html:
    return el("ul", *(el("li", item) for item in items if item))


def picture(svg: str, alt: str, caption: str, *, wide: bool = False) -> Html:
    """A figure whose SVG travels inside the page; as an image it keeps its ids to itself.

    A wide one keeps its size on a small screen and scrolls.
    """
    data = base64.b64encode(svg.encode()).decode()
    image = el("img", src=f"data:image/svg+xml;base64,{data}", alt=alt)
    if wide:
        image = el(
            "div", image, class_="scroll wide", role="region", tabindex="0", aria_label=caption
        )
    return el("figure", image, el("figcaption", caption))
