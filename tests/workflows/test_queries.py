"""Augmented queries reach the attacks: more questions a record, other signals, other key."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from pydantic import ValidationError

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.examples import digits
from memory_assets.history.bundle import AuditBundle
from memory_assets.pool.signal_files import load_signals
from memory_assets.records.dataset import Dataset
from memory_assets.records.prepared import Prepared
from memory_assets.reports.inputs import NotRun
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import mitigations
from memory_assets.workflows import shadows as audit
from memory_assets.workflows.coverage import not_run


def images():
    """A few of the digits as images."""
    flat = digits.load()
    x = flat.x[:80].reshape(-1, 1, 8, 8)
    return Dataset(flat.ids[:80], x, flat.y[:80], flat.classes, flat.source)


def subject(**changes):
    fields = {
        "subject": "images",
        "records": {"loader": "tests_queries:images", "members": "members.csv"},
        "recipe": {
            "model": "memory_assets.models.cnn:small_cnn",
            "model_args": {"size": 8, "width": 2},
            "epochs": 1,
        },
        "checkpoints": "models",
        "pool": {"models": 4},
    }
    return ClassifierSubject.model_validate(fields | changes)


@pytest.fixture
def prepared():
    from memory_assets.records.pairing import draw_pairing

    data = images()
    members = np.arange(len(data)) < 40
    return Prepared(data, members, draw_pairing(data, members, seed=0))


def test_every_query_is_a_column_and_the_first_is_the_record_itself(tmp_path, prepared):
    store, signals = ArtifactStore(tmp_path), {}
    for queries in ("identity", "shift"):
        asked = subject(queries=queries)
        for number in range(len(audit.plan_pool(asked, tmp_path, prepared).blocks)):
            audit.train_block(asked, tmp_path, prepared, number, store)
        made = audit.shadow_signals(asked, tmp_path, prepared, store)
        signals[queries] = load_signals(made.path)
    plain, shifted = signals["identity"].pairs.score, signals["shift"].pairs.score
    assert plain.shape[-1] == 1
    assert shifted.shape[-1] == 5
    assert (shifted[..., 0] == plain[..., 0]).all()
    assert not (shifted[..., 1] == plain[..., 0]).all()
    assert len(list((tmp_path / "artifacts" / "shadow-models").iterdir())) == 1


def test_the_target_of_an_option_is_asked_what_its_shadow_models_are(tmp_path, prepared):
    store, asked = ArtifactStore(tmp_path), subject(queries="shift")
    option = mitigations.option_subject(asked, mitigations.ORIGINAL)
    option = option.model_copy(update={"pool": asked.pool})
    for number in range(len(audit.plan_pool(option, tmp_path, prepared).blocks)):
        audit.train_block(option, tmp_path, prepared, number, store)
    pool = audit.shadow_signals(option, tmp_path, prepared, store).path
    weights = mitigations.option_target(option, tmp_path, prepared, store).path
    target = mitigations.option_signals(option, tmp_path, prepared, weights, store)[0].path
    assert load_signals(target).pairs.score.shape[-1] == 5
    assert audit.attack_scores(option, prepared, pool, target, store).path.is_dir()


def test_queries_of_a_model_that_cannot_be_asked_are_refused():
    with pytest.raises(ValidationError, match="bring a recipe or leave queries out"):
        subject(recipe=None, fit="sklearn.dummy:DummyClassifier", queries="flip")


def test_coverage_lists_altered_copies_only_where_none_were_asked():
    bundle = cast(AuditBundle, SimpleNamespace(measurements=()))
    for queries, missing in (("identity", True), ("shift", False)):
        rows = not_run(subject(queries=queries), bundle)
        assert (NotRun("augmentation", "not_selected") in rows) == missing
