"""What the sensors make of files that appear, grow, change their name, and go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import automation_projects as tiny
import dagster as dg
import pytest
from automation_projects import SteppedDaemon

from memory_assets.history.store import History

sys.path.append(str(Path(__file__).parents[1] / "history"))
from history_bundles import bundle, written

pytestmark = pytest.mark.slow

VERSIONS, SOURCE = "tiny_versions", "tiny_source"


@pytest.fixture
def daemon(tmp_path, monkeypatch) -> Iterator[SteppedDaemon]:
    """Only the sensors of one subject: nothing is run."""
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    root.mkdir()
    with tiny.stepped(root) as daemon:
        yield daemon


def checkpoints(daemon: SteppedDaemon) -> Path:
    return daemon.root / "tiny" / "checkpoints"


def weights(daemon: SteppedDaemon, seed: int = 1) -> bytes:
    """The bytes of a whole checkpoint that is nowhere yet."""
    tiny.write_checkpoint(daemon.root / "elsewhere", "v", seed)
    return (daemon.root / "elsewhere" / "checkpoints" / "v.safetensors").read_bytes()


def test_a_whole_checkpoint_is_reported_at_the_first_look_and_once(daemon: SteppedDaemon):
    (checkpoints(daemon) / "v1.safetensors").write_bytes(weights(daemon))
    assert daemon.look(VERSIONS) == ["checkpoint"]
    assert daemon.look(VERSIONS) == []
    assert daemon.versions("tiny") == ["v1"]


def test_a_checkpoint_that_is_still_being_copied_is_left_alone(daemon: SteppedDaemon):
    whole, path = weights(daemon), checkpoints(daemon) / "v1.safetensors"
    for size in (5, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert daemon.look(VERSIONS) == []
        assert daemon.versions("tiny") == []
    path.write_bytes(whole)
    assert daemon.look(VERSIONS) == ["checkpoint"]
    assert daemon.versions("tiny") == ["v1"]


def test_a_checkpoint_written_over_keeps_its_version_while_it_grows(daemon: SteppedDaemon):
    path = checkpoints(daemon) / "v1.safetensors"
    path.write_bytes(weights(daemon))
    daemon.look(VERSIONS)
    other = weights(daemon, seed=2)
    path.write_bytes(other[:200])
    assert daemon.look(VERSIONS) == []
    assert daemon.versions("tiny") == ["v1"]
    path.write_bytes(other)
    assert daemon.look(VERSIONS) == ["checkpoint"]


def test_what_stays_broken_is_reported_so_that_it_is_refused(daemon: SteppedDaemon):
    (checkpoints(daemon) / "v1.safetensors").write_bytes(b"not a model")
    assert daemon.look(VERSIONS) == []
    assert daemon.look(VERSIONS) == ["checkpoint"]
    assert daemon.look(VERSIONS) == []


def test_a_folder_is_read_when_nothing_was_added_for_a_look(daemon: SteppedDaemon):
    folder = checkpoints(daemon) / "v1"
    folder.mkdir()
    assert daemon.look(VERSIONS) == []
    (folder / "model.safetensors").write_bytes(weights(daemon))
    assert daemon.look(VERSIONS) == []
    assert daemon.look(VERSIONS) == ["checkpoint"]


def test_a_deleted_version_is_no_partition_any_more(daemon: SteppedDaemon):
    for name in ("v1", "v2"):
        (checkpoints(daemon) / f"{name}.safetensors").write_bytes(weights(daemon))
    daemon.look(VERSIONS)
    (checkpoints(daemon) / "v1.safetensors").unlink()
    assert daemon.look(VERSIONS) == []
    assert daemon.versions("tiny") == ["v2"]


def test_a_folder_that_is_not_mounted_deletes_no_version(daemon: SteppedDaemon):
    (checkpoints(daemon) / "v1.safetensors").write_bytes(weights(daemon))
    daemon.look(VERSIONS)
    checkpoints(daemon).rename(daemon.root / "unmounted")
    assert daemon.look(VERSIONS) == []
    assert daemon.versions("tiny") == ["v1"]
    (daemon.root / "unmounted").rename(checkpoints(daemon))
    assert daemon.look(VERSIONS) == []
    assert daemon.versions("tiny") == ["v1"]


def test_a_list_of_members_that_is_being_written_trains_nothing(daemon: SteppedDaemon):
    daemon.look(SOURCE)
    assert "source" in daemon.look(SOURCE)
    path = daemon.root / "tiny" / "members.csv"
    for lines in (5, 12):
        path.write_text("".join(["id\n", *(f"r{i}\n" for i in range(lines))]))
        assert daemon.look(SOURCE) == []
    assert daemon.look(SOURCE) == ["source"]
    assert daemon.look(SOURCE) == []


def test_the_cursor_of_an_older_version_is_no_obstacle(daemon: SteppedDaemon):
    (checkpoints(daemon) / "v1.safetensors").write_bytes(weights(daemon))
    daemon.cursors[VERSIONS] = '{"v1": [12, 34, "digest"]}'
    daemon.cursors[SOURCE] = '{"source": {"members": [12, 34, "digest"]}}'
    assert daemon.look(VERSIONS) == ["checkpoint"]
    assert daemon.look(SOURCE) == []
    assert "source" in daemon.look(SOURCE)


def price(daemon: SteppedDaemon, **mitigations: str) -> None:
    """Two versions there, and a subject that is priced."""
    daemon.subjects["tiny"] = tiny.tiny_subject(
        "tiny",
        profile="healthcare-us",
        mitigations={k.replace("_", "-"): v for k, v in mitigations.items()},
    )
    for i, version in enumerate(("v1", "v2")):
        tiny.write_checkpoint(daemon.root / "tiny", version, seed=i)


def record(daemon: SteppedDaemon, version: str, day: float) -> None:
    made = bundle("tiny", version, day)
    History(daemon.root.parent / "home").append_all([written(daemon.root / "bundles", made)])


def beside(daemon: SteppedDaemon, version: str) -> list[str]:
    """What was reported of the audits beside a version, oldest first."""
    wanted = dg.AssetRecordsFilter(dg.AssetKey(["tiny", "neighbours"]), [version])
    found = daemon.instance.fetch_materializations(wanted, limit=9, ascending=True).records
    return [str(r.asset_materialization and r.asset_materialization.description) for r in found]


def test_audits_beside_a_version_are_reported_with_it_and_when_another_is_recorded(
    daemon: SteppedDaemon,
):
    price(daemon, early_stop="v2", dp="option:dp")
    # With the checkpoints: a price that waited for them would be a second run.
    assert daemon.look(VERSIONS) == ["checkpoint"] * 2 + ["neighbours"] * 2
    assert daemon.look(VERSIONS) == []
    record(daemon, "v1", 1)  # it opens the counts of the release after it
    assert daemon.look(VERSIONS) == ["neighbours"]
    record(daemon, "v2", 2)
    assert daemon.look(VERSIONS) == ["neighbours"]
    record(daemon, "option:dp", 3)
    assert daemon.look(VERSIONS) == ["neighbours"] * 2
    assert daemon.look(VERSIONS) == []
    assert beside(daemon, "v1") == ["0 audits", "1 audits", "2 audits"]
    assert beside(daemon, "v2") == ["0 audits", "1 audits", "2 audits"]


def test_a_re_audit_is_reported_to_what_reads_it(daemon: SteppedDaemon):
    price(daemon, early_stop="v2")
    record(daemon, "v2", 1)
    daemon.look(VERSIONS)
    record(daemon, "v2", 2)
    assert daemon.look(VERSIONS) == ["neighbours"]
    assert beside(daemon, "v1") == ["1 audits"] * 2
    assert beside(daemon, "v2") == ["0 audits"]


def test_a_history_that_does_not_read_holds_back_no_version_and_forgets_nothing(
    daemon: SteppedDaemon,
):
    price(daemon, early_stop="v2")
    record(daemon, "v2", 1)
    daemon.look(VERSIONS)
    history = daemon.root.parent / "home" / "history.duckdb"
    whole = history.read_bytes()
    history.write_bytes(b"no database")
    tiny.write_checkpoint(daemon.root / "tiny", "v3", seed=3)
    assert daemon.look(VERSIONS) == ["checkpoint", "neighbours"]
    assert (beside(daemon, "v1"), beside(daemon, "v3")) == (["1 audits"], ["0 audits"])
    history.write_bytes(whole)
    assert daemon.look(VERSIONS) == ["neighbours"]
    assert beside(daemon, "v3") == ["0 audits", "1 audits"]
