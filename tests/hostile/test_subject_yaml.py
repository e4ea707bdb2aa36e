"""What a subject in YAML may not say is one line when it is read, and not a fault later on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_limits import bounded
from hostile_parsers import PARSERS

from memory_assets.dagster.subjects import read_subject
from memory_assets.errors import InputError

SUBJECT = """
type: memory_assets.ClassifierAudit
attributes:
  subject: claims
  records: {members: m.csv, path: a.csv}
  checkpoints: models
  recipe:
    model: a.b:c
"""
HUGE, SEXAGESIMAL = "0x" + "f" * 5000, "1" + ":1" * 100_000

REFUSED = {
    "gate: {auc: .inf}": "attributes.gate: auc: inf; expected a number",
    "gate: {auc: .nan}": "attributes.gate: auc: nan",
    "claimed_epsilon: .inf": "attributes.claimed_epsilon: inf; input should be a finite number",
    "company: {industry: retail, records: 1, queries_per_month: .inf, revenue: 1, currency: USD}": (
        "queries_per_month: inf"
    ),
    'title: "\\ud800"': "line 9: half of a surrogate pair",
    'gate: {"\\udfff": 1}': "line 9: half of a surrogate pair",
    "  model_args: {a: .nan}": "attributes.recipe.model_args: expected numbers",
    "  model_args: {a: [{b: .inf}]}": "attributes.recipe.model_args: expected numbers",
    "  model_args: {a: 2024-01-01}": "attributes.recipe.model_args: expected numbers",
    "  model_args: {a: !!set {b}}": "attributes.recipe.model_args: expected numbers",
    "options: {early-stop: {epochs: 2024-01-01}}": "attributes.options.early-stop: expected",
    "  lr: .inf": "attributes.recipe.lr: inf",
    f"  lr: {HUGE}": "line 9: a number of more than 100 digits",
    f"title: {HUGE}": "line 9: a number of more than 100 digits",
    f"? {HUGE}\n  : 1": "line 9: a number of more than 100 digits",
    f"  epochs: {SEXAGESIMAL}": "line 9: a number of more than 100 digits",
    f"  lr: {SEXAGESIMAL}.5": "line 9: a number of more than 100 digits",
    "title: !!timestamp x": "not YAML (AttributeError)",
}


@pytest.mark.parametrize("line", REFUSED, ids=lambda line: line[:30])
def test_it_is_refused_in_one_line_when_it_is_read(tmp_path: Path, line: str, tally) -> None:
    (tmp_path / "defs.yaml").write_text(f"{SUBJECT}  {line}\n")
    with bounded(seconds=5), pytest.raises(InputError) as refused:
        read_subject(tmp_path / "defs.yaml")
    assert REFUSED[line] in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400 + len(str(tmp_path))
    tally("hostile: subjects in YAML")


def test_a_key_of_the_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "defs.yaml").write_text(f"? {HUGE}\n: 1\n{SUBJECT}")
    with pytest.raises(InputError, match="line 1: a number of more than 100 digits"):
        read_subject(tmp_path / "defs.yaml")


def test_plain_settings_of_any_depth_are_taken(tmp_path: Path) -> None:
    given = "{a: 1, b: [1.5, {c: null, 1: x}], d: true, e: \u3042}"
    (tmp_path / "defs.yaml").write_text(f"{SUBJECT}    model_args: {given}\n", encoding="utf-8")
    subject = read_subject(tmp_path / "defs.yaml")
    assert subject is not None
    assert subject.recipe.model_args == {  # type: ignore[attr-defined]
        "a": 1,
        "b": [1.5, {"c": None, 1: "x"}],
        "d": True,
        "e": "\u3042",
    }


def test_the_seeds_of_the_fuzzer_are_whole_subjects(tmp_path: Path) -> None:
    """What a mutation changes is then a value that was read, and digested."""
    parser = PARSERS["subject YAML"]
    for seed in parser.seeds():
        _, made, shown = parser.parse(seed, tmp_path)  # type: ignore[misc]
        assert made
        assert b"model_args" in shown
