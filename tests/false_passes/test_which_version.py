"""The gate speaks of the version that ships: in people's order, never of a stray file, and as the
registry itself has it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from gated_project import TinyProject, concluded, make_project

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.dagster.releases import release_now, released
from memory_assets.dagster.subjects import read_subjects
from memory_assets.history.store import History
from memory_assets.models.checkpoints import list_versions, look_for_versions
from memory_assets.models.registry import MlflowModel, Registry, mirror
from memory_assets.workflows.home import Home

sys.path.append(str(Path(__file__).parents[1] / "history"))
from history_bundles import bundle, written
from mlflow_server import register, serving

pytestmark = pytest.mark.slow

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
STRAY_FILES = """
v9.safetensors.sha256 v9.safetensors.md5 v9.safetensors.asc v9.safetensors.crdownload
v9.safetensors.part v9.safetensors.tmp v9.safetensors.aria2 v9.log train.out v9.PNG curve.jpg
._v9.safetensors .DS_Store Thumbs.db v9.safetensors~ v9.safetensors.lock v9.json v9.yaml
README events.out.tfevents.1.host v9.txt evaluate.py
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyProject:
    return make_project(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("older", "newer"),
    [("v1", "V2"), ("v9", "v10"), ("1.0.0-rc1", "1.0.0"), ("v2-2024-12-31", "v2-2025-1-1")],
)
def test_the_newest_is_the_newest_as_people_count(project: TinyProject, older: str, newer: str):
    shutil.rmtree(project.checkpoints)
    for seed, version in enumerate((older, newer)):
        project.release(version, seed)
    concluded(project, "pass", version=older)
    code, said = project.gate()
    assert (code != 0, said["version"], said["verdict"]) == (True, newer, "not audited")
    concluded(project, "fail", version=newer)
    code, said = project.gate()
    assert (code, said["version"], said["verdict"]) == (1, newer, "fail")


def test_neither_a_later_audit_of_an_older_version_nor_an_option_speaks(project: TinyProject):
    project.release("v2", 2)
    failed = concluded(project, "fail", version="v2")
    concluded(project, "pass", version="v1", day=9)
    tried = bundle("tiny", "option:early-stop", day=10, records=0)
    tried = replace(tried, audit=replace(tried.audit, verdict="pass"))
    History(project.home).append_all([written(project.root / "b", tried)])
    code, said = project.gate()
    assert (code, said["version"], said["audit_id"]) == (1, "v2", failed)
    assert project.gate("--version", "v1")[0] == 0


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("pass", 0), ("fail", 1), ("inconclusive", 4), ("insufficient evidence", 5)],
)
def test_the_exit_code_says_which_answer_it_is(project: TinyProject, verdict: str, code: int):
    assert project.run("gate", "tiny")[0] == 2  # there is no history at all
    project.release("v0", 2)
    concluded(project, "pass", version="v0")
    assert project.gate()[0] == 5
    concluded(project, verdict)
    assert project.gate()[0] == code
    allowed = 0 if verdict == "inconclusive" else code
    assert project.gate("--allow-inconclusive")[0] == allowed


def test_what_lies_beside_the_versions_is_none(project: TinyProject):
    folder = project.checkpoints
    for name in STRAY_FILES.split():
        (folder / name).write_bytes(b"x")
    (folder / "v8").mkdir()  # empty
    (folder / "v9").mkdir()
    (folder / "v9" / "notes.txt").write_text("no weights yet")
    (folder / "logs").mkdir()
    (folder / "logs" / "a.csv").write_text("step,loss")
    (folder / "v7.safetensors").symlink_to(folder / "gone.safetensors")
    (folder / "v6.safetensors").symlink_to("/nowhere/v6.safetensors")
    (folder / "v5.safetensors").write_bytes(POINTER)
    (folder / "v4").mkdir()
    (folder / "v4" / "model.safetensors").write_bytes(POINTER)
    (folder / "v4" / "config.json").write_text("{}")
    found = look_for_versions(folder)
    assert list(found.versions) == ["v1"]
    assert found.wrong == ()
    said = "\n".join(found.passed_over)  # what may have been meant as a version
    assert [name for name in ("v4", "v5", "v6", "v7") if f"/{name}" not in said] == []
    concluded(project, "pass")
    assert project.gate("--version", "v1")[0] == 0
    # Each of these is newer than v1, and could not be read.
    for name in ("v7.safetensors", "v6.safetensors", "v5.safetensors", "v4"):
        code, decision = project.gate()
        assert (code, decision["verdict"]) == (5, "not audited")
        assert f"/{name}" in decision["reason"]
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    code, decision = project.gate()
    assert (code, decision["version"]) == (0, "v1")


def test_a_newer_version_behind_a_link_that_leads_out_is_not_passed_over(project: TinyProject):
    concluded(project, "pass")
    shutil.copy(project.checkpoints / "v1.safetensors", project.root / "elsewhere.safetensors")
    (project.checkpoints / "v0.safetensors").symlink_to(project.root / "elsewhere.safetensors")
    assert project.gate()[0] == 0  # an older one is no matter
    (project.checkpoints / "v2.safetensors").symlink_to(project.root / "elsewhere.safetensors")
    code, said = project.gate()
    assert (code, said["verdict"], "leads out" in said["reason"]) == (5, "not audited", True)
    assert project.gate("--version", "v1")[0] == 0


def test_of_two_files_of_one_version_none_is_chosen(project: TinyProject):
    concluded(project, "pass")
    (project.checkpoints / "v1").mkdir()
    shutil.copy(project.release("v2", 2), project.checkpoints / "v1" / "w.safetensors")
    (project.checkpoints / "v2.safetensors").unlink()
    for options in ((), ("--version", "v1")):
        code, said = project.gate(*options)
        assert (code, said["verdict"], "more than once" in said["reason"]) == (
            5,
            "not audited",
            True,
        )


@pytest.mark.parametrize("twin", ["V1", "1", "v1.0"])
def test_of_two_names_that_rank_the_same_neither_is_the_newest(project: TinyProject, twin: str):
    project.release(twin, 2)
    for version in ("v1", twin):
        concluded(project, "pass", version=version)
    code, said = project.gate()
    assert (code, "ranks the same" in said["reason"]) == (5, True)
    assert project.gate("--version", twin)[0] == 0


def test_a_table_without_outputs_among_tables_of_outputs_is_not_passed_over(tmp_path: Path):
    (tmp_path / "members.csv").write_text("id\nr1\n")
    (tmp_path / "records.csv").write_text("id,a,label\nr1,1,0\n")
    (tmp_path / "v1.csv").write_text("record_id,prob_0,prob_1\nr1,0.5,0.5\n")
    (tmp_path / "metrics.csv").write_text("step,loss\n1,2\n")
    subject = ClassifierSubject.model_validate(
        {
            "subject": "tiny",
            "records": {"path": "records.csv", "members": "members.csv", "id": "id"},
            "predictions": {},
            "checkpoints": ".",
        }
    )
    assert release_now(subject, tmp_path, Home(tmp_path / "home"), None).path == tmp_path / "v1.csv"
    for text in ("record_id,Prob_0,Prob_1\nr1,0.5,0.5\n", ""):
        (tmp_path / "v2.csv").write_text(text)
        release = release_now(subject, tmp_path, Home(tmp_path / "home"), None)
        assert (release.path, "v2.csv" in release.missing) == (None, True)


@pytest.mark.parametrize("name", ["v2.safetensors", "v2.unknown", "v2", "v2.tar.gz"])
def test_what_could_be_a_release_is_not_passed_over(project: TinyProject, name: str):
    """Half a file, or one of a kind that nobody knows: the version before it does not speak."""
    concluded(project, "pass")
    (project.checkpoints / name).write_bytes(b"half of it")
    code, said = project.run("gate", "tiny")
    assert code != 0
    assert name in said or "v2" in said


def test_a_folder_is_a_version_as_soon_as_weights_are_in_it(project: TinyProject):
    (project.checkpoints / "v2").mkdir()
    assert list(list_versions(project.checkpoints)) == ["v1"]
    shutil.copy(
        project.checkpoints / "v1.safetensors", project.checkpoints / "v2" / "w.safetensors"
    )
    (project.checkpoints / "v2" / "._w.safetensors").write_bytes(b"of a Mac")
    assert list(list_versions(project.checkpoints)) == ["v1", "v2"]
    concluded(project, "pass", version="v2")
    assert project.gate()[0] == 0


def test_a_version_whose_file_is_gone_is_not_audited(project: TinyProject):
    project.release("v2", 2)
    concluded(project, "pass", version="v2")
    (project.checkpoints / "v2.safetensors").unlink()
    code, said = project.gate("--version", "v2")
    assert (code != 0, said["verdict"]) == (True, "not audited")
    (project.checkpoints / "v1.safetensors").unlink()
    assert project.gate()[0] != 0
    code, said = project.run("gate", "tiny", "--version", "v3")
    assert (code, "'v3'" in said) == (2, True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow on loopback."""
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    with serving(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.mark.slow
def test_the_registry_says_what_is_newest_and_what_an_alias_names(
    server: str, project: TinyProject, caplog: pytest.LogCaptureFixture
):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    good = project.release("a", 1)
    assert register(server, "claims", good) == "1"
    client.set_registered_model_alias("claims", "production", "1")
    project.declare(checkpoints=f'{{mlflow: {{uri: "{server}", model: claims}}}}')
    registry = Registry(mlflow=MlflowModel(uri=server, model="claims"))
    assert project.run("gate", "tiny")[0] != 0  # nothing was audited yet

    mirror(registry, project.home)
    concluded(project, "pass", version="1")
    for options in ((), ("--version", "production"), ("--version", "1")):
        code, said = project.gate(*options)
        assert (code, said["version"], said["verdict"]) == (0, "1", "pass")

    # Registered a moment ago, and nobody looked since.
    unreadable = project.root / "model.txt"
    unreadable.write_text("not weights")
    register(server, "claims", unreadable)
    client.set_registered_model_alias("claims", "production", "2")
    for looked in (False, True):
        for options in ((), ("--version", "production"), ("--version", "2")):
            code, said = project.gate(*options)
            assert (code != 0, said["version"], said["verdict"]) == (True, "2", "not audited")
            assert ("0 files of weights" in said["reason"]) is looked
        assert project.gate("--version", "1")[0] == 0
        mirror(registry, project.home)
    assert released(read_subjects(project.root)["tiny"], project.root, project.home) == ["1", "2"]
    # What cannot be read is remembered, and not fetched again.
    assert caplog.text.count("0 files of weights") == 1
    code, said = project.run("gate", "tiny", "--version", "staging")
    assert (code, "staging" in said) == (2, True)


@pytest.mark.slow
def test_a_number_that_is_given_again_is_another_model(server: str, project: TinyProject):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    register(server, "again", project.release("a", 1))
    project.declare(checkpoints=f'{{mlflow: {{uri: "{server}", model: again}}}}')
    registry = Registry(mlflow=MlflowModel(uri=server, model="again"))
    mirror(registry, project.home)
    concluded(project, "pass", version="1")
    assert project.gate()[0] == 0
    client.delete_registered_model("again")
    assert register(server, "again", project.release("b", 2)) == "1"
    code, said = project.gate()
    assert (code != 0, said["verdict"]) == (True, "not audited")
    mirror(registry, project.home)
    code, said = project.gate()
    assert (code != 0, "changed since its audit" in said["reason"]) == (True, True)


@pytest.mark.slow
def test_a_registry_that_is_out_of_reach_is_said(server: str, project: TinyProject, monkeypatch):
    register(server, "far", project.release("a", 1))
    project.declare(checkpoints=f'{{mlflow: {{uri: "{server}", model: far}}}}')
    mirror(Registry(mlflow=MlflowModel(uri=server, model="far")), project.home)
    concluded(project, "pass", version="1")
    assert project.gate()[0] == 0
    import mlflow
    from mlflow.exceptions import MlflowException

    def away(*_: object, **__: object) -> SimpleNamespace:
        raise MlflowException("connection refused by http://user:word@host")

    monkeypatch.setattr(mlflow.MlflowClient, "get_registered_model", away)
    for options in ((), ("--version", "1")):
        code, said = project.run("gate", "tiny", *options)
        assert (code, "registry refused or did not answer" in said) == (2, True)
        assert "word@host" not in said
