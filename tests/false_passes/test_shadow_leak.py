"""A model does not pass a limit that its own shadow models exceed."""

from __future__ import annotations

from pathlib import Path

import language_world
import numpy as np
import pytest
from outputs_world import World, control, failed, make_world, sklearn_fit
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from memory_assets.records.texts import Texts

pytestmark = pytest.mark.slow

FOREST = sklearn_fit(lambda seed: RandomForestClassifier(10, random_state=seed))
BOOSTED = sklearn_fit(lambda seed: GradientBoostingClassifier(n_estimators=30, random_state=seed))
HARMLESS = sklearn_fit(lambda _: LogisticRegression(C=0.01))
SHADOWS = {"shadows": "shadows.csv"}


def drawn_by_lot(world: World, share: float) -> np.ndarray:
    """A list in which a share of the members was exchanged for others."""
    lot, members = np.random.default_rng(0), world.members.copy()
    inside = lot.permutation(np.flatnonzero(world.members))
    outside = lot.permutation(np.flatnonzero(~world.members))
    count = int(share * len(inside))
    members[inside[:count]], members[outside[:count]] = False, True
    return members


@pytest.mark.parametrize(("fit", "share"), [(BOOSTED, 0.5), (BOOSTED, 0.55), (FOREST, 0.55)])
def test_a_list_drawn_by_lot_and_four_shadow_models(tmp_path: Path, fit, share: float) -> None:
    """By such a list no attack finds anything, and four models resemble almost any other."""
    world = make_world(tmp_path)
    world.list_members(drawn_by_lot(world, share))
    world.write(world.trained(fit))
    world.write_shadows(fit, models=4)
    bundle = world.audit(predictions=SHADOWS, gate={"auc": 0.65, "tpr_at_fpr_0.1": 0.3})
    assert bundle.audit.verdict == "insufficient evidence", bundle.audit.reason
    assert failed(bundle) == {"instrument"}
    assert "the shadow models themselves come to" in control(bundle, "instrument").detail


@pytest.mark.parametrize("models", [8, 32])
def test_an_honest_model_passes_as_its_shadows_would(tmp_path: Path, models: int) -> None:
    world = make_world(tmp_path)
    world.write(world.trained(HARMLESS))
    world.write_shadows(HARMLESS, models)
    gate = {"auc": 0.65, "tpr_at_fpr_0.1": 0.3, "balanced_accuracy": 0.65}
    bundle = world.audit(predictions=SHADOWS, gate=gate)
    assert bundle.audit.verdict == "pass", bundle.audit.reason


def test_a_leak_fails_as_before(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.write(world.trained(BOOSTED))
    world.write_shadows(BOOSTED, models=4)
    bundle = world.audit(predictions=SHADOWS, gate={"auc": 0.65})
    assert bundle.audit.verdict == "fail", bundle.audit.reason


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> language_world.World:
    return language_world.make_world(tmp_path_factory.mktemp("texts"), 100, 120)


@pytest.mark.parametrize("listed", [45, 50, 100])
def test_a_language_model_of_other_texts_and_four_shadow_models(
    texts: language_world.World, listed: int
) -> None:
    """Of 100 texts that it was trained on so many are listed as members, the others as held out."""
    mine, others, unlisted = texts.members, texts.held_out, 100 - listed
    trained = Texts(
        (*mine.ids[:listed], *others.ids[:unlisted]),
        (*mine.texts[:listed], *others.texts[:unlisted]),
    )
    texts.release(f"of-{listed}", texts=trained)
    bundle = texts.audit(f"of-{listed}", texts.subject(gate={"auc": 0.7}, pool={"models": 4}))
    if listed == 100:
        assert bundle.audit.verdict == "fail", bundle.audit.reason
        assert not failed(bundle)
        return
    assert bundle.audit.verdict == "insufficient evidence", bundle.audit.reason
    assert failed(bundle) == {"instrument"}
    assert "the shadow models themselves come to" in control(bundle, "instrument").detail


@pytest.mark.parametrize("attacks", [["calibrated_loss"], ["rmia_offline", "bavaria"]])
def test_attacks_without_the_loss_get_a_verdict(tmp_path: Path, attacks: list[str]) -> None:
    """The list of members is held against the loss whichever attacks were asked for."""
    world = make_world(tmp_path)
    world.write(world.trained(BOOSTED))
    world.write_shadows(BOOSTED)
    bundle = world.audit(predictions=SHADOWS, attacks=attacks, gate={"auc": 0.65})
    assert bundle.audit.verdict == "fail", bundle.audit.reason


def test_numbers_that_are_none_are_refused_when_read(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    with pytest.raises(ValueError, match="expected a number"):
        world.subject(gate={"auc": 10**400})
    for claimed in (True, "1.08"):
        with pytest.raises(ValueError, match="claimed_epsilon"):
            world.subject(claimed_epsilon=claimed)
