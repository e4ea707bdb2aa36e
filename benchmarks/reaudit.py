"""What a re-audit costs beside the first audit: CPU time of whole processes, start-up excluded.

A small convolutional recipe on the digits as images, 256 shadow models. The first audit trains
the pool and audits `v1`; then `v2` is dropped into the folder and audited against the same pool.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks._goals import Goals

CHECKOUT = Path(__file__).parents[1]
MODELS = 256
BOUND = 0.02
RECIPE = {
    "model": "memory_assets.models.cnn:small_cnn",
    "model_args": {"channels": 1, "size": 8, "width": 16, "classes": 10},
    "lr": 0.05,
    "epochs": 60,
    "batch_size": 32,
    "seed": 7,
}
DEFS = f"""
type: memory_assets.ClassifierAudit
attributes:
  subject: images
  records: {{loader: benchmarks.reaudit:images, members: models/images/members.csv}}
  recipe: {RECIPE}
  checkpoints: models/images
  pool: {{models: {MODELS}}}
  gate: {{tpr_at_fpr_0.01: 0.05}}
"""

# The libraries that an audit loads, the graph, and the store of its runs: paid by any command.
START_UP = """
import great_tables, matplotlib.figure, PIL.Image, sklearn.datasets, sklearn.kernel_ridge
import scipy.stats, torch, dagster as dg
from memory_assets.dagster.auditing import build_definitions
from memory_assets.dagster.instance import prepare_dagster_home
from memory_assets.workflows.home import find_home
prepare_dagster_home(find_home().root)
build_definitions().resolve_implicit_global_asset_job_def()
dg.DagsterInstance.get().get_runs(limit=1)
"""


def images():
    """The digits as images `[1797, 1, 8, 8]`."""
    from memory_assets.examples import digits
    from memory_assets.records.dataset import Dataset

    flat = digits.load()
    return Dataset(flat.ids, flat.x.reshape(-1, 1, 8, 8), flat.y, flat.classes, flat.source)


def _cpu(*command: str, root: Path) -> float:
    """CPU seconds of a command and of all it starts."""
    environment = os.environ | {
        "MEMORY_ASSETS_HOME": str(root / "home"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(CHECKOUT),
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _project(root: Path) -> Path:
    """A project with this one subject; returns the folder of its checkpoints."""
    from memory_assets.examples import digits
    from memory_assets.models.checkpoints import Manifest, save_checkpoint
    from memory_assets.models.recipe import Recipe
    from memory_assets.pool.trainer import train_target
    from memory_assets.records.prepared import members_digest

    shutil.copytree(CHECKOUT / "dagster_project", root / "dagster_project")
    for folder in (root / "dagster_project" / "defs").iterdir():
        if (folder / "defs.yaml").exists():
            shutil.rmtree(folder)
    (defs := root / "dagster_project" / "defs" / "images").mkdir()
    (defs / "defs.yaml").write_text(DEFS)
    shutil.copy(CHECKOUT / "pyproject.toml", root)
    folder = root / "models" / "images"
    folder.mkdir(parents=True)
    data = images()
    rows = digits.draw_members(data)
    (folder / "members.csv").write_text("\n".join(["id", *data.ids[rows]]))
    for draw, name in enumerate(("v1.safetensors", "later.v2")):
        state = train_target(Recipe(**RECIPE), data.x, data.y, np.asarray(rows), draw=draw)
        manifest = Manifest(RECIPE, members_digest(data.ids[rows]), data.digest)
        target = folder / name if draw == 0 else root / name
        save_checkpoint(target, state, manifest)
    return folder


def main() -> int:
    goals = Goals()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = _project(root)
        start_up = _cpu("-c", START_UP, root=root)
        first = _cpu("-m", "memory_assets.cli", "audit", root=root) - start_up
        shutil.copy(root / "later.v2", folder / "v2.safetensors")
        again = _cpu("-m", "memory_assets.cli", "audit", "--version", "v2", root=root) - start_up
        print(f"start-up (definitions and libraries)    {start_up:8.1f} s CPU")
        print(f"first audit, {MODELS} shadow models trained  {first:8.1f} s CPU")
        print(f"re-audit of a new version, none trained {again:8.1f} s CPU")
        told = goals.check("re-audit", again / first <= BOUND)
        print(f"ratio                                   {again / first:8.2%}   (bound 2%: {told})")
    return goals.exit_code


if __name__ == "__main__":
    sys.exit(main())
