"""memory-assets new: what it finds, what it asks for, what it says is missing."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from memory_assets.cli.main import app
from memory_assets.dagster.scaffold import Written, write_subject
from memory_assets.dagster.starters import classifier, language
from memory_assets.dagster.starters.raw_inputs import RawInputs
from memory_assets.dagster.subjects import read_subject
from memory_assets.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dagster_project" / "defs").mkdir(parents=True)
    folder = tmp_path / "Claims 2024"
    folder.mkdir()
    rows = [f"c{i},{i},{i % 2}" for i in range(20)]
    (folder / "claims.csv").write_text("\n".join(["id,age,label", *rows]))
    return folder


def new(folder: Path, subject: str | None = None, **flags: object) -> Written:
    return write_subject(folder.parent, folder, subject, RawInputs(**flags))  # type: ignore[arg-type]


def test_a_folder_with_records_and_weights(folder: Path) -> None:
    (folder / "members.csv").write_text("id\nc1")
    (folder / "weights").mkdir()
    (folder / "weights" / "v1.safetensors").write_bytes(b"")
    written = new(folder, recipe="memory_assets.models.mlp:mlp", depth="quick")
    subject = read_subject(written.path)
    assert subject is not None
    assert (written.subject, subject.way, subject.models) == ("claims-2024", "recipe", 4)
    assert subject.records.path == "Claims 2024/claims.csv"
    assert (subject.records.id, subject.records.members) == ("id", "Claims 2024/members.csv")
    assert subject.checkpoints == "Claims 2024/weights"
    said = " ".join(written.missing)
    assert "default hyper-parameters" in said
    assert "members" not in said
    assert "no version yet" not in said


def test_a_folder_with_outputs_only(folder: Path) -> None:
    (folder / "outputs").mkdir()
    (folder / "outputs" / "v1.csv").write_text("record_id,prob_0,prob_1\nc1,0.5,0.5")
    written = new(folder, "claims")
    subject = read_subject(written.path)
    assert subject is not None
    assert subject.predictions is not None
    assert subject.checkpoints == "Claims 2024/outputs"
    said = " ".join(written.missing)
    assert "only the loss attack runs" in said
    assert "members.csv is not there" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "how was the model trained"),
        ({"recipe": "a:b", "fit": "a:b"}, "--recipe and --fit; a model comes by one of them"),
        ({"fit": "a:b", "label": "result"}, "no column 'result'; say with --label which of id"),
        ({"fit": "no function"}, "new: fit: .*match pattern"),
        ({"fit": "a:b", "depth": "deep"}, "new: depth"),
    ],
)
def test_flags_that_are_refused(folder: Path, flags: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        new(folder, **flags)
    assert not list((folder.parent / "dagster_project" / "defs").iterdir())


def test_what_only_the_owner_can_say(folder: Path) -> None:
    (folder / "more.csv").write_text("id,label\n1,0")
    with pytest.raises(
        InputError, match=r"claims.csv, .*more.csv could be it; say which with --rec"
    ):
        new(folder, fit="a:b")
    for file in folder.glob("*.csv"):
        file.unlink()
    with pytest.raises(InputError, match=r"no records .*--loader"):
        new(folder, fit="a:b")


def test_a_subject_is_never_written_over(folder: Path) -> None:
    new(folder, "claims", fit="a:b")
    with pytest.raises(InputError, match="'claims': there already"):
        new(folder, "claims", fit="a:b")


def test_what_a_killed_call_left_is_taken_over_and_nothing_else(folder: Path) -> None:
    defs = folder.parent / "dagster_project" / "defs"
    (defs / "claims").mkdir()
    (defs / "claims" / "__init__.py").touch()
    assert new(folder, "claims", fit="a:b").path == defs / "claims" / "defs.yaml"
    (defs / "portfolio").mkdir()
    (defs / "portfolio" / "dashboard.py").touch()
    with pytest.raises(InputError, match=r"portfolio holds dashboard\.py; choose another name"):
        new(folder, "portfolio", fit="a:b")


@pytest.mark.slow
@pytest.mark.xdist_group("end to end")
def test_what_it_writes_passes_the_check_of_dagster(project) -> None:
    rows = [f"c{i},{i},{i % 2}" for i in range(20)]
    (project.root / "data").mkdir()
    (project.root / "data" / "claims.csv").write_text("\n".join(["id,age,label", *rows]))
    done = project.run("new", "data", "--subject", "claims", "--fit", "claims:fit")
    assert done.returncode == 0, done.stderr
    assert "holds no version yet" in done.stdout
    (project.root / "texts").mkdir()
    (project.root / "texts" / "members.jsonl").write_text('{"id": "a", "text": "words"}\n')
    done = project.run("new", "texts", "--members", "texts/members.jsonl")
    assert done.returncode == 0, done.stderr
    assert "No held-out texts: membership is not measured" in done.stdout
    dg = Path(sys.executable).with_name("dg")
    written = [f"dagster_project/defs/{name}" for name in ("claims", "texts")]
    checked = subprocess.run(
        [dg, "check", "yaml", *written], cwd=project.root, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    file = project.root / "dagster_project" / "defs" / "claims" / "defs.yaml"
    file.write_text(file.read_text().replace("fit:", "fitt:"))
    checked = subprocess.run(
        [dg, "check", "yaml"], cwd=project.root, capture_output=True, text=True
    )
    assert checked.returncode != 0
    assert "fitt" in checked.stdout + checked.stderr


def test_every_raw_input_is_an_option_and_is_read_by_a_starter() -> None:
    """A flag is declared once; one that no starter reads would be taken and ignored."""
    command = get_command(app).commands["new"]  # type: ignore[attr-defined]
    options = {p.name: p for p in command.params if p.param_type_name == "option"}
    starters = [inspect.getsource(module) for module in (classifier, language)]
    for name, (kind, flag) in RawInputs.flags().items():
        option = options.pop(name)
        assert option.opts == ["--" + name.replace("_", "-")]
        assert not option.secondary_opts
        assert (option.help, option.rich_help_panel) == (flag.help, flag.of)
        assert option.is_flag == (kind is bool)
        assert any(f"inputs.{name}" in source for source in starters), name
    assert set(options) - {"help"} == {"subject"}
