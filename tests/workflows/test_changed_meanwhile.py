"""What changes while an audit reads it is refused: its answers stand under no other file's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from ways_world import IDS, TRIED, World, make_world

from memory_assets.errors import InputError
from memory_assets.workflows import shadows
from memory_assets.workflows.model_sources.by_outputs import ByPredictions


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def test_a_version_that_is_replaced_while_it_is_read_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """Its figures would come back with its old bytes: another model's, a pass perhaps."""
    subject = world.subject(predictions={})
    path = world.write_outputs()
    before = path.read_bytes()
    prepared = world.prepared(subject)
    ask = ByPredictions.ask_target

    def replaced(way: ByPredictions, version: Path, *rest):
        version.write_text("record_id,prob_0,prob_1\n" + "".join(f"{i},0.5,0.5\n" for i in IDS))
        return ask(way, version, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(ByPredictions, "ask_target", replaced)
        with pytest.raises(InputError, match="changed while it was read"):
            shadows.target_signals(subject, world.root, prepared, {"v1": path}, "v1", world.store)
    path.write_bytes(before)
    made, _ = shadows.target_signals(subject, world.root, prepared, {"v1": path}, "v1", world.store)
    assert not made.reused


def test_a_version_that_is_replaced_before_its_audit_concludes_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """What it says of its own training would be another file's word."""
    subject = world.subject(predictions={})
    path = world.write_outputs()
    score = shadows.attack_scores

    def replaced(*asked):
        path.write_bytes(path.read_bytes() + b"\n")
        return score(*asked)

    monkeypatch.setattr(shadows, "attack_scores", replaced)
    with pytest.raises(InputError, match="changed while it was audited"):
        world.audit(subject)


def test_code_that_is_edited_between_two_steps_trains_as_it_is_then(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """One process runs them all, and what it trains stands under the digest of the file of now."""
    module = world.root / "edited_fit.py"
    module.write_text("from ways_world import fit\n")
    monkeypatch.syspath_prepend(str(world.root))
    subject = world.subject(fit="edited_fit:fit")
    prepared = world.prepared(subject)
    shadows.train_block(subject, world.root, prepared, 0, world.store)
    TRIED.clear()
    module.write_text("from ways_world import watched_fit as fit\n")
    made = shadows.train_block(subject, world.root, prepared, 0, world.store)
    assert not made.reused
    assert len(TRIED) == 4
