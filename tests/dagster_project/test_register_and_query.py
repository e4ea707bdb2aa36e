"""Commands for pipelines and analysts: register a version, query with parameters, in any form."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.cli.query import _listed
from memory_assets.cli.register import copy_in
from memory_assets.dagster.cadence import cadence_schedule
from memory_assets.dagster.portfolio.dashboard import dashboard_asset
from memory_assets.dagster.resources import home_resource
from memory_assets.errors import InputError
from memory_assets.history.questions import questions
from memory_assets.history.store import History
from memory_assets.models.checkpoints import list_versions
from memory_assets.workflows.home import Home

pytestmark = pytest.mark.slow

run = CliRunner()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path / "home"


@pytest.fixture
def history(home: Path) -> Path:
    """A history with a plan and no audit."""
    History(home).append_all([])
    History(home).register_subject("digits", "team:privacy", 30, ["v1"])
    return home


def test_a_copy_is_whole_and_hidden_until_it_is(tmp_path: Path):
    folder = tmp_path / "models"
    source = tmp_path / "new.safetensors"
    source.write_bytes(b"x" * 5_000_000)
    seen: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.update(path.stat().st_size for path in list_versions(folder).values())

    watcher = threading.Thread(target=watch)
    watcher.start()
    copy_in(source, folder, "v1")
    stop.set()
    watcher.join()
    assert seen <= {5_000_000}
    assert list(list_versions(folder)) == ["v1"]
    assert [path.name for path in folder.iterdir()] == ["v1.safetensors"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    folder, source = tmp_path / "models", tmp_path / "new"
    source.mkdir()
    (source / "a.safetensors").write_bytes(b"1")
    copy_in(source, folder, "v1")
    (source / "a.safetensors").rename(source / "b.safetensors")
    copy_in(source, folder, "v1")
    assert [path.name for path in (folder / "v1").iterdir()] == ["b.safetensors"]


def test_a_link_is_not_followed_out_of_the_folder(tmp_path: Path):
    folder, source = tmp_path / "models", tmp_path / "new"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.safetensors").write_bytes(b"1")
    (source / "b.json").symlink_to("deep/a.safetensors")
    copy_in(source, folder, "v1")
    kept = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert kept == {"v1/deep/a.safetensors", "v1/b.json"}
    assert not (folder / "v1" / "b.json").is_symlink()

    (tmp_path / "secret").write_text("somebody else's")
    (source / "c.json").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="leads out"):
        copy_in(source, folder, "v2")
    assert [path.name for path in folder.iterdir()] == ["v1"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file in this folder"):
        copy_in(tmp_path / "empty", folder, "v2")


def _release(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(content)
    return folder


def test_a_version_is_not_lost_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    copy_in(_release(tmp_path / "first", b"1"), folder, "v1")
    rename = Path.replace

    def fails_second(path: Path, target: Path) -> Path:
        if path.suffix == ".tmp":
            raise OSError("no")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails_second)
        with pytest.raises(OSError, match="no"):
            copy_in(_release(tmp_path / "second", b"2"), folder, "v1")
    assert (folder / "v1" / "a.safetensors").read_bytes() == b"1"
    assert [path.name for path in folder.iterdir()] == ["v1"]


def test_what_a_kill_between_two_renames_left_comes_back(tmp_path: Path):
    ended = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    by = f"{socket.gethostname()}@{ended.stdout.strip()}"
    (folder := tmp_path / "models").mkdir()
    _release(folder / f".v1@{by}.old", b"1")
    _release(folder / f".v1@{by}.tmp", b"2")
    (folder / f".v2.safetensors@{by}.tmp").write_bytes(b"half")
    running = f".v4@{socket.gethostname()}@{os.getppid()}.tmp"
    _release(folder / running, b"4")
    copy_in(_release(tmp_path / "new", b"3"), folder, "v3")
    assert (folder / "v1" / "a.safetensors").read_bytes() == b"1"
    assert sorted(path.name for path in folder.iterdir()) == [running, "v1", "v3"]


@pytest.mark.parametrize("version", ["../v1", "a/b", "", ".hidden", "v 1"])
def test_a_version_cannot_name_a_path(tmp_path: Path, version: str):
    source = tmp_path / "new.safetensors"
    source.touch()
    with pytest.raises(InputError, match="--version"):
        copy_in(source, tmp_path / "models", version)


def test_one_name_is_one_version(tmp_path: Path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "v1.pt").touch()
    source = tmp_path / "v1.safetensors"
    source.touch()
    with pytest.raises(InputError, match="is there already"):
        copy_in(source, tmp_path / "models", "v1")


def test_a_missing_file_or_subject_is_one_line(home: Path):  # noqa: ARG001
    for arguments in (["digits", "no.safetensors"], ["digitz", "no.safetensors"]):
        result = run.invoke(app, ["register", *arguments])
        assert result.exit_code == 2


def test_the_list_of_questions_says_what_their_parameters_mean(home: Path):
    result = run.invoke(app, ["query"])
    assert result.exit_code == 0
    for question in questions():
        at = result.output.index(f"{question.name}\n")
        of = result.output[at:].split("\n\n")[0]
        assert f"    {question.text}\n" in of
        assert question.note in of
        for name, meaning in question.parameters.items():
            assert re.search(rf"{name}=? +{re.escape(meaning)}$", of, re.MULTILINE), of
    assert not home.exists()


def test_the_list_of_questions_fits_a_narrow_terminal():
    listed = _listed(questions(), 80)
    assert max(map(len, listed.splitlines())) <= 80
    assert listed.split() == _listed(questions(), None).split()


def test_records_of_a_question_and_rows_of_a_table_have_names_of_their_own():
    """`--limit` cuts what is printed; a parameter of that name would be taken for it."""
    own = {"limit", "format", "to", "param"}
    assert not [q.name for q in questions() if own & set(q.parameters)]


def test_a_question_takes_parameters(history: Path):  # noqa: ARG001
    asked = ["query", "audits-due", "--format", "json", "--param"]
    assert len(json.loads(run.invoke(app, [*asked, "subject=digits"]).output)) == 1
    assert json.loads(run.invoke(app, [*asked, "subject=other"]).output) == []
    assert run.invoke(app, [*asked, "subject"]).exit_code == 2
    assert run.invoke(app, [*asked, "other=1"]).exit_code == 2


def test_an_answer_as_parquet_keeps_its_types(history: Path, tmp_path: Path):  # noqa: ARG001
    target = tmp_path / "due.parquet"
    asked = ["query", "audits-due", "--format", "parquet", "--to", str(target)]
    assert run.invoke(app, asked).exit_code == 0
    table = parquet.read_table(target)
    assert table["subject"].to_pylist() == ["digits"]
    assert str(table.schema.field("days_late").type) == "int64"


def test_a_table_shows_the_first_rows_and_says_so(history: Path):  # noqa: ARG001
    many = "SELECT range AS i FROM range(1500)"
    shown = run.invoke(app, ["query", many])
    assert "999" in shown.output
    assert "1499" not in shown.output
    assert "The first 1,000 rows" in shown.output
    few = run.invoke(app, ["query", many, "--limit", "3", "--format", "csv"])
    assert few.output.splitlines() == ['"i"', "0", "1", "2"]
    assert len(run.invoke(app, ["query", many, "--format", "csv"]).output.splitlines()) == 1501
    assert "The first" not in run.invoke(app, ["query", "SELECT 1 AS i"]).output


def test_a_table_cannot_go_to_a_file(history: Path, tmp_path: Path):  # noqa: ARG001
    assert run.invoke(app, ["query", "verdicts", "--to", str(tmp_path / "x")]).exit_code == 2


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_an_answer_goes_to_a_file_whole_or_is_refused_in_a_line(
    history: Path,  # noqa: ARG001
    tmp_path: Path,
    form: str,
):
    asked = ["query", "audits-due", "--format", form, "--to"]
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "missing" / "x", tmp_path / "folder", Path("/dev/null")):
        refused = run.invoke(app, [*asked, str(target)])
        assert refused.exit_code == 2, refused.output
        assert str(target) in refused.output
        assert len(refused.output.strip().splitlines()) == 1
    target = tmp_path / "folder" / "due"
    target.write_bytes(b"what was there before")
    assert run.invoke(app, [*asked, str(target)]).exit_code == 0
    assert b"digits" in target.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["due"]


def test_an_answer_that_cannot_be_written_leaves_the_old_file(
    history: Path,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch,
):
    target = tmp_path / "due.csv"
    target.write_text("before")

    def full(_: Path, other: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left on device", str(other))

    monkeypatch.setattr(Path, "replace", full)
    refused = run.invoke(app, ["query", "audits-due", "--format", "csv", "--to", str(target)])
    assert refused.exit_code == 2
    assert "No space left" in refused.output
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.glob(".due*")] == []


def test_the_page_over_all_subjects_is_an_asset(history: Path):
    page_over_all = dashboard_asset(dg.AssetKey(["portfolio", "history"]))
    made = dg.materialize([page_over_all], resources={"home": home_resource})
    assert made.success
    page = (history / "reports" / "portfolio.en.html").read_text()
    assert "No audit has been recorded yet." in page
    assert (history / "reports" / "portfolio.ja.html").is_file()


def test_the_schedule_audits_again_what_is_due(home: Path, tmp_path: Path, monkeypatch):
    from automation_projects import tiny_subject

    schedule = cadence_schedule(tiny_subject("tiny"), tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance, datetime(2026, 5, 1, 5, tzinfo=UTC), resources={"home": Home(home)}
        )
        assert "no history" in str(schedule(context).skip_message)  # type: ignore[union-attr]
        History(home).append_all([])
        assert "no audit is due" in str(schedule(context).skip_message)  # type: ignore[union-attr]
        due = {"audited_version": ["v7"]}
        monkeypatch.setattr("memory_assets.dagster.cadence.ask", lambda *_: _Answer(due))
        (request,) = schedule(context)  # type: ignore[misc]
    assert request.partition_key == "v7"
    # By what it selects, a purge knows whose run it is.
    assert {key.path[0] for key in request.asset_selection} == {"tiny"}


class _Answer(dict):
    def __getitem__(self, name: str):
        values = super().__getitem__(name)
        return type("Column", (), {"to_pylist": lambda _: values})()
