"""A language model does not pass by scores that could not have seen what the gate limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.setups import text_faults, texts
from benchmarks.setups.texts import RECIPE, TextCase, sentences
from memory_assets.history.bundle import AuditBundle
from memory_assets.results.estimate import Measurement
from memory_assets.statistics.intervals import rate
from memory_assets.statistics.roc import Roc
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.validity.instrument import instrument
from memory_assets.validity.member_list import member_list_of_texts
from memory_assets.validity.verdict import Gate, decide

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("verdicts")]

REMEMBERS = replace(RECIPE, batch_tokens=1024, epochs=45)
"""It tells its members from others (AUC .99) and recites none of them."""
GATE = {"auc": 0.66}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtifactStore]:
    yield ArtifactStore(tmp_path_factory.mktemp("texts"))
    texts.forget()


@pytest.fixture(scope="module")
def leaking() -> TextCase:
    return TextCase(sentences("m", 100, 1), sentences("h", 130, 2), REMEMBERS, gate=GATE)


def failed(bundle: AuditBundle) -> set[str]:
    return {c.control for c in bundle.controls if not c.passed}


def test_without_shadow_models_a_limit_on_membership_is_never_passed(store, tmp_path: Path) -> None:
    """The same model by shadow models is another matter: its plain loss tells little."""
    case = texts.cautious(0, recipe=False)
    bundle = case.audit(tmp_path, store)
    assert bundle.audit.verdict == "insufficient evidence"
    assert failed(bundle) == {"instrument"}
    assert "give the recipe" in bundle.audit.reason
    assert bundle.audit.findings[0].key == "verdict.invalid"


def test_what_is_recited_needs_no_shadow_model(store, tmp_path: Path) -> None:
    case = replace(texts.cautious(0, recipe=False), gate={"extraction_rate": 0.2})
    bundle = case.audit(tmp_path, store)
    assert bundle.audit.verdict == "pass"
    assert not failed(bundle)


def test_a_declared_attacker_is_said_first(store, tmp_path: Path) -> None:
    case = replace(texts.cautious(0, recipe=False), declared=True)
    bundle = case.audit(tmp_path, store)
    assert bundle.audit.verdict == "pass", bundle.audit.reason
    assert bundle.audit.findings[0].key == "verdict.declared"


def test_a_recipe_and_an_attacker_without_shadow_models_contradict(store, tmp_path: Path) -> None:
    case = replace(texts.cautious(0, recipe=True), declared=True)
    with pytest.raises(ValidationError, match="leave one of the two out"):
        case.audit(tmp_path, store)


def test_a_leak_fails_without_shadow_models_all_the_same(leaking, store, tmp_path: Path) -> None:
    bundle = leaking.audit(tmp_path, store)
    assert bundle.audit.verdict == "fail", bundle.audit.reason
    assert not failed(bundle)


def test_a_swapped_list_of_a_declared_attacker_is_named(leaking, store, tmp_path: Path) -> None:
    """Nothing is recited, so that only the scores say that the list is the wrong way round."""
    case = replace(text_faults.exchanged(1.0, leaking), declared=True)
    bundle = case.audit(tmp_path, store)
    assert bundle.audit.verdict == "insufficient evidence"
    assert "member_list" in failed(bundle)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["half of the list swapped", "model of other texts"])
def test_a_list_of_other_texts_and_four_shadow_models(
    fault: str, leaking, store, tmp_path: Path
) -> None:
    """By such a list no attack finds anything, and four models resemble almost any other."""
    case = replace(leaking, shadow_recipe=REMEMBERS)
    bundle = text_faults.TEXT_FAULTS[fault](case).audit(tmp_path, store)
    assert bundle.audit.verdict == "insufficient evidence", bundle.audit.reason
    assert "instrument" in failed(bundle)
    assert "the shadow models themselves come to" in bundle.audit.reason


def test_scores_of_a_right_list_never_contradict_it() -> None:
    rng = np.random.default_rng(0)
    alike = [Roc.of(*rng.normal(size=(2, 200))) for _ in range(100)]
    assert sum(not member_list_of_texts({"loss": roc}).passed for roc in alike) <= 3
    assert member_list_of_texts({}).passed
    wrong = {"loss": Roc.of(rng.normal(size=200), rng.normal(size=200) + 1)}
    assert not member_list_of_texts(wrong).passed
    # Scores that are no loss may lie below by what they are; the loss decides where there is one.
    assert member_list_of_texts({"loss": alike[0], "recall": wrong["loss"]}).passed
    assert not member_list_of_texts({"recall": wrong["loss"]}).passed


def test_a_limit_on_recitation_that_fails_settles_none_on_membership() -> None:
    """It fails all the same, and what membership scores found is withheld beside."""
    rows = [
        Measurement("extraction", "recited", "extraction_rate", "probability", rate(90, 99), 1),
        Measurement("membership", "loss", "tpr_at_fpr_0.1", "probability", rate(9, 99), 1),
    ]
    gate = Gate({"extraction_rate": 0.05, "tpr_at_fpr_0.1": 0.5})
    found = instrument(rows, gate, shadows=False, declared=False, of_texts=True)
    assert not found.passed
    assert decide(rows, [found], gate).verdict == "fail"


def test_a_recipe_with_attacks_that_read_no_shadow_model_is_refused() -> None:
    subject = texts.cautious(0, recipe=True)._subject()
    given = subject.model_dump(exclude_unset=True) | {"attacks": ["loss"]}
    with pytest.raises(ValidationError, match="loss reads no shadow model"):
        type(subject).model_validate(given)
