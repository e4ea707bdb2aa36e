"""The built wheel in an environment of its own, outside the checkout: what an installation gets.

Nothing is downloaded: the environment sees the packages of the running one, all but `memory_assets`
itself, which it has from the wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
_SECONDS = 300


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and an empty folder to work in."""

    wheel: Path
    binaries: Path
    folder: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        own = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
        own |= {"MEMORY_ASSETS_HOME": str(self.folder / "home"), "DAGSTER_DISABLE_TELEMETRY": "1"}
        return subprocess.run(
            [self.binaries / program, *arguments],
            cwd=self.folder,
            env=own,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def said(self, program: str, *arguments: str) -> str:
        done = self.run(program, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        return self.said("python", "-c", code).strip()


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments), "--quiet", "--no-deps"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    root = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-build-isolation", "--wheel-dir", root, CHECKOUT)
    (wheel,) = root.glob("memory_assets-*.whl")
    environment = root / "environment"
    venv.create(environment, symlinks=True)
    binaries = environment / "bin"
    _pip("--python", binaries / "python", "install", "--no-index", wheel)
    # What is named in a .pth file comes last on the path, and the .pth files in it are not read:
    # not the one either that leads from the running environment to the checkout.
    (own,) = environment.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = root / "empty"
    folder.mkdir()
    return Installed(wheel, binaries, folder)


def test_the_wheel_holds_the_library_and_nothing_else(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    rooms = {name.partition("/")[0] for name in names}
    assert {room.partition("-")[0] for room in rooms} == {"memory_assets"}, rooms
    assert "memory_assets/py.typed" in names
    shipped = {name.partition("/sql/")[2] for name in names if name.endswith(".sql")}
    assert shipped == {str(path.relative_to(CHECKOUT / "sql")) for path in _sql_files()}


def _sql_files() -> list[Path]:
    return sorted((CHECKOUT / "sql").rglob("*.sql"))


def test_every_file_of_the_library_is_in_the_wheel(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    tracked = [
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "memory_assets").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sorted(set(tracked) - set(names)) == []


def test_the_library_is_imported_from_the_wheel_and_needs_no_dagster(installed: Installed) -> None:
    where = installed.python("import memory_assets; print(memory_assets.__file__)")
    assert Path(where).is_relative_to(installed.binaries.parent)
    loaded = "import sys, memory_assets.attacks.registry, memory_assets.history.store; "
    assert installed.python(loaded + "print('dagster' in sys.modules)") == "False"
    component = "import memory_assets; print(memory_assets.ClassifierAudit.__module__)"
    assert installed.python(component).startswith("memory_assets.dagster")


def test_its_commands_run(installed: Installed) -> None:
    assert "audit" in installed.said("memory-assets", "--help")
    asked = installed.said("memory-assets", "query")
    names = {path.stem for path in _sql_files() if path.parent.name == "queries"}
    assert names <= set(asked.split()), names - set(asked.split())
    assert "finance-eu" in installed.said("memory-assets", "profile")


def test_the_history_is_made_from_the_sql_of_the_wheel(installed: Installed) -> None:
    made = (
        "from pathlib import Path; from memory_assets.history.schema import sql_folder; "
        "print(sql_folder())"
    )
    assert Path(installed.python(made)).is_relative_to(installed.binaries.parent)


def test_without_a_project_an_audit_says_in_one_line_what_is_missing(installed: Installed) -> None:
    done = installed.run("memory-assets", "audit")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "no subject in dagster_project/defs" in line


def test_a_subject_is_written_where_one_stands(installed: Installed) -> None:
    data = installed.folder / "data"
    data.mkdir()
    rows = [f"c{i},{i},{i % 2}" for i in range(20)]
    (data / "claims.csv").write_text("\n".join(["id,age,label", *rows]))
    installed.said("memory-assets", "new", "data", "--subject", "claims", "--fit", "claims:fit")
    assert (installed.folder / "dagster_project" / "defs" / "claims" / "defs.yaml").is_file()
