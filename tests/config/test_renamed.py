"""An old name in YAML is refused in one line that says the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory_assets.config import renamed
from memory_assets.dagster.subjects import read_subject
from memory_assets.errors import InputError

CLASSIFIER = """
type: memory_assets.ClassifierAudit
attributes:
  subject: claims
  records: {members: m.csv, path: a.csv}
  checkpoints: models
  recipe: {model: "a.b:c"}
"""
LANGUAGE = """
type: memory_assets.LanguageModelAudit
attributes:
  subject: notes
  members: {path: m.jsonl}
  checkpoints: models
"""
OLD = {
    "means": "training",
    "recipe.rate": "lr",
    "recipes.*.rate": "lr",
    "probes.recital": "probes.suffix",
}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CLASSIFIER + "  means: 1", "attributes: means is called training now; write that"),
        (
            CLASSIFIER.replace('a.b:c"', 'a.b:c", rate: 0.1'),
            "attributes: recipe.rate is called lr now; write that",
        ),
        (
            CLASSIFIER + "  recipes: {v1: {rate: 0.1}}",
            "attributes: recipes.v1.rate is called lr now; write that",
        ),
        (
            LANGUAGE + "  probes: {recital: 30}",
            "attributes: probes.recital is called probes.suffix now; write that",
        ),
    ],
)
def test_an_old_key_is_refused_with_the_new_one(tmp_path: Path, monkeypatch, text, line):
    monkeypatch.setattr(renamed, "KEYS", OLD)
    path = tmp_path / "defs.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_subject(path)
    assert str(refused.value) == f"{path}: {line}"


def test_todays_keys_are_taken(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(renamed, "KEYS", OLD)
    for text in (CLASSIFIER, LANGUAGE):
        (tmp_path / "defs.yaml").write_text(text)
        assert read_subject(tmp_path / "defs.yaml") is not None


@pytest.mark.parametrize("old", renamed.COMPONENT_TYPES)
def test_an_old_type_is_refused_with_the_new_one(tmp_path: Path, old: str):
    path = tmp_path / "defs.yaml"
    path.write_text(f"type: {old}\nattributes: {{}}\n")
    with pytest.raises(InputError) as refused:
        read_subject(path)
    now = renamed.COMPONENT_TYPES[old]
    assert str(refused.value) == f"{path}: type: {old!r} is called {now} now; write that"
