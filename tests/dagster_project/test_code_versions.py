"""The graph sees that a formula changed: the code versions of the assets that call it change."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from memory_assets.attacks.registry import ATTACKS
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.components.classifier_audit import ClassifierAudit
from memory_assets.dagster.components.language_assets import language_assets
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.language.scores import FORMULAS as SCORES
from memory_assets.results import formulas
from memory_assets.results.formulas import Formula
from memory_assets.workflows import reporting

MLP = {"inputs": 4, "hidden": 4, "classes": 2}
CLASSIFIER = {
    "subject": "tiny",
    "records": {"path": "records.npz", "members": "members.csv"},
    "recipe": {"model": "memory_assets.models.mlp:mlp", "model_args": MLP, "epochs": 1},
    "checkpoints": "checkpoints",
    "pool": {"models": 4},
    "attacks": ["loss"],
    "options": {"dp": {"noise_multiplier": 1.0, "max_grad_norm": 1.0}},
}
LANGUAGE = {
    "subject": "texts",
    "members": {"path": "members.jsonl"},
    "held_out": {"path": "held_out.jsonl"},
    "checkpoints": "models",
    "secrets": "secrets.csv",
    "recipe": {"model": "memory_assets.models.gpt2:gpt2", "tokenizer": "tokenizer"},
    "attacks": ["bavaria"],
}


def code_versions(root: Path) -> dict[str, str | None]:
    """By asset, with the name of its subject."""
    subject = ClassifierSubject.model_validate(CLASSIFIER)
    classifier = ClassifierAudit(subject, root).build_defs(None)  # type: ignore[arg-type]
    texts = SubjectGraph(LanguageModelSubject.model_validate(LANGUAGE), root)
    made = [*(classifier.assets or ()), *language_assets(texts)]
    specs = [
        spec for asset in made if isinstance(asset, dg.AssetsDefinition) for spec in asset.specs
    ]
    return {spec.key.to_user_string(): spec.code_version for spec in specs}


def both(*names: str) -> set[str]:
    return {f"{subject}/{name}" for subject in ("tiny", "texts") for name in names}


def options(*names: str) -> set[str]:
    return {f"tiny/options/{option}/{name}" for option in ("original", "dp") for name in names}


CALLED: dict[Formula, set[str]] = {
    formulas.PAIRING: both("dataset"),
    formulas.MASKS: both("shadow_models") | options("shadow_models", "target_signals"),
    formulas.TRAINER: {"tiny/shadow_models"} | options("shadow_models", "target_signals"),
    formulas.LANGUAGE_TRAINER: {"texts/shadow_models"},
    formulas.SIGNALS: both("shadow_signals") | options("shadow_signals", "target_signals"),
    formulas.RATES: both("attack_scores") | {"texts/leakage"} | options("leakage"),
    formulas.EPSILON: both("attack_scores") | options("leakage"),
    ATTACKS["loss"].revision: both("attack_scores") | {"tiny/leakage"} | options("leakage"),
    ATTACKS["bavaria"].revision: {"texts/attack_scores", "texts/leakage"},
    ATTACKS["quantile"].revision: set(),
    formulas.PER_RECORD: {"tiny/memorization"} | options("memorization"),
    formulas.COUNTERFACTUAL: {"texts/memorization"},
    formulas.SCORE_CHANNEL: {"tiny/information"} | options("information"),
    formulas.GATE: both("leakage") | options("leakage"),
    formulas.UTILITY: {"tiny/leakage"} | options("leakage"),
    formulas.ACCOUNTANT: {"tiny/leakage"} | options("leakage"),
    formulas.TEXTS: {"texts/texts"},
    formulas.TEXT_PAIRS: {"texts/dataset"},
    formulas.EXPOSURE: {"texts/leakage"},
    SCORES["zlib"]: {"texts/leakage"},
    formulas.RISK: both("risk", "audit_plan"),
}


@pytest.mark.parametrize("formula", CALLED, ids=lambda formula: formula.name)
def test_a_version_of_a_formula_changes_the_code_of_what_calls_it(
    formula: Formula, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    before = code_versions(tmp_path)
    with patch.object(formula, "number", formula.number + 1):
        now = code_versions(tmp_path)
    assert {name for name in now if now[name] != before[name]} == CALLED[formula]


def test_reworded_pages_are_written_anew_and_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    before = code_versions(tmp_path)
    monkeypatch.setattr(
        "memory_assets.dagster.components.version_assets.pages_version", lambda: "other"
    )
    now = code_versions(tmp_path)
    assert {name for name in now if now[name] != before[name]} == both("roi_report")
    assert before["tiny/roi_report"] == reporting.pages_version()
