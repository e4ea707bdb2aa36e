"""One text in two spellings is one text: the form in which texts are compared.

Compatibility forms (full width and half width, ligatures, circled digits), case, white space and
signs that nobody sees (zero-width, soft hyphens, marks of direction) tell no texts apart.
"""

from __future__ import annotations

import io
import re
from array import array
from collections.abc import Iterator
from unicodedata import category, normalize

# Unicode's Default_Ignorable_Code_Point.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]+"
)
# Of one syllable with what stands before: vowels and finals of Hangul, voiced marks of half width.
_JOINED = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff\uff9e-\uffdc]")


def folded(text: str) -> str:
    """NFKC and case folding, without unseen signs; white space as it falls out."""
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", _UNSEEN.sub("", text)).casefold())


def normal(text: str) -> str:
    """The form in which texts are compared: folded, with single spaces between words."""
    return " ".join(folded(text).split())


def joins(sign: str) -> bool:
    """Whether a character may become one with those before it."""
    if sign.isascii():
        return False
    return (
        category(sign).startswith("M")
        or _JOINED.match(sign) is not None
        or _UNSEEN.match(sign) is not None
    )


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """The pieces of a text that are folded together, and where each begins."""
    start = 0
    for place in range(1, len(text)):
        if not joins(text[place]):
            yield start, text[start:place]
            start = place
    if text:
        yield start, text[start:]


def with_places(text: str) -> tuple[str, array[int]]:
    """The normal form, and where in the text each of its characters comes from.

    The list has one place more: where the last one ends.
    """
    signs, places = io.StringIO(), array("q")
    gap, end = -1, 0
    for start, cluster in _clusters(text):
        for sign in folded(cluster):
            if sign.isspace():
                gap = start if gap < 0 else gap
                continue
            if gap >= 0 and places:
                signs.write(" ")
                places.append(gap)
            gap = -1
            signs.write(sign)
            places.append(start)
            end = start + len(cluster)
    places.append(end)
    return signs.getvalue(), places


def find_all(text: str, part: str) -> Iterator[int]:
    """Where a part stands in a text, overlapping places too."""
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def seen(text: str) -> str:
    """The text without unseen signs at its end."""
    last = _UNSEEN.search(text)
    while last is not None and last.end() != len(text):
        last = _UNSEEN.search(text, last.end())
    return text if last is None else text[: last.start()]
