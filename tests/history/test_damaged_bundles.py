"""A damaged audit or a stray file is left out and named: it takes nobody else along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from history_bundles import bundle, written
from test_store import priced
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.errors import InputError
from memory_assets.history.load import BundleError, load, read_head
from memory_assets.history.questions import ask
from memory_assets.history.store import History, Rebuilt
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.home import Home
from memory_assets.workflows.purge import belongings, purge_home

pytestmark = pytest.mark.slow


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


SPOIL: dict[str, Callable[[Path], object]] = {
    "a cut head": lambda folder: cut(folder / "audits.parquet"),
    "no head": lambda folder: (folder / "audits.parquet").unlink(),
    "cut scores": lambda folder: cut(folder / "record_scores.parquet"),
    "no controls": lambda folder: (folder / "controls.parquet").unlink(),
}


def versions(root: Path) -> list[str]:
    return ask(root, "select model_version from audits order by 1")["model_version"].to_pylist()


def prices(root: Path) -> int:
    return ask(root, "select count(*) as n from risk_runs")["n"].to_pylist()[0]


@pytest.mark.parametrize("spoil", SPOIL)
@pytest.mark.parametrize("known", [True, False])
def test_a_rebuild_leaves_out_what_is_damaged(tmp_path: Path, spoil: str, known: bool) -> None:
    history = History(tmp_path / "home")
    good, bad = (written(tmp_path / "b", bundle(version=v)) for v in ("v1", "v2"))
    of_good, of_bad = (priced(tmp_path / "r", f.name, f"of {f.name}") for f in (good, bad))
    folders = [good, bad, of_good, of_bad]
    if known:
        history.append_all(folders)
    SPOIL[spoil](bad)
    done = history.rebuild(folders)
    if known:  # the old file has what the damaged folder held, and its price with it
        assert done == Rebuilt(appended=2, kept=2, damaged=(bad,))
        assert (versions(tmp_path / "home"), prices(tmp_path / "home")) == (["v1", "v2"], 2)
    else:
        assert done == Rebuilt(appended=2, kept=0, damaged=(bad, of_bad))
        assert (versions(tmp_path / "home"), prices(tmp_path / "home")) == (["v1"], 1)


def test_stray_files_and_folders_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path))
    audits = tmp_path / "artifacts" / "audit"
    written(audits, bundle())
    (audits / "notes.txt").write_text("x")
    (audits / "a\x1b[31m").mkdir()
    result = CliRunner().invoke(app, ["history", "rebuild"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 audits and prices read again")
    assert result.stdout.count("left out, damaged: ") == 2
    assert all(line.isprintable() for line in result.stdout.splitlines())


def test_a_full_disk_is_no_damaged_audit(tmp_path: Path) -> None:
    """What a rebuild leaves out for it would be lost."""
    head = read_head(written(tmp_path / "b", bundle()))

    class Full:
        def execute(self, sql: str, *_: object) -> Full:
            if sql.lstrip().startswith("CREATE"):
                raise duckdb.IOException("IO Error: No space left on device")
            return self

        def fetchall(self) -> list[tuple]:
            return []

    with pytest.raises(InputError, match="no space left") as refused:
        load(Full(), head)  # type: ignore[arg-type]
    assert not isinstance(refused.value, BundleError)


@pytest.mark.parametrize("spoil", SPOIL)
def test_a_subject_is_forgotten_though_an_audit_is_damaged(tmp_path: Path, spoil: str) -> None:
    """Whose a damaged one is, its owner's mark says; without one it is named."""
    store, audits = ArtifactStore(tmp_path), tmp_path / "artifacts" / "audit"
    made = {
        name: written(audits, bundle(subject, version))
        for name, subject, version in (
            ("own", "wards", "v1"),
            ("own, damaged", "wards", "v2"),
            ("another's, damaged", "claims", "v1"),
            ("nobody's, damaged", "gone", "v1"),
        )
    }
    for subject, name in (("wards", "own, damaged"), ("claims", "another's, damaged")):
        mark = tmp_path / "owners" / subject / "audit" / made[name].name
        mark.parent.mkdir(parents=True)
        mark.touch()
    for name, folder in made.items():
        if "damaged" in name:
            SPOIL[spoil](folder)
    done = purge_home(Home(tmp_path), "wards")
    assert sorted(done.artifacts) == sorted([made["own"], made["own, damaged"]])
    assert [name for name, folder in made.items() if folder.exists()] == [
        "another's, damaged",
        "nobody's, damaged",
    ]
    unreadable = {made["nobody's, damaged"]} if spoil == "a cut head" else set()
    assert set(done.unreadable) == unreadable
    assert versions(tmp_path) == ["v1"]  # recorded first, and kept
    assert belongings(Home(tmp_path), "claims").known
    assert store.claims("claims")
