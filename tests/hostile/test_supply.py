"""What a clean bill of the dependencies takes, and where the web server listens."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from dagster_project import instance

CHECKOUT = Path(__file__).parents[2]
SOUND = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not found"}
FLAWED = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}


@pytest.fixture(scope="module")
def script():
    path = CHECKOUT / ".ci" / "audit_dependencies.py"
    spec = importlib.util.spec_from_file_location("audit_dependencies", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND, SKIPPED], 0, "1 asked about, 0 flaws, 1 the registry does not know"),
        ([SOUND, FLAWED], 1, "c 2: CVE-1, fixed in 2.1"),
        ([SKIPPED, SKIPPED], 0, "registry not reached"),
        (None, 0, "registry not reached"),
    ],
)
def test_only_what_was_looked_up_counts(script, packages, code, said) -> None:
    found = None if packages is None else {"dependencies": packages}
    assert script.judge(found)[0] == code
    assert any(said in line for line in script.judge(found)[1])


def test_every_dependency_is_pinned() -> None:
    """What is not pinned is not what was tested, nor what was asked about."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[\[<>=~! ]", one)[0].lower().replace("_", "-") for one in wanted}
    pins = (CHECKOUT / "constraints.txt").read_text().splitlines()
    pinned = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert names <= pinned, names - pinned


def test_no_file_names_a_registry_host() -> None:
    """An address that fits one network only would break every other, and may hold a login."""
    named = re.compile(r"(index-url|registry)\s*=\s*['\"]?https?://|https?://[^\s/]*:[^\s/]*@")
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/run"):
        assert not named.search((CHECKOUT / name).read_text()), name


def test_the_web_server_is_told_to_listen_on_loopback_only(monkeypatch) -> None:
    started: list[list[str]] = []

    class Process:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(instance.subprocess, "Popen", Process)
    monkeypatch.setattr(instance.signal, "signal", lambda *_: None)
    assert instance.run_dagster_dev(3000) == 0
    (command,) = started
    assert command[0] == sys.executable
    assert command[command.index("-h") + 1] == "127.0.0.1"
