"""The same pool, bit for bit, wherever its blocks run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from memory_assets.dagster.executors import CONFIG, SETTING, executor
from memory_assets.errors import InputError
from memory_assets.store.digest import digest_file

# Trains the pool of `digits` and says by which process each step ran.
TRAIN = """
import json, sys
from pathlib import Path
import dagster as dg
from memory_assets.dagster.executors import portable_job
from memory_assets.dagster.instance import prepare_dagster_home
from memory_assets.workflows.home import find_home

prepare_dagster_home(find_home().root)
keys = [dg.AssetKey(["digits", name]) for name in ("dataset", "shadow_models")]
with dg.DagsterInstance.get() as instance:
    job = portable_job(Path.cwd(), "__ASSET_JOB")
    with dg.execute_job(job, instance, asset_selection=keys) as result:
        assert result.success
        logs = instance.all_logs(result.run_id)
blocks = [e for e in logs if e.dagster_event and "train_block" in (e.step_key or "")]
said = [e.dagster_event.message or "" for e in blocks]
print(json.dumps(said))
"""


def test_steps_run_in_this_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    assert executor().name == dg.in_process_executor.name


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("threads", "", "'threads'; expected one of in_process, multiprocess, ray"),
        ("celery", "", "celery needs dagster-celery, which is not installed"),
        ("multiprocess", "4", "expected a mapping"),
        ("multiprocess", "{a: [", "not YAML"),
    ],
)
def test_settings_that_are_refused(
    name: str, config: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dagster_celery", None)
    monkeypatch.setenv(SETTING, name)
    monkeypatch.setenv(CONFIG, config)
    with pytest.raises(InputError, match=message):
        executor()


def train(project, home: Path, **environment: str) -> tuple[dict[str, str], list[str]]:
    """Digests of the blocks that one executor makes, and what it said about the steps."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        cwd=project.root,
        env=project.environment | {"MEMORY_ASSETS_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    blocks = (home / "artifacts" / "shadow-models").glob("*")
    said = json.loads(done.stdout.splitlines()[-1])
    return {path.name: digest_file(path) for path in blocks}, said


@pytest.mark.slow
@pytest.mark.xdist_group("end to end")
def test_processes_do_not_change_a_bit(project, tmp_path: Path) -> None:
    here, _ = train(project, tmp_path / "here")
    there, said = train(project, tmp_path / "there", **{SETTING: "multiprocess"})
    assert here == there
    assert len(here) == 2
    assert sum("Launching subprocess" in line for line in said) == 2, said


@pytest.fixture
def cluster() -> Iterator[str]:
    """A Ray cluster on this machine; its address."""
    pytest.importorskip("dagster_ray")
    ray = pytest.importorskip("ray")
    context = ray.init(num_cpus=2, include_dashboard=True, dashboard_port=0, log_to_driver=False)
    try:
        yield f"http://{context.dashboard_url}"
    finally:
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.xdist_group("end to end")
def test_blocks_run_in_ray_workers(project, cluster: str, tmp_path: Path) -> None:
    from ray.job_submission import JobStatus, JobSubmissionClient

    here, _ = train(project, tmp_path / "here")
    config = json.dumps({"ray": {"address": cluster, "num_cpus": 1}})
    there, said = train(project, tmp_path / "there", **{SETTING: "ray", CONFIG: config})
    assert here == there
    jobs = JobSubmissionClient(cluster).list_jobs()
    blocks = [job for job in jobs if "train_block" in (job.metadata or {}).get("dagster/op", "")]
    assert len(blocks) == 2, said
    assert {job.status for job in blocks} == {JobStatus.SUCCEEDED}
