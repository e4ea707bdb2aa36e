"""Strange files among the versions: named, and in nobody's way; no more are brought there."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import automation_projects as tiny
import pytest
from automation_projects import SteppedDaemon
from typer.testing import CliRunner, Result

from memory_assets.cli.main import app
from memory_assets.dagster import auditing
from memory_assets.dagster.subjects import Survey


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (root := tmp_path / "project").mkdir()
    with tiny.stepped(root, ("other", "tiny")) as daemon:
        subjects = daemon.subjects
        monkeypatch.setattr(auditing, "build_definitions", lambda _: daemon.definitions)
        monkeypatch.setattr(auditing, "open_instance", lambda _: nullcontext(daemon.instance))
        monkeypatch.setattr("memory_assets.cli.main.project_root", lambda: root)
        monkeypatch.setattr(
            "memory_assets.dagster.subjects.survey", lambda _: Survey(dict(subjects))
        )
        yield daemon


def folder(daemon: SteppedDaemon, subject: str) -> Path:
    return daemon.root / subject / "checkpoints"


def command(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code in (0, 2), (result.output, result.exception)
    return result


@pytest.mark.slow
def test_a_name_that_no_version_can_have_holds_back_no_other(daemon: SteppedDaemon) -> None:
    tiny.write_checkpoint(daemon.root / "tiny", "v1", seed=1)
    for subject in ("other", "tiny"):
        (folder(daemon, subject) / "a..b.safetensors").touch()
    result = command("audit")
    assert result.exit_code == 2
    assert "tiny v1: " in result.stdout
    refused = [line for line in result.stderr.splitlines() if "'a..b' cannot name" in line]
    assert len(refused) == 2, result.stderr
    for subject in ("other", "tiny"):
        (folder(daemon, subject) / "a..b.safetensors").unlink()
    tiny.write_checkpoint(daemon.root / "other", "v1", seed=1)
    assert command("audit").exit_code == 0


@pytest.fixture
def told(daemon: SteppedDaemon, monkeypatch) -> SteppedDaemon:
    """Where a version is reported to."""
    monkeypatch.setattr(
        "memory_assets.dagster.instance.open_instance", lambda _: nullcontext(daemon.instance)
    )
    return daemon


def test_a_version_is_handed_over(told: SteppedDaemon, tmp_path: Path) -> None:
    tiny.write_checkpoint(tmp_path, "new", seed=1)
    given = tmp_path / "checkpoints" / "new.safetensors"
    assert "new\n" in command("register", "tiny", given, "--version", "v1").stdout
    assert "the same bytes" in command("register", "tiny", given, "--version", "v1").stdout
    # Another's strange file is no fault of this version.
    (folder(told, "tiny") / "a..b.safetensors").touch()
    assert command("register", "tiny", given, "--version", "v2").exit_code == 0
    assert told.versions("tiny") == ["v1", "v2"]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("w.safetensors", "a..b"),
        *((f"w.{kind}", "v5") for kind in ("json", "md", "tmp", "part", "csv", "zip", "\x1b[31mE")),
        ("w", "v5"),
        ("folder", "v.tmp"),
        ("folder", "v.csv"),
        ("empty", "v5"),
    ],
)
def test_what_would_be_no_version_is_refused_and_not_copied(
    told: SteppedDaemon, tmp_path: Path, name: str, version: str
) -> None:
    given = tmp_path / name
    if name in ("folder", "empty"):
        given.mkdir()
        (given / ("a.safetensors" if name == "folder" else "words.txt")).write_bytes(b"x")
    else:
        given.write_bytes(b"id,a\n1,2\n")
    result = command("register", "tiny", given, "--version", version)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("memory-assets: ")
    assert result.stderr.rstrip("\n").isprintable()
    assert list(folder(told, "tiny").iterdir()) == []
