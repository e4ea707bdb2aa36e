"""The page of every key of a subject, made from the models that read them.

Run `python -m memory_assets.config.reference docs/reference/subjects.md` to write it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory_assets.config.kinds import KINDS
from memory_assets.store.disk import replacing

_HEAD = """\
# Every key of a subject

What may stand under `attributes` in `dagster_project/defs/<subject>/defs.yaml`. This page is made
from the code that reads it: `python -m memory_assets.config.reference docs/reference/subjects.md`
writes it anew. An unknown key, and a value that is not what the second column says, is refused in
one line before anything is computed.
"""
_TABLE = "| key | takes | without it | meaning |\n|---|---|---|---|\n"
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "of {} or more characters",
}


@dataclass
class _Parts:
    """The parts of a subject that have keys of their own, and under which keys each stands."""

    definitions: dict[str, Any]
    places: dict[str, list[str]] = field(default_factory=dict)

    def link(self, reference: str, key: str) -> str:
        """A link to the section of a part that stands under this key."""
        name = reference.rpartition("/")[2]
        places = self.places.setdefault(name, [])
        if key not in places:
            places.append(key)
        return f"[its keys](#{name.lower()})"


def _takes(schema: dict[str, Any], key: str, parts: _Parts) -> str:
    """What a key takes, in words."""
    if "$ref" in schema:
        return parts.link(schema["$ref"], key)
    if "anyOf" in schema:
        forms = [form for form in schema["anyOf"] if form != {"type": "null"}]
        return ", or ".join(_takes(form, key, parts) for form in forms)
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{choice}`" for choice in choices)
    if schema.get("type") == "array":
        return f"list: {_takes(schema.get('items', {}), key, parts)}"
    if schema.get("type") == "object":
        by_pattern = list(schema.get("patternProperties", {}).values())
        inner = by_pattern[0] if by_pattern else schema.get("additionalProperties", True)
        if not isinstance(inner, dict):
            return "any settings by name"
        return f"by name: {_takes(inner, f'{key}.<name>', parts)}"
    word = _WORDS.get(schema.get("type", ""), "any value")
    bounds = [text.format(f"{schema[at]:g}") for at, text in _BOUNDS.items() if at in schema]
    return ", ".join([word, *bounds])


def _default(name: str, schema: dict[str, Any], required: list[str]) -> str:
    if name in required:
        return "**required**"
    value = schema.get("default")
    return "" if value in (None, "", [], {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _rows(schema: dict[str, Any], under: str, parts: _Parts) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        cells = [
            f"`{name}`",
            _takes(inner, f"{under}{name}", parts),
            _default(name, inner, schema.get("required", [])),
            inner.get("description", ""),
        ]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _sections(parts: _Parts) -> Iterator[str]:
    """A section for each part, with those that it has itself behind it."""
    done: list[str] = []
    while left := [name for name in parts.places if name not in done]:
        name = left[0]
        done.append(name)
        part = parts.definitions[name]
        rows = "".join(_rows(part, f"{parts.places[name][0]}.", parts))
        about = part.get("description", "").partition("\n\n")[0].replace("\n", " ")
        places = ", ".join(f"`{place}`" for place in parts.places[name])
        yield f'### <a id="{name.lower()}"></a>{places}\n\n{about}\n\n{_TABLE}{rows}'


def reference_page() -> str:
    """The page, in Markdown."""
    kinds = []
    seen = _Parts({})
    for kind, model in KINDS.items():
        schema = model.model_json_schema()
        seen.definitions |= schema.get("$defs", {})
        about = schema.get("description", "").partition("\n\n")[0].replace("\n", " ")
        rows = "".join(_rows(schema, "", seen))
        kinds.append(f"## `type: {kind}`\n\n{about}\n\n{_TABLE}{rows}")
    return "\n".join([_HEAD, *kinds, "## Keys below these\n", *_sections(seen)])


if __name__ == "__main__":
    with replacing(Path(sys.argv[1])) as page:
        page.write_text(reference_page(), encoding="utf-8")
