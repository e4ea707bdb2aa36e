"""A project of its own for every test: the shipped one, with a small pool and its own home."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from automation_projects import copy_project

from memory_assets.examples import digits


@dataclass(frozen=True)
class Project:
    """A copy of the checkout's project with the command line run inside it, as a user would."""

    root: Path
    home: Path

    @property
    def defs(self) -> Path:
        return self.root / "dagster_project" / "defs" / "digits" / "defs.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.root / "models" / "digits"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"MEMORY_ASSETS_HOME": str(self.home), "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "memory_assets.cli", *arguments],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def change(self, old: str, new: str) -> None:
        text = self.defs.read_text()
        assert old in text
        self.defs.write_text(text.replace(old, new))

    def copied(self, folder: Path) -> Project:
        """The same project with all that was audited, elsewhere."""
        for place in (self.root, self.home):
            shutil.copytree(place, folder / place.name, symlinks=True)
        return Project(folder / self.root.name, folder / self.home.name)

    def rows(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.home / "history.duckdb"), read_only=True) as con:
            return con.execute(sql).fetchall()

    def artifacts(self, kind: str) -> dict[str, float]:
        """Names of the artifacts of a kind, each with the time it was written."""
        folder = self.home / "artifacts" / kind
        return {path.name: path.stat().st_mtime_ns for path in folder.glob("*")}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """The shipped checkpoints, made once by the shipped training step."""
    folder = tmp_path_factory.mktemp("checkpoints") / "digits"
    digits.make(folder)
    return folder


def _make_project(folder: Path, checkpoints: Path, models: int) -> Project:
    root = folder / "project"
    copy_project(root, "digits")
    shutil.copytree(checkpoints, root / "models" / "digits")
    made = Project(root, folder / "home")
    text = made.defs.read_text()
    made.defs.write_text(re.sub(r"pool: \{models: \d+\}", f"pool: {{models: {models}}}", text))
    return made


@pytest.fixture
def project(tmp_path, checkpoints) -> Project:
    """A project nobody has audited yet."""
    return _make_project(tmp_path, checkpoints, models=16)


@pytest.fixture(scope="session")
def audited(tmp_path_factory, checkpoints) -> Project:
    """A project audited once with the pool that is shipped, for the tests that only look."""
    made = _make_project(tmp_path_factory.mktemp("audited"), checkpoints, models=64)
    result = made.run("audit")
    assert result.returncode == 0, result.stderr
    return made
