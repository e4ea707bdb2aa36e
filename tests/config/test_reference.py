"""The page of a subject's keys is what the code makes, and says of every key what it means."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory_assets.config.kinds import KINDS
from memory_assets.config.reference import reference_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "subjects.md"


def test_the_page_is_what_the_code_makes():
    again = f"python -m memory_assets.config.reference {PAGE.relative_to(PAGE.parents[2])}"
    assert PAGE.read_text(encoding="utf-8") == reference_page(), f"make it anew: {again}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_says_what_it_means(kind: str):
    schema = KINDS[kind].model_json_schema()
    parts = {"": schema, **schema["$defs"]}
    silent = [
        f"{name or kind}.{key}"
        for name, part in parts.items()
        for key, said in part.get("properties", {}).items()
        if not said.get("description")
    ]
    assert not silent, "give each a description where its field is declared"


def test_every_key_is_on_the_page_and_every_link_leads_somewhere():
    page = reference_page()
    for model in KINDS.values():
        for part in [model.model_json_schema(), *model.model_json_schema()["$defs"].values()]:
            assert all(f"\n| `{key}` |" in page for key in part.get("properties", {}))
    links = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert links == {part.partition('"')[0] for part in page.split('<a id="')[1:]}
