"""Forgetting a subject in the lineage: its materializations, versions and runs with their logs."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from filelock import Timeout

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.instance import end_abandoned_runs, prepare_dagster_home, subjects_of
from memory_assets.errors import InputError
from memory_assets.models.registry import Registry, mirrors
from memory_assets.store.disk import remove, sweep
from memory_assets.workflows.home import Home
from memory_assets.workflows.purge import Belongings, purge_home

_DONE = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Purged:
    """What went and what stayed. `mixed_runs` also made assets of other subjects, and stay."""

    home: Belongings
    runs: int
    mixed_runs: int


def _runs_of(instance: dg.DagsterInstance, subject: str) -> tuple[list[str], int]:
    """Runs that made assets of this subject alone, and how many made those of others too.

    Raises:
        InputError: one of them is not over.
    """
    own: list[str] = []
    mixed = 0
    for run in instance.get_runs():
        subjects = subjects_of(instance, run) - {"portfolio"}
        if subject not in subjects:
            continue
        if run.status not in _DONE:
            raise InputError(
                f"subject {subject!r}: its audit is running (run {run.run_id[:8]}); "
                "wait for it, or stop the daemon"
            )
        if subjects == {subject}:
            own.append(run.run_id)
        else:
            mixed += 1
    return own, mixed


def _compact(folder: Path, gone: list[str]) -> None:
    """What was deleted is still in the free pages of a SQLite file: write it anew without them."""
    for run_id in gone:
        for left in folder.rglob(f"{run_id}.db*"):
            left.unlink(missing_ok=True)
    for database in folder.rglob("*.db"):
        # A daemon may hold it; the pages are then reused by and by.
        with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=5)) as con:
            con.execute("VACUUM")


def _forget(instance: dg.DagsterInstance, subject: str, runs: list[str]) -> None:
    own = [key for key in instance.all_asset_keys() if key.path[0] == subject]
    if own:
        instance.wipe_assets(own)
    name = f"{subject.replace('-', '_')}_versions"
    for version in instance.get_dynamic_partitions(name):
        instance.delete_dynamic_partition(name, version)
    for run_id in runs:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)


def _mirrors(subject: str, subjects: dict[str, AuditedSubject], home: Path) -> list[Path]:
    """The folders that versions were fetched into from a registry and that no other subject reads.

    The subject's own among them, and those that its YAML named before it was edited.
    """
    read = {
        other.checkpoints.mirrored_under(home)
        for name, other in subjects.items()
        if name != subject and isinstance(other.checkpoints, Registry)
    }
    folder = mirrors(home)
    return [path for path in folder.iterdir() if path not in read] if folder.is_dir() else []


def purge(subject: str, subjects: dict[str, AuditedSubject], home: Home) -> Purged:
    """Forget a subject in the home and in its lineage; `subjects` are those of the project.

    Raises:
        InputError: an audit of it is running, or the history cannot be read or written.
    """
    dagster_home = prepare_dagster_home(home.root)
    lock = home.store.lock(f"audit-{subject}")
    try:
        with lock.acquire(timeout=0), dg.DagsterInstance.get() as instance:
            end_abandoned_runs(instance, home.root)
            runs, mixed = _runs_of(instance, subject)
            sweep(home.root)
            found = purge_home(home, subject)
            for mirror in _mirrors(subject, subjects, home.root):
                remove(mirror)
            _forget(instance, subject, runs)
            _compact(dagster_home, runs)
    except Timeout:
        raise InputError(
            f"subject {subject!r}: another process audits it; wait for it and run again"
        ) from None
    return Purged(found, len(runs), mixed)
