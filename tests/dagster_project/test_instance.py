"""Whose run is it, and does its process still live?"""

from __future__ import annotations

import os
import sys
import time

import dagster as dg

from dagster_project import instance as instances
from dagster_project.instance import subjects_of


@dg.asset(key=dg.AssetKey(["tiny", "leakage"]))
def leakage() -> None: ...


def test_a_run_without_a_selection_says_by_its_plan_what_it_makes():
    """So does a job of the owner's own that names no asset when it is asked for."""
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([leakage], instance=instance)
        (run,) = instance.get_runs()
        assert done.success
        assert run.asset_selection is None or not run.asset_selection
        assert subjects_of(instance, run) == {"tiny"}
        chosen = frozenset([dg.AssetKey(["other", "dataset"])])
        assert subjects_of(instance, dg.DagsterRun("job", asset_selection=chosen)) == {"other"}


def test_a_process_is_known_by_its_id_and_by_its_age(monkeypatch):
    def is_running(pid: int, since: float) -> bool:
        return instances._is_running(pid, since)

    now = time.time()
    assert is_running(os.getpid(), now)
    assert not is_running(os.getpid(), now - 10 * 365 * 24 * 3600)
    assert not is_running(_dead(), now)

    class NoProc(type(instances.Path())):
        def is_file(self) -> bool:
            return False

    monkeypatch.setattr(instances, "Path", NoProc)
    assert is_running(os.getpid(), now - 10 * 365 * 24 * 3600)
    assert not is_running(_dead(), now)


def _dead() -> int:
    """The id of a process that is over."""
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", ""])
    os.waitpid(pid, 0)
    return pid
