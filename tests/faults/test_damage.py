"""Bytes that changed on the disk: found by digest and made again, or refused in one line."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from warm_project import Warm, results

from memory_assets.history.files import Files
from memory_assets.store.artifacts import ArtifactStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


@pytest.fixture
def home(audited: Path, tmp_path: Path) -> Path:
    """An audited home of one's own."""
    shutil.copytree(audited, tmp_path / "home")
    return tmp_path / "home"


def one_flipped_bit(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut_in_half(path: Path, rng: random.Random) -> None:
    del rng
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path, rng: random.Random) -> None:
    del rng
    path.write_bytes(b"")


def gone(path: Path, rng: random.Random) -> None:
    del rng
    path.unlink()


@pytest.mark.parametrize("spoil", [one_flipped_bit, cut_in_half, emptied, gone])
def test_a_damaged_artifact_is_made_again(
    warm: Warm, home: Path, spoil: Callable[[Path, random.Random], None], tally
) -> None:
    """One file of every kind of artifact at a time; the results are those of before."""
    rng = random.Random(spoil.__name__)
    expected = results(home)
    kinds = sorted(path.name for path in (home / "artifacts").iterdir())
    for kind in kinds:
        files = sorted(p for p in (home / "artifacts" / kind).rglob("*") if p.is_file())
        path = rng.choice(files)
        before = path.read_bytes()
        spoil(path, rng)
        run = warm.run(home, "steps", "tiny", "v1", False)
        if path.parent.name != kind or spoil is not gone:  # a file that is gone is just not there
            assert re.search(rf"{kind}/\S+ is damaged", run.text), (path, run.text)
        assert path.name == "audits.parquet" or path.read_bytes() == before
        assert results(home) == expected
    tally(f"faults: an artifact with a file {spoil.__name__.replace('_', ' ')}", len(kinds))


def test_the_graph_makes_again_what_it_reuses(warm: Warm, tmp_path: Path, tally) -> None:
    """A pool that stands is not run again, unless a bit of it changed, or what refers to it."""
    home = tmp_path / "home"
    warm.run(home, "graph")
    expected = results(home)["artifacts"]
    signals = sorted((home / "artifacts" / "signals").glob("*"))
    for path in signals:
        one_flipped_bit(path, random.Random(1))
    cut_in_half(home / "references" / "assets" / "tiny" / "dataset.json", random.Random(1))
    warm.run(home, "graph")
    assert results(home)["artifacts"] == expected
    tally("faults: a damaged artifact below the graph", len(signals) + 1)


def test_a_list_of_digests_that_is_damaged_costs_a_build_and_no_more(
    warm: Warm, home: Path, tally
) -> None:
    expected = results(home)
    lists = sorted((home / "digests").glob("*/*"))
    for path in lists:
        one_flipped_bit(path, random.Random(2))
    warm.run(home, "steps", "tiny", "v1", False)
    assert results(home) == expected
    tally("faults: a damaged list of digests", len(lists))


def test_an_artifact_of_an_older_version_is_taken_as_it_is(warm: Warm, home: Path) -> None:
    shutil.rmtree(home / "digests")
    before = {p: p.stat().st_mtime_ns for p in (home / "artifacts").glob("*/*")}
    warm.run(home, "steps", "tiny", "v1", False)
    assert {p: p.stat().st_mtime_ns for p in (home / "artifacts").glob("*/*")} == before


@pytest.mark.parametrize("spoil", [one_flipped_bit, cut_in_half, gone])
def test_a_damaged_report_is_written_again(
    warm: Warm, tmp_path: Path, spoil: Callable[[Path, random.Random], None], tally
) -> None:
    home = tmp_path / "home"
    warm.run(home, "steps", "tiny", "v1")
    page = home / "reports" / "tiny" / "v1" / "ja.html"
    before = page.read_bytes()
    spoil(page, random.Random(3))
    warm.run(home, "steps", "tiny", "v1")
    assert page.read_bytes() == before
    tally(f"faults: a report's page {spoil.__name__.replace('_', ' ')}", 1)


HISTORIES = {
    "the writer's": ["history/writer.duckdb"],
    "the published": ["history.duckdb"],
    "both": ["history/writer.duckdb", "history.duckdb"],
}


@pytest.mark.parametrize("which", HISTORIES)
@pytest.mark.parametrize("spoil", [cut_in_half, emptied, one_flipped_bit])
def test_a_damaged_history(
    warm: Warm,
    home: Path,
    which: str,
    spoil: Callable[[Path, random.Random], None],
    tally,
) -> None:
    """`history rebuild` gives the identical content; an audit recovers by itself or says so.

    With both files damaged it cannot know what was written by hand, and says that.
    """
    expected = results(home)
    answer = warm.run(home, "command", "query", "most-exposed-records").text
    for name in HISTORIES[which]:
        spoil(home / name, random.Random(4))
    audited = warm.start(home, "steps", "tiny", "v1", False)
    stopped = bool(audited.wait())
    if stopped:
        assert re.fullmatch(r"memory-assets: .*history rebuild.*", audited.text.strip())
    elif which != "the writer's" and spoil is not emptied:
        # It opens: whoever reads a damaged block is told, and nobody reads a wrong value.
        asked = warm.start(home, "command", "query", "most-exposed-records")
        if asked.wait():
            assert "history rebuild" in asked.text, asked.text
        else:
            assert asked.text == answer
    if which == "both" and (stopped or spoil is one_flipped_bit):
        rebuilt = warm.start(home, "command", "history", "rebuild")
        assert rebuilt.wait() == 1
        assert "less than before" in rebuilt.text
        warm.run(home, "command", "history", "rebuild", "--accept-loss")
    elif which == "the published" and spoil is not emptied:
        warm.run(home, "command", "history", "rebuild")
    for kept in Files(home).kept_aside():
        assert ".damaged-" in kept.name
        kept.unlink()
    assert results(home) == expected
    tally("faults: a damaged history", 1)


def test_a_rebuild_leaves_a_damaged_audit_out_and_says_so(warm: Warm, home: Path, tally) -> None:
    """It is kept from the old file; without one it is audited again."""
    expected = results(home)
    scores = next((home / "artifacts" / "audit").glob("*/record_scores.parquet"))
    one_flipped_bit(scores, random.Random(5))
    run = warm.run(home, "command", "history", "rebuild")
    assert "1 kept" in run.text
    assert f"damaged: {scores.parent}" in "".join(run.text.splitlines())
    assert results(home)["record_scores"] == expected["record_scores"]
    for name in HISTORIES["both"]:
        (home / name).unlink()
    warm.run(home, "command", "history", "rebuild", "--accept-loss")
    warm.run(home, "steps", "tiny", "v1", False)
    assert results(home) == expected
    tally("faults: a damaged audit at a rebuild", 2)


def test_what_was_verified_is_not_read_again(tmp_path: Path, monkeypatch) -> None:
    """The price of verification is one reading of an artifact by process."""
    import memory_assets.store.integrity as integrity

    store, read = ArtifactStore(tmp_path), []
    made = store.get_or_build("signals", "ab" * 32, lambda path: path.write_bytes(b"x" * 100))
    integrity._sound.clear()
    own = integrity.digest_file
    monkeypatch.setattr(integrity, "digest_file", lambda path: read.append(path) or own(path))
    for _ in range(3):
        assert store.is_sound("signals", "ab" * 32)
    assert read == [made.path]
    made.path.write_bytes(b"y" * 101)
    assert not store.is_sound("signals", "ab" * 32)
    again = store.get_or_build("signals", "ab" * 32, lambda path: path.write_bytes(b"x" * 100))
    assert not again.reused
