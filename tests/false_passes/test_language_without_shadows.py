"""Scores of a language model that read no shadow model can fail a limit on membership, and never
pass one, unless the owner declares that nobody stronger is asked about."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from language_world import World, control, failed, make_world
from pydantic import ValidationError
from reciting_model import sentences

from memory_assets.audits.now import basis_now
from memory_assets.controls.instrument import instrument
from memory_assets.controls.verdict import Gate, decide
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.page import render
from memory_assets.sentences import read_back
from memory_assets.statistics.estimate import Measurement
from memory_assets.statistics.intervals import rate

LIMITS = [{"auc": 0.999}, {"tpr_at_fpr_0.1": 0.99}, {"balanced_accuracy": 0.999}]
RECITED = {"extraction_rate": 0.9}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One version, trained for a few epochs, and a reference model that saw other texts."""
    world = make_world(tmp_path_factory.mktemp("alone"))
    world.release("v1", epochs=12)
    world.release("other", texts=sentences("o", 60, 3), epochs=12)
    shutil.move(world.root / "versions" / "other", world.root / "reference")
    return world


def reason_keys(reason: str) -> list[str]:
    said = read_back(reason)
    assert said is not None, reason
    return [one.key for one in said]


@pytest.mark.parametrize("gate", LIMITS)
def test_scores_without_shadow_models_pass_no_limit_on_membership(world: World, gate) -> None:
    bundle = world.audit_alone("v1", gate=gate)
    assert bundle.audit.verdict == "insufficient evidence", bundle.audit.reason
    assert failed(bundle) == {"instrument"}
    assert "instrument.missing_texts" in reason_keys(control(bundle, "instrument").detail)
    assert "recipe" in bundle.audit.reason
    assert "attacker: predictions" in bundle.audit.reason


def test_a_reference_model_is_no_shadow_model(world: World) -> None:
    probes = world.alone().probes.model_dump() | {"attacks": ["loss", "reference"]}
    bundle = world.audit_alone(
        "v1", reference="reference", probes=probes, gate={"auc": 0.999, "tpr_at_fpr_0.1": 0.99}
    )
    assert {m.name for m in bundle.measurements if m.metric == "auc"} >= {"loss", "reference"}
    assert bundle.audit.verdict == "insufficient evidence"
    assert failed(bundle) == {"instrument"}


def test_a_limit_on_recitation_that_passes_does_not_carry_one_on_membership(world: World) -> None:
    bundle = world.audit_alone("v1", gate=RECITED | {"auc": 0.999})
    assert bundle.audit.verdict == "insufficient evidence"
    assert failed(bundle) == {"instrument"}


def test_scores_without_shadow_models_can_fail_a_limit(world: World) -> None:
    bundle = world.audit_alone("v1", gate={"auc": 0.55})
    assert bundle.audit.verdict == "fail"
    assert control(bundle, "instrument").passed


def test_a_limit_on_recitation_that_fails_settles_none_on_membership() -> None:
    """It fails all the same, and what membership scores found is withheld beside."""
    rows = [
        Measurement("extraction", "recited", "extraction_rate", "probability", rate(90, 99), 1),
        Measurement("membership", "loss", "tpr_at_fpr_0.1", "probability", rate(9, 99), 1),
    ]
    gate = Gate({"extraction_rate": 0.05, "tpr_at_fpr_0.1": 0.5})
    found = instrument(rows, gate, shadows=False, declared=False, texts=True)
    assert not found.passed
    decision = decide(rows, [found], gate)
    assert decision.verdict == "fail"
    assert "verdict.beside_shadows" in reason_keys(decision.reason)


def test_what_membership_does_not_decide_may_pass(world: World) -> None:
    bundle = world.audit_alone("v1", gate=RECITED)
    assert bundle.audit.verdict == "pass", bundle.audit.reason
    assert control(bundle, "instrument").passed


def test_a_declared_attacker_is_said_first(world: World) -> None:
    gate = {"auc": 0.999}
    bundle = world.audit_alone("v1", gate=gate, attacker="predictions")
    assert bundle.audit.verdict == "pass", bundle.audit.reason
    assert reason_keys(bundle.audit.reason)[0] == "verdict.declared"
    page = render(ReportInput(bundle, gate=gate))
    assert page.index("The owner declares an attacker") < page.index("within its agreed limits")
    assert "シャドウモデルを持たない攻撃者" in render(ReportInput(bundle), "ja")


def test_the_gate_does_not_answer_for_another_attacker(world: World) -> None:
    """A pass against the weaker attacker is not in force once it is no longer declared."""
    declared = {"gate": {"auc": 0.99}, "attacker": "predictions"}
    passed = world.audit_alone("v1", **declared).audit
    home = world.store.root
    assert basis_now(world.alone(**declared), world.root, "v1", home).audit_id == passed.audit_id
    usual = world.alone(gate=declared["gate"])
    assert basis_now(usual, world.root, "v1", home).audit_id != passed.audit_id


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"attacker": "predictions"}, "a recipe trains some"),
        ({"attacks": ["loss"]}, "loss reads no shadow model"),
    ],
)
def test_who_has_shadow_models_is_held_against_them(
    tmp_path: Path, attributes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        World(tmp_path, sentences("m", 2, 1), sentences("h", 2, 2)).subject(**attributes)
