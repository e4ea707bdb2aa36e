"""Models that remember everything or nothing end in a verdict, and not in an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from outputs_world import World, failed, lookup, make_world, measured, sklearn_fit
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

pytestmark = pytest.mark.slow

PRIOR = sklearn_fit(lambda _: DummyClassifier(strategy="prior"))
TREE = sklearn_fit(lambda seed: DecisionTreeClassifier(random_state=seed))
SHADOWS = {"shadows": "shadows.csv"}


def uniform(x, y, seed):
    del x, y, seed
    return lambda asked: np.full((len(asked), 2), 0.5)


def with_shadows(root: Path, fit, models: int = 8, **world) -> World:
    made = make_world(root, **world)
    made.write(made.trained(fit))
    made.write_shadows(fit, models)
    return made


@pytest.mark.parametrize("attacks", ["standard", "thorough"])
def test_a_lookup_table_fails(tmp_path: Path, attacks: str) -> None:
    world = with_shadows(tmp_path, lookup)
    bundle = world.audit(predictions=SHADOWS, attacks=attacks)
    assert bundle.audit.verdict == "fail", bundle.audit.reason
    assert measured(bundle, "loss", "tpr_at_fpr_0.01") == 1.0


@pytest.mark.parametrize("attacks", ["standard", "thorough"])
@pytest.mark.parametrize("fit", [PRIOR, uniform])
def test_a_model_that_learned_nothing_passes(tmp_path: Path, fit, attacks: str) -> None:
    world = with_shadows(tmp_path, fit)
    bundle = world.audit(predictions=SHADOWS, attacks=attacks)
    assert bundle.audit.verdict == "pass", bundle.audit.reason
    if fit is uniform:
        assert "gives every record the same answer" in bundle.audit.reason
        assert bundle.audit.findings[-1].key == "verdict.constant"
        assert measured(bundle, "loss", "auc") == 0.5


def test_a_constant_model_without_shadow_models_is_called_constant(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.write(world.trained(uniform))
    bundle = world.audit()
    assert failed(bundle) == {"instrument"}
    assert "gives every record the same answer" in bundle.audit.reason
    assert "Too few records" not in bundle.audit.reason


@pytest.mark.parametrize("members", [40, 50, 60])
def test_a_decision_tree_on_101_records_gets_a_verdict(tmp_path: Path, members: int) -> None:
    world = with_shadows(tmp_path, TREE, records=101, members=members)
    for more in ({"predictions": SHADOWS}, {"predictions": {}}):
        bundle = world.audit(gate={"tpr_at_fpr_0.1": 0.2}, **more)
        assert bundle.audit.verdict in ("fail", "inconclusive", "insufficient evidence")


def test_the_same_models_by_a_training_function(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    world = make_world(tmp_path)
    world.write(world.trained(lookup))
    more = {"predictions": None, "pool": {"models": 8}}
    assert world.audit(fit="outputs_world:lookup", **more).audit.verdict == "fail"
    world.write(world.trained(PRIOR), "prior")
    bundle = world.audit("prior", fit="test_degenerate_models:PRIOR", **more)
    assert bundle.audit.verdict == "pass", bundle.audit.reason
