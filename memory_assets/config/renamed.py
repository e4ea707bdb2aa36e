"""Names that were mended before the first release: each is refused in one line with the new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

COMPONENT_TYPES = {
    "dagster_project.ClassifierAudit": "memory_assets.ClassifierAudit",
    "dagster_project.LanguageModelAudit": "memory_assets.LanguageModelAudit",
}
"""Types of a component in `defs.yaml`, by what they were called."""

KEYS: dict[str, str] = {}
"""Keys of a subject by what they were called, dotted from its root; `*` is any name, such as a
version's. The new name is that of the last key alone, or dotted where the key has moved."""


def refuse_renamed(written: object) -> None:
    """Refuse the first key of a subject that has another name now.

    Raises:
        ValueError: one clause that names the key and what to write.
    """
    for old, new in KEYS.items():
        for found in _found(written, old.split(".")):
            raise ValueError(f"{'.'.join(found)} is called {new} now; write that")


def _found(written: object, path: list[str]) -> Iterator[list[str]]:
    """Where a subject has a key of this path."""
    if not isinstance(written, Mapping):
        return
    first, *rest = path
    for name, value in written.items():
        if first not in ("*", name):
            continue
        if not rest:
            yield [str(name)]
        else:
            yield from ([str(name), *below] for below in _found(value, rest))
