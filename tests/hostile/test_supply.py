"""What a clean bill of the dependencies takes, and where the web server listens."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from memory_assets.dagster import instance, web_server
from memory_assets.dagster.guard import Guard

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
        ("KeyError: 'vulns'", 1, "pip-audit failed, so nothing was asked: KeyError: 'vulns'"),
    ],
)
def test_only_what_was_looked_up_counts(script, packages, code, said) -> None:
    found = {"dependencies": packages} if isinstance(packages, list) else packages
    assert script.judge(found)[0] == code
    assert any(said in line for line in script.judge(found)[1])


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\nTip: ...", 0),
        ("requests.exceptions.ProxyError: HTTPSConnectionPool(host='pypi.org')", 0),
        ("Traceback (most recent call last):\n  ...\nKeyError: 'vulns'", 1),
        ("No module named pip_audit", 1),
        ("", 1),
    ],
)
def test_a_crash_is_no_network_that_cannot_be_reached(script, monkeypatch, stderr, code) -> None:
    ended = subprocess.CompletedProcess([], 1, "", stderr)
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: ended)
    assert script.judge(script.ask(script.PINS))[0] == code


def test_a_pin_that_cannot_be_read_fails_the_check(script, tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text("somepackage==not a version\n")
    code, (line,) = script.judge(script.ask(tmp_path / "pins.txt"))
    assert code == 1
    assert "pip-audit failed" in line


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
    assert instance.run_services(3000) == 0
    (command,) = started
    assert command == [sys.executable, "-m", "memory_assets.dagster.services", "3000"]

    served: list[tuple[object, dict]] = []
    monkeypatch.setattr(web_server.uvicorn, "run", lambda app, **how: served.append((app, how)))
    monkeypatch.setattr(web_server, "create_app_from_workspace_process_context", lambda *_, **__: 0)
    web_server.serve(None, 3000)  # type: ignore[arg-type]
    ((app, how),) = served
    assert isinstance(app, Guard)
    assert how["host"] == "127.0.0.1"
