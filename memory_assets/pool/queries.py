"""The query sets: which variants of a record a model is asked about."""

from __future__ import annotations

QUERIES: dict[str, tuple[tuple[int, int, bool], ...]] = {
    "identity": ((0, 0, False),),
    "flip": ((0, 0, False), (0, 0, True)),
    "shift": ((0, 0, False), (1, 0, False), (-1, 0, False), (0, 1, False), (0, -1, False)),
    "shift-flip": tuple(
        (down, right, flip)
        for flip in (False, True)
        for down, right in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    ),
}
"""Query sets by name: each query moves the image down and right (pixels) and may mirror it.
Query 0 is the record itself."""
