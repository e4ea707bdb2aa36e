"""Runs of killed processes are ended; runs of others, and of the living, never."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import EngineEventData
from dagster._core.execution.api import execute_run
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from memory_assets.dagster import workers
from memory_assets.dagster.executors import executor
from memory_assets.dagster.instance import end_abandoned_runs
from memory_assets.workflows.home import find_home

pytestmark = pytest.mark.slow

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE

# Takes up a run as an audit does, says so, and lives until it is killed.
EXECUTES = """
import sys, time
import dagster as dg
from memory_assets.dagster.workers import executed_here
from memory_assets.workflows.home import find_home
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    instance.add_run_tags(sys.argv[2], executed_here(instance, sys.argv[2], find_home().root))
    print("taken up", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(folder)) as found:
        yield found


def begun(instance: dg.DagsterInstance, **tags: str) -> str:
    """A run in progress, of anybody."""
    return create_run_for_test(instance, status=STARTED, tags=tags).run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def _execute(instance: dg.DagsterInstance, run_id: str, said: Connection, end: Event) -> None:
    said.send(workers.executed_here(instance, run_id, find_home().root))
    end.wait(600)


@contextmanager
def executing(instance: dg.DagsterInstance, run_id: str) -> Iterator[Callable[[], None]]:
    """Another process that executes a run, until it is killed; yields what ends it in order."""
    forks = get_context("fork")  # a process of its own, and not ten seconds of imports
    heard, said = forks.Pipe()
    end = forks.Event()
    process = forks.Process(target=_execute, args=(instance, run_id, said, end))
    process.start()
    try:
        assert heard.poll(60)
        instance.add_run_tags(run_id, heard.recv())

        def ends() -> None:
            end.set()
            process.join(60)
            assert process.exitcode == 0

        yield ends
    finally:
        process.kill()
        process.join()


def killed(instance: dg.DagsterInstance) -> tuple[str, Path]:
    """A run whose process was killed, and the file that the process left."""
    run_id = begun(instance)
    with executing(instance, run_id):
        pass
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run_id, Path(os.environ["MEMORY_ASSETS_HOME"]) / "workers" / workers.executor_of(run)


def rewrite(path: Path, **changes: object) -> None:
    """The file as another machine, or an earlier process, would have left it."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def of_the_dead() -> int:
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", ""])
    os.waitpid(pid, 0)
    return pid


def test_a_run_of_a_killed_process_is_ended_once(instance: dg.DagsterInstance) -> None:
    run_id, path = killed(instance)
    assert path.is_file()
    assert path.stat().st_mode & 0o077 == 0
    assert end_abandoned_runs(instance, find_home().root) == 1
    assert status(instance, run_id) is FAILURE
    assert not path.exists()
    assert end_abandoned_runs(instance, find_home().root) == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", os.uname().nodename])
def test_a_run_of_others_is_never_touched(instance: dg.DagsterInstance, host: str) -> None:
    """Its process has a number that nobody has here: it lives in another container."""
    grpc = json.dumps({"host": host, "socket": "/tmp/x"})
    theirs = begun(instance, **{GRPC_INFO_TAG: grpc})
    run = instance.get_run_by_id(theirs)
    instance.report_engine_event("Started", run, EngineEventData.in_process(of_the_dead()))
    by_hand = begun(instance, **{"memory-assets/process": f"{host}:{of_the_dead()}"})
    killed(instance)  # so that there is something to end
    assert end_abandoned_runs(instance, find_home().root) == 1
    assert status(instance, theirs) is STARTED
    assert status(instance, by_hand) is STARTED


def test_a_run_of_the_living_is_left_alone_and_its_file_goes_with_it(
    instance: dg.DagsterInstance,
) -> None:
    run_id = begun(instance)
    with executing(instance, run_id) as ends:
        assert end_abandoned_runs(instance, find_home().root) == 0
        assert status(instance, run_id) is STARTED
        ends()
    assert list((Path(os.environ["MEMORY_ASSETS_HOME"]) / "workers").iterdir()) == []


def test_a_run_that_is_tried_again_is_not_the_first_one(instance: dg.DagsterInstance) -> None:
    """Dagster gives a retry the tags of the run whose process was killed."""
    run_id, _ = killed(instance)
    first = instance.get_run_by_id(run_id)
    assert first is not None
    again = begun(instance, **first.tags)
    assert end_abandoned_runs(instance, find_home().root) == 1
    assert status(instance, again) is STARTED


def test_a_run_from_another_home_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another project, or another user's, under the same name of a code location."""
    run_id, path = killed(instance)
    other = tmp_path / "other"
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(other))
    assert end_abandoned_runs(instance, find_home().root) == 0
    # Nor is a copy of the home the home.
    shutil.copytree(path.parent, other / "workers")
    assert end_abandoned_runs(instance, find_home().root) == 0
    assert status(instance, run_id) is STARTED


def _another_host(path: Path) -> None:
    rewrite(path, host="another")


def _another_instance(path: Path) -> None:
    rewrite(path, instance="/elsewhere")


def _half_written(path: Path) -> None:
    path.write_text(path.read_text()[:-9])


def _no_file(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "change", [_another_host, _another_instance, _half_written, _no_file], ids=lambda f: f.__name__
)
def test_what_is_not_known_is_left_alone(
    instance: dg.DagsterInstance, change: Callable[[Path], None]
) -> None:
    run_id, path = killed(instance)
    change(path)
    assert end_abandoned_runs(instance, find_home().root) == 0
    assert status(instance, run_id) is STARTED


def test_a_number_that_came_again_is_another_process(instance: dg.DagsterInstance) -> None:
    run_id, path = killed(instance)
    rewrite(path, pid=os.getpid())  # alive, and began at another time
    assert end_abandoned_runs(instance, find_home().root) == 1
    assert status(instance, run_id) is FAILURE


@pytest.mark.parametrize("changed", [{"boot": "another"}, {"namespace": "pid:[1]"}])
def test_after_a_restart_the_lock_says_who_is_dead(
    instance: dg.DagsterInstance, changed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the machine, or of its container: numbers of processes say nothing then."""
    run_id = begun(instance)
    with executing(instance, run_id):
        (path,) = (Path(os.environ["MEMORY_ASSETS_HOME"]) / "workers").iterdir()
        # Of a container that lives beside this one: its number is nobody's here.
        rewrite(path, pid=of_the_dead(), **changed)
        assert end_abandoned_runs(instance, find_home().root) == 0
    with monkeypatch.context() as patch:
        patch.setattr(workers, "_LOCAL", ())  # a disk that another machine may have mounted
        assert end_abandoned_runs(instance, find_home().root) == 0
    assert status(instance, run_id) is STARTED
    assert end_abandoned_runs(instance, find_home().root) == 1
    assert status(instance, run_id) is FAILURE


@pytest.mark.parametrize("finished", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED])
def test_a_run_that_finishes_in_between_keeps_its_result(
    instance: dg.DagsterInstance, finished: dg.DagsterRunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, _ = killed(instance)
    seen = list(instance.get_runs())
    event = {
        dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.PIPELINE_SUCCESS,
        dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.PIPELINE_CANCELED,
    }[finished]
    instance.report_dagster_event(dg.DagsterEvent(event.value, "job"), run_id)
    monkeypatch.setattr(instance, "get_runs", lambda _: seen)
    assert end_abandoned_runs(instance, find_home().root) == 0
    assert status(instance, run_id) is finished


def test_a_container_beside_this_one_is_left_alone(instance: dg.DagsterInstance) -> None:
    """In a set of process numbers of its own, with the same name of its host."""
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("this machine gives nobody a set of process numbers of its own")
    run_id = begun(instance)
    command = [sys.executable, "-c", EXECUTES, instance.root_directory, run_id]
    with subprocess.Popen(
        [*apart, "--kill-child", *command], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken up\n"
        (path,) = (Path(os.environ["MEMORY_ASSETS_HOME"]) / "workers").iterdir()
        assert json.loads(path.read_text())["namespace"] != workers._namespace()
        assert end_abandoned_runs(instance, find_home().root) == 0
        assert status(instance, run_id) is STARTED
        process.kill()


def test_any_run_of_this_project_says_which_process_executes_it(
    instance: dg.DagsterInstance,
) -> None:
    """Those that a daemon or the web server starts, too: its executor says it first."""

    @dg.op
    def step() -> None: ...

    @dg.job(executor_def=executor())
    def job() -> None:
        step()

    run = create_run_for_test(instance, job_name="job", job_snapshot=job.get_job_snapshot())
    assert execute_run(InMemoryJob(job), run, instance).success
    done = instance.get_run_by_id(run.run_id)
    assert done is not None
    (path,) = (Path(os.environ["MEMORY_ASSETS_HOME"]) / "workers").iterdir()
    assert workers.executor_of(done) == path.name
    assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_home_that_takes_no_file_holds_back_no_run(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "file" / "home"))
    assert workers.executed_here(instance, begun(instance), find_home().root) == {}
