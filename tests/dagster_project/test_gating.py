"""Which version a gate speaks of when none is named, and what it says of one without an audit."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from memory_assets.history.store import History
from memory_assets.models.checkpoints import fingerprint

sys.path.append(str(Path(__file__).parents[1] / "history"))
from history_bundles import bundle, written

SHIPPED = Path(__file__).parents[2] / "dagster_project" / "defs" / "digits" / "defs.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A project with `digits` alone, v1 and v2 on disk: v1 passed, v2 failed later."""
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("dagster_project.cli.project_root", lambda: tmp_path)
    defs = tmp_path / "dagster_project" / "defs" / "digits"
    defs.mkdir(parents=True)
    (defs / "defs.yaml").write_text(SHIPPED.read_text())
    (tmp_path / "models" / "digits").mkdir(parents=True)
    for version in ("v1", "v2"):
        released(tmp_path, version)
    audited(tmp_path, "v1", "pass", 1)
    audited(tmp_path, "v2", "fail", 2)
    return tmp_path


def released(root: Path, version: str) -> Path:
    path = root / "models" / "digits" / f"{version}.safetensors"
    path.write_text(version)
    return path


def audited(root: Path, version: str, verdict: str, day: int) -> None:
    made = bundle(version=version, day=day, records=0)
    path = root / "models" / "digits" / f"{version}.safetensors"
    weights = fingerprint([path]) if path.exists() else made.audit.model_digest
    audit = replace(made.audit, verdict=verdict, model_digest=weights)
    history = History(root / "home")
    history.append_all([written(root / "bundles", replace(made, audit=audit))])


def gate(*options: str) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["gate", "digits", "--format", "json", *options])
    return result.exit_code, json.loads(result.output)


def test_an_audit_of_an_older_version_does_not_speak_for_the_newest(project: Path):
    audited(project, "v1", "pass", 9)
    code, found = gate()
    assert (code, found["version"], found["verdict"]) == (1, "v2", "fail")
    assert gate("--version", "v1")[0] == 0


def test_an_option_is_no_release(project: Path):
    audited(project, "option:early-stop", "pass", 9)
    assert gate()[1]["version"] == "v2"


def test_the_newest_version_without_an_audit_has_no_verdict(project: Path):
    released(project, "v10")  # after v2, though not in the alphabet
    code, found = gate()
    assert (code, found["version"], found["verdict"]) == (1, "v10", "insufficient evidence")
    assert "never audited" in found["reason"]
    assert found["audit_id"] == ""
    text = CliRunner().invoke(app, ["gate", "digits"])
    assert (text.exit_code, "insufficient evidence" in text.output) == (1, True)


def test_without_a_checkpoint_the_history_says_which_is_the_newest(project: Path):
    for path in (project / "models" / "digits").iterdir():
        path.unlink()
    audited(project, "v1", "pass", 9)
    assert gate()[1]["version"] == "v2"
