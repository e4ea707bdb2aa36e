"""One warm process for all faults."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warm_project import CHECKOUT, TINY, Warm, results, small_project


@pytest.fixture(scope="session")
def warm(tmp_path_factory) -> Iterator[Warm]:
    """The warm process, in a project of its own."""
    root = small_project(tmp_path_factory.mktemp("faults") / "project")
    environment = os.environ | {
        "MEMORY_ASSETS_HOME": str(root / "unused"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (root, CHECKOUT, TINY))),
    }
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm.py"))],
        cwd=root,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    with process:
        started = Warm(root, process)
        assert started.hear()["ready"]
        yield started
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def audited(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one audit, to look at and to copy."""
    home = tmp_path_factory.mktemp("audited") / "home"
    warm.run(home, "steps", "tiny", "v1")
    return home


@pytest.fixture(scope="session")
def undisturbed(audited: Path) -> dict[str, Any]:
    """What an audit finds that nothing happens to."""
    return results(audited)
