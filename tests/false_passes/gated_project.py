"""A project of one tiny classifier, audited and asked by the command line in this process."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.dagster import auditing
from memory_assets.dagster.components.classifier_audit import ClassifierAudit
from memory_assets.dagster.definitions import with_portfolio
from memory_assets.dagster.subjects import read_subjects
from memory_assets.history.store import History
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.now import basis_now
from memory_assets.workflows.released import Released

sys.path.append(str(Path(__file__).parents[1] / "dagster_project"))
sys.path.append(str(Path(__file__).parents[1] / "history"))
from automation_projects import MLP, write_checkpoint, write_records
from history_bundles import bundle, written

_DEFS = """
type: memory_assets.ClassifierAudit
attributes:
  subject: tiny
  records: {{path: tiny/records.npz, members: {members}}}
  recipe: {{model: "memory_assets.models.mlp:mlp", model_args: {args}, epochs: {epochs}}}
  checkpoints: {checkpoints}
  pool: {{models: 4}}
  attacks: [loss]
  gate: {{auc: {limit}}}
"""


@dataclass
class TinyProject:
    """`tiny/checkpoints` holds its versions; what `declare` is given stands in its defs.yaml."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def checkpoints(self) -> Path:
        return self.root / "tiny" / "checkpoints"

    def declare(self, **changes: object) -> None:
        given = {
            "members": "tiny/members.csv",
            "args": json.dumps(MLP),
            "epochs": 1,
            "checkpoints": "tiny/checkpoints",
            "limit": 0.99,
            **changes,
        }
        folder = self.root / "dagster_project" / "defs" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "defs.yaml").write_text(_DEFS.format(**given))

    def release(self, version: str, seed: int = 1) -> Path:
        write_checkpoint(self.root / "tiny", version, seed)
        return self.checkpoints / f"{version}.safetensors"

    def run(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.output

    def audit(self, *options: str) -> str:
        code, output = self.run("audit", "tiny", *options)
        assert code == 0, output
        return output

    def gate(self, *options: str) -> tuple[int, dict]:
        code, output = self.run("gate", "tiny", "--format", "json", *options)
        assert output.startswith("{"), output
        return code, json.loads(output)


def _definitions(root: Path) -> dg.Definitions:
    """What Dagster makes of the project's own folder, which is no package."""
    subjects = list(read_subjects(root).values())
    graphs = [ClassifierAudit(subject, root).build_defs(None) for subject in subjects]  # type: ignore[arg-type]
    return with_portfolio(dg.Definitions.merge(*graphs), subjects, root)


def make_project(root: Path, patch: pytest.MonkeyPatch) -> TinyProject:
    """One version, `v1`, and a limit that nothing exceeds; nothing was audited yet."""
    patch.setenv("MEMORY_ASSETS_HOME", str(root / "home"))
    patch.setenv("DAGSTER_HOME", str(root / "home" / "dagster"))
    patch.setattr(auditing, "build_definitions", _definitions)
    made = TinyProject(root)
    write_records(root / "tiny")
    made.declare()
    made.release("v1")
    patch.chdir(root)
    return made


def concluded(project: TinyProject, verdict: str, *, version: str = "v1", day: float = 1) -> str:
    """What an audit of the state of now leaves in the history, without its figures."""
    subject = read_subjects(project.root)["tiny"]
    versions = Released(project.home).of(subject, project.root)
    store = ArtifactStore(project.home)
    basis = basis_now(subject, project.root, versions, version, store)
    made = bundle("tiny", version, day=day, records=0, weights=str(basis))
    audit = replace(made.audit, verdict=verdict, **asdict(basis))
    History(project.home).append_all([written(project.root / "b", replace(made, audit=audit))])
    return audit.audit_id
