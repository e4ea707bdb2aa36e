"""No model is trained twice: not when a pool grows or shrinks, nor when one beside it failed."""

from __future__ import annotations

import logging
import threading
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import ways_world
from ways_world import RECIPE, World, make_world

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.errors import InputError
from memory_assets.pool.blocks import Block, build_block
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.signals import Answers, Signals
from memory_assets.store import artifacts
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.workflows import shadows
from memory_assets.workflows.coverage import not_run
from memory_assets.workflows.model_sources import by_recipe
from memory_assets.workflows.model_sources.by_outputs import ByFit
from memory_assets.workflows.pool_state import standing_pool

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def seed_of(index: int) -> int:
    """The seed that model `index` of a pool with seed 0 is trained with."""
    return int(np.random.SeedSequence([0, index]).generate_state(1)[0])


def signals(world: World, subject: ClassifierSubject) -> Signals:
    prepared = world.prepared(subject)
    return load_signals(shadows.shadow_signals(subject, world.root, prepared, world.store).path)


def assert_same_bits(a: Signals, b: Signals) -> None:
    np.testing.assert_array_equal(a.side, b.side)
    for part in ("pairs", "held_out"):
        for f in fields(Answers):
            one, other = (getattr(getattr(s, part), f.name) for s in (a, b))
            assert one.tobytes() == other.tobytes(), f.name


@pytest.mark.parametrize(
    ("before", "after", "trained"),
    [
        (8, 16, range(8, 16)),
        (64, 40, ()),
        (16, 8, ()),
        (40, 64, range(40, 64)),
    ],
)
def test_another_size_trains_only_the_models_that_it_adds(
    before: int, after: int, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def watched(block: Block, *rest, **more):
        seen.extend(block.indices)
        return build_block(block, *rest, **more)

    monkeypatch.setattr(by_recipe, "build_block", watched)
    for name in ("first", "fresh"):
        (tmp_path / name).mkdir()
    first, fresh = (make_world(tmp_path / name) for name in ("first", "fresh"))
    small = {**RECIPE, "epochs": 1}
    sized = {
        k: first.subject(recipe=small, depth=None, pool={"models": k}) for k in (before, after)
    }
    first.train(sized[before])
    seen.clear()
    reused = first.train(sized[after])
    assert seen == list(trained)
    assert all(reused.values()) == (not seen)
    fresh.train(sized[after])
    assert_same_bits(signals(first, sized[after]), signals(fresh, sized[after]))
    blocks = [w.root / "home" / "artifacts" / "shadow-models" for w in (first, fresh)]
    for key in reused:
        one, other = ((folder / f"{key}.safetensors").read_bytes() for folder in blocks)
        assert one == other


def test_a_failed_model_of_a_quick_pool_is_tried_again_and_alone(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs no shadow model is measured meanwhile; the pool with the model is another one."""
    world.write_outputs()
    subject = world.subject(fit="ways_world:watched_fit")
    monkeypatch.setattr(ways_world, "BROKEN", {seed_of(1)})
    monkeypatch.setattr(ways_world, "TRIED", tried := [])

    with caplog.at_level(logging.WARNING):
        bundle = world.audit(subject)
    assert sorted(tried) == sorted(map(seed_of, range(4)))
    assert "shadow model 1: fit raised" in caplog.text
    assert "2 of 4 shadow models are left in whole couples" in caplog.text
    assert {m.name for m in bundle.measurements if m.metric == "auc"} == {"loss"}
    said = {row.name: row.reason for row in not_run(subject, bundle)}
    for name in ("lira_online_fixed", "memorization", "information"):
        assert said[name] == "too_small"
    assert bundle.audit.verdict != "insufficient evidence"
    assert standing_pool(subject, world.root, world.store) is None

    tried.clear()
    again = world.audit(subject)
    assert tried == [seed_of(1)]
    assert again.audit.audit_id == bundle.audit.audit_id

    tried.clear()
    ways_world.BROKEN.clear()
    whole = world.audit(subject)
    assert tried == [seed_of(1)]
    assert whole.audit.audit_id != bundle.audit.audit_id
    assert "lira_online_fixed" in {m.name for m in whole.measurements if m.metric == "auc"}
    unbroken = world.subject(fit="ways_world:fit")
    world.train(unbroken)
    assert_same_bits(signals(world, subject), signals(world, unbroken))

    tried.clear()
    assert all(world.train(subject).values())
    assert not tried


def test_a_grown_pool_takes_what_answered_and_tries_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways_world, "BROKEN", {seed_of(5), seed_of(9)})
    monkeypatch.setattr(ways_world, "TRIED", tried := [])
    by = {"fit": "ways_world:watched_fit", "depth": None}
    world.train(world.subject(**by, pool={"models": 8}))
    tried.clear()
    larger = world.subject(**by, pool={"models": 16})
    world.train(larger)
    assert tried == [seed_of(i) for i in (5, *range(8, 16))]
    plan = shadows.plan_pool(larger, world.root, world.prepared(larger))
    assert shadows.as_trained(plan, world.store).silent == (5, 9)
    assert world.pool_key(larger) != plan.key
    assert signals(world, larger).models == 12


def test_signals_are_not_kept_under_the_name_of_a_smaller_pool(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process trains a model that had failed while the pool is asked."""
    monkeypatch.setattr(ways_world, "BROKEN", {seed_of(1)})
    subject = world.subject(fit="ways_world:watched_fit")
    world.train(subject)
    ask = ByFit.ask_pool

    def meanwhile(*args) -> None:
        ways_world.BROKEN.clear()
        other = threading.Thread(target=world.train, args=[subject])
        other.start()
        other.join()
        ask(*args)

    monkeypatch.setattr(ByFit, "ask_pool", meanwhile)
    # Artifacts share locks. Another process would wait; this one cannot wait for itself.
    monkeypatch.setattr(artifacts, "_LOCK_STRIPES", 1 << 20)
    with pytest.raises(InputError, match="trained meanwhile; run the audit again"):
        signals(world, subject)
    assert signals(world, subject).models == 4


KEY = "0" * 32


def unfinished(store: ArtifactStore, text: str) -> Artifact:
    def final(path: Path) -> bool:
        return path.read_text() == "all"

    return store.get_or_build("kind", KEY, lambda path: void(path.write_text(text)), final=final)


def void(_: object) -> None:
    pass


def test_what_is_not_final_is_built_again_once_a_call_and_compared(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for text, reused in (("some", False), ("more", False), ("all", False), ("none", True)):
        made = unfinished(store, text)
        assert made.reused == reused
    assert made.path.read_text() == "all"
    assert store.is_sound("kind", KEY)
    made.path.write_text("ALL")
    assert not store.is_sound("kind", KEY)


@pytest.mark.parametrize("step", ["remove", "write_listing"])
def test_a_kill_while_one_takes_the_others_place_loses_neither(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path)
    unfinished(store, "some")

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(artifacts, step, kill)
        with pytest.raises(Killed):
            unfinished(store, "all")
    left = store.path("kind", KEY).read_text()
    assert left == ("some" if step == "remove" else "all")
    assert store.is_sound("kind", KEY)
    assert unfinished(store, "all").path.read_text() == "all"


def test_who_waited_takes_what_came_of_it(tmp_path: Path) -> None:
    store, inside, go_on = ArtifactStore(tmp_path), threading.Event(), threading.Event()
    found: list[Artifact] = []

    def slow(path: Path) -> None:
        inside.set()
        go_on.wait(10)
        path.write_text("some")

    def call(build) -> None:
        found.append(store.get_or_build("kind", KEY, build, final=lambda _: False))

    first = threading.Thread(target=call, args=(slow,))
    second = threading.Thread(target=call, args=(lambda path: void(path.write_text("twice")),))
    first.start()
    assert inside.wait(10)
    second.start()
    second.join(0.3)  # it waits for the lock
    go_on.set()
    first.join(10)
    second.join(10)
    assert [made.reused for made in found] == [False, True]
    assert store.path("kind", KEY).read_text() == "some"
