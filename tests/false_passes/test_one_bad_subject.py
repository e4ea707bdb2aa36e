"""What is wrong with one subject, version or option holds back no other, and is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "tests" / "dagster_project"))

import automation_projects as tiny  # noqa: E402
from automation_projects import SteppedDaemon  # noqa: E402

from memory_assets.cli.main import app  # noqa: E402
from memory_assets.dagster import auditing  # noqa: E402
from memory_assets.dagster.subjects import Survey, find_subject, survey  # noqa: E402
from memory_assets.errors import InputError  # noqa: E402
from memory_assets.workflows import mitigations, shadows  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SteppedDaemon]:
    """Two subjects with two versions each; `alpha` is audited first."""
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (root := tmp_path / "project").mkdir()
    with tiny.stepped(root, ("alpha", "beta")) as daemon:
        for name in daemon.subjects:
            for seed in (1, 2):
                tiny.write_checkpoint(root / name, f"v{seed}", seed=seed)
        monkeypatch.setattr(auditing, "build_definitions", lambda _: daemon.definitions)
        monkeypatch.setattr(auditing, "open_instance", lambda _: nullcontext(daemon.instance))
        monkeypatch.setattr("memory_assets.cli.main.project_root", lambda: root)
        monkeypatch.setattr(
            "memory_assets.dagster.subjects.survey", lambda _: Survey(dict(daemon.subjects))
        )
        yield daemon


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments])


def recorded(home: Path) -> list[str]:
    """What the history holds of: subject and version."""
    if not (home / "history.duckdb").exists():
        return []
    with duckdb.connect(str(home / "history.duckdb"), read_only=True) as con:
        sql = "select subject || ' ' || model_version from audits order by 1"
        return [row for (row,) in con.execute(sql).fetchall()]


def verdicts(result: Result | subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The table of the command: its verdict, or that there is none, by subject and version."""
    rows = [line.split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    return {f"{row[1].strip()} {row[2].strip()}": row[3].strip() for row in rows}


def lines(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if not line.startswith("... ")]


def all_of_beta(two: SteppedDaemon, result: Result) -> bool:
    """Whether both its versions were audited, recorded and reported."""
    home = two.root.parent / "home"
    shown = verdicts(result)
    return all(
        shown.get(f"beta {version}", "not audited") != "not audited"
        and f"beta {version}" in recorded(home)
        and (home / "reports" / "beta" / version / "en.html").is_file()
        for version in ("v1", "v2")
    )


def test_a_bad_list_of_members_holds_back_its_own_versions_alone(two: SteppedDaemon) -> None:
    (two.root / "alpha" / "members.csv").write_text("id\nnobody\n")
    result = audit()
    assert result.exit_code == 2, (result.output, result.exception)
    assert all_of_beta(two, result)
    assert {verdicts(result)[f"alpha {version}"] for version in ("v1", "v2")} == {"not audited"}
    (line,) = lines(result)
    assert line.startswith("memory-assets: alpha pool: ")
    assert "members.csv" in line


def test_a_missing_file_of_records_holds_back_its_own_subject_alone(two: SteppedDaemon) -> None:
    (two.root / "alpha" / "records.npz").unlink()
    result = audit()
    assert result.exit_code == 2, (result.output, result.exception)
    assert all_of_beta(two, result)
    assert verdicts(result)["alpha -"] == "not audited"
    (line,) = lines(result)
    assert line.startswith("memory-assets: alpha: ")


def test_a_bad_version_holds_back_no_version_after_it(two: SteppedDaemon) -> None:
    (two.root / "alpha" / "checkpoints" / "v1.safetensors").write_bytes(b"no tensors")
    result = audit()
    assert result.exit_code == 2, (result.output, result.exception)
    assert all_of_beta(two, result)
    assert recorded(two.root.parent / "home") == ["alpha v2", "beta v1", "beta v2"]
    assert verdicts(result)["alpha v1"] == "not audited"
    (line,) = lines(result)
    assert line.startswith("memory-assets: alpha v1: ")


def test_a_version_that_one_subject_lacks_is_audited_of_the_other(two: SteppedDaemon) -> None:
    (two.root / "alpha" / "checkpoints" / "v2.safetensors").unlink()
    result = audit("--version", "v2")
    assert result.exit_code == 2, (result.output, result.exception)
    assert recorded(two.root.parent / "home") == ["beta v2"]
    assert verdicts(result)["alpha v2"] == "not audited"
    assert "'v2'" in lines(result)[0]


def test_the_worst_exit_code_counts(two: SteppedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the program is worse than what the user can put right, in whichever order."""
    (two.root / "beta" / "checkpoints" / "v1.safetensors").write_bytes(b"no tensors")
    asked = shadows.attack_scores

    def breaks(subject, *rest):
        if subject.subject == "alpha":
            raise RuntimeError("the text of a record")
        return asked(subject, *rest)

    monkeypatch.setattr(shadows, "attack_scores", breaks)
    result = audit()
    assert result.exit_code == 3, (result.output, result.exception)
    assert recorded(two.root.parent / "home") == ["beta v2"]
    said = lines(result)
    assert [line.split(": ")[1] for line in said] == ["alpha v1", "alpha v2", "beta v1"]
    assert "the text of a record" not in result.output


def test_what_breaks_outside_of_a_step_holds_back_no_other(
    two: SteppedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = auditing.report_sources

    def breaks(graph, instance):
        if graph.subject.subject == "alpha":
            raise KeyError("nobody expects it")
        report(graph, instance)

    monkeypatch.setattr(auditing, "report_sources", breaks)
    result = audit()
    assert result.exit_code == 3, (result.output, result.exception)
    assert all_of_beta(two, result)
    assert lines(result)[0].startswith("memory-assets: alpha: a fault of this program")


def test_a_bad_option_holds_back_no_version_and_no_other_option(
    two: SteppedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.subjects["alpha"] = tiny.tiny_subject("alpha", options={"early-stop": {"epochs": 1}})
    train = mitigations.option_target

    def refuses(option, *rest):
        if option.recipe.epochs == 1 and refuses.calls == 0:
            refuses.calls += 1
            raise InputError("no such setting")
        return train(option, *rest)

    refuses.calls = 0
    monkeypatch.setattr(mitigations, "option_target", refuses)
    result = audit()
    assert result.exit_code == 2, (result.output, result.exception)
    assert all_of_beta(two, result)
    assert verdicts(result)["alpha option:original"] == "not audited"
    assert verdicts(result)["alpha option:early-stop"] != "not audited"
    assert {"alpha v1", "alpha v2"} < set(recorded(two.root.parent / "home"))
    assert lines(result) == ["memory-assets: alpha option:original: no such setting"]


@pytest.mark.parametrize("place", ["in the loader", "as it is imported"])
def test_code_of_an_owner_cannot_choose_the_exit_code(
    two: SteppedDaemon, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script without a guard ends in sys.exit(0): nothing was audited, and it looked well."""
    name = f"exiting_{place.split()[0]}"
    body = "def records():\n    sys.exit(0)\n" if place == "in the loader" else "sys.exit(0)\n"
    (tmp_path / f"{name}.py").write_text(f"import sys\n{body}")
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = {"loader": f"{name}:records", "members": "alpha/members.csv"}
    two.subjects["alpha"] = tiny.tiny_subject("alpha", records=spec)
    result = audit()
    assert result.exit_code == 2, (result.output, result.exception)
    assert all_of_beta(two, result)
    assert any(f"{name}" in line and "raised SystemExit" in line for line in lines(result))
    gate = CliRunner().invoke(app, ["gate", "alpha"])
    assert gate.exit_code not in (0, 1), gate.output


def test_an_interrupt_stops_at_once(two: SteppedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shadows, "attack_scores", interrupted)
    result = audit()
    assert result.exit_code not in (0, 2, 3), result.output
    assert recorded(two.root.parent / "home") == []
    runs = two.instance.get_runs()
    assert not any("v2" in run.tags.get("dagster/partition", "") for run in runs)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of files: one subject that can be read, and three that cannot."""
    root = tmp_path / "project"
    defs = tiny.copy_project(root)
    for name in ("alpha", "beta", "gamma"):
        tiny.declare(defs, tiny.tiny_subject(name))
        tiny.write_records(root / name)
        (root / name / "checkpoints").mkdir()
        tiny.write_checkpoint(root / name, "v1", seed=1)
    (defs / "alpha" / "defs.yaml").write_text("type: [not YAML\n")
    # Read as it stands it is a subject; what Dagster makes of it is none.
    text = (defs / "gamma" / "defs.yaml").read_text()
    (defs / "gamma" / "defs.yaml").write_text(
        text.replace("subject: gamma", "subject: gamma\n  title: '{{ nothing.of_the_kind }}'")
    )
    return root


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "MEMORY_ASSETS_HOME": str(root.parent / "home"),
        "PYTHONPATH": f"{root}{os.pathsep}{CHECKOUT}",
    }
    environment.pop("DAGSTER_HOME", None)
    return subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_a_subject_that_cannot_be_read_is_named_and_the_others_go_on(project: Path) -> None:
    command = ("-m", "memory_assets.cli")
    done = run(project, *command, "audit")
    assert done.returncode == 2, done.stderr
    assert recorded(project.parent / "home") == ["beta v1"]
    assert "alpha/defs.yaml: not YAML" in done.stderr
    assert "'gamma' cannot be loaded" in done.stderr
    shown = verdicts(done)
    assert shown["alpha -"] == shown["gamma -"] == "not audited"
    # The gate of one is not shut, nor opened, by the file of another.
    gate = run(project, *command, "gate", "beta")
    assert gate.returncode == 5, gate.stderr
    assert gate.stdout.startswith("beta v1: insufficient evidence")
    assert "left out: " in gate.stderr
    assert "alpha/defs.yaml: not YAML" in gate.stderr
    refused = run(project, *command, "gate", "alpha")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "alpha/defs.yaml: not YAML" in refused.stderr
    # A daemon watches the others.
    listed = run(
        project,
        "-c",
        "from dagster_project.definitions import defs\n"
        "print(*sorted(s.name for s in defs().sensors))",
    )
    assert "beta_versions" in listed.stdout.split(), listed.stderr
    assert not {"alpha_versions", "gamma_versions"} & set(listed.stdout.split())
    assert "left out: " in listed.stderr


def test_two_subjects_of_one_name_are_both_refused(project: Path) -> None:
    defs = project / "dagster_project" / "defs"
    shutil.copytree(defs / "beta", defs / "delta")
    found = survey(project)
    assert set(found.subjects) == {"gamma"}
    assert sorted(one.folder for one in found.unread) == ["alpha", "beta", "delta"]
    with pytest.raises(InputError, match=r"beta/defs\.yaml: .*'beta' is taken by"):
        find_subject(project, "beta")


def test_the_file_that_cannot_be_read_is_the_one_that_is_named(project: Path) -> None:
    (project / "dagster_project" / "defs" / "beta" / "defs.yaml").write_text("type: [nor this\n")
    with pytest.raises(InputError, match=r"beta/defs\.yaml: not YAML"):
        find_subject(project, "beta")
