"""A copy of the project with the shipped subject `digits` alone, for benchmarks with a daemon."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "dagster_project"))
from test_daemon import CHECKOUT, audits, daemon, descendants, wait_for

__all__ = ["CHECKOUT", "audits", "daemon", "descendants", "digits_alone", "wait_for"]


def digits_alone(root: Path) -> Path:
    """Copy the project to `root`; returns the folder of checkpoints, which is empty."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "dagster_project", root / "dagster_project", ignore=ignored)
    for name in ("pyproject.toml", "workspace.yaml"):
        shutil.copy(CHECKOUT / name, root / name)
    for shipped in (root / "dagster_project" / "defs").glob("*/defs.yaml"):
        if shipped.parent.name != "digits":
            shutil.rmtree(shipped.parent)
    models = root / "models" / "digits"
    models.mkdir(parents=True)
    return models
