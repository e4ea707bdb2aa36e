"""A process that has imported everything and forks one child per audit, which may be killed.

An audit of its own process spends ten times as long on imports as on the audit. Reads one JSON
request a line, and answers with one JSON message a line; what a child says of itself comes the
same way. Run in a project's folder, as `python warm.py`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import util
from pathlib import Path

IMPORTS = (
    "PIL.Image",
    "alembic.command",
    "alembic.migration",
    "dagster._core.storage.sqlite_storage",
    "great_tables",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "pydantic.dataclasses",
    "safetensors.numpy",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.decomposition",
    "sklearn.kernel_ridge",
    "sqlalchemy.dialects.sqlite",
    "torch",
    "memory_assets.dagster.auditing",
    "memory_assets.cli.main",
    "memory_assets.workflows.pricing",
    "memory_assets.history.store",
    "memory_assets.pool.trainer",
    "memory_assets.pool.query",
    "memory_assets.reports.page",
    "memory_assets.reports.plots",
    "memory_assets.reports.portfolio",
)
_CLOCK = [0.0]


def say(**message: object) -> None:
    """One line in one write: lines of several children do not mix."""
    os.write(_ANSWERS, (json.dumps(message) + "\n").encode())


def mark(phase: str) -> None:
    say(pid=os.getpid(), phase=phase)


def steps(name: str, version: str, with_report: bool = True) -> None:
    """One audit as its steps, in the order of the graph, without the graph."""
    from memory_assets.dagster.subjects import read_subjects
    from memory_assets.history.bundle import AuditBundle
    from memory_assets.history.store import History
    from memory_assets.records.prepared import Prepared
    from memory_assets.store.disk import sweep
    from memory_assets.workflows import pool_findings as findings
    from memory_assets.workflows import shadows
    from memory_assets.workflows.classifier import prepare_records
    from memory_assets.workflows.conclusion import Evidence, conclude
    from memory_assets.workflows.home import find_home
    from memory_assets.workflows.record import record_audits
    from memory_assets.workflows.released import Released
    from memory_assets.workflows.reporting import write_report

    root, home = Path.cwd(), find_home()
    store, subject = home.store, read_subjects(root)[name]
    versions = Released(home.root).of(subject, root)
    announce(History, "append_all", "append")
    announce(History, "publish", "publish")
    sweep(store.root)
    home.history.upgrade()
    with store.lock(f"audit-{name}"):
        began = datetime.now(UTC)
        mark("pool")
        prepared = Prepared.load(prepare_records(subject, root, store).path)
        plan = shadows.plan_pool(subject, root, prepared)
        for number in range(len(plan.keys)):
            shadows.train_block(subject, root, prepared, number, store)
        mark("signals")
        pool = shadows.shadow_signals(subject, root, prepared, store).path
        target, weights = shadows.target_signals(subject, root, prepared, versions, version, store)
        mark("scores")
        memorization = findings.memorization(prepared, pool, store).path
        information = findings.informativeness(prepared, pool, store).path
        attacks = shadows.attack_scores(subject, prepared, pool, target.path, store).path
        evidence = Evidence(
            version=version,
            weights=weights,
            pool_digest=plan.key,
            prepared=prepared,
            pool=pool,
            target=target.path,
            attacks=attacks,
            memorization=memorization,
            information=information,
            started_at=began,
            path=versions[version],
        )
        made = conclude(subject, evidence, store)
        record_audits(home, [subject], {name: [version]})
        if with_report:
            mark("report")
            bundle = AuditBundle.read(made.path)
            write_report(subject, store, bundle, [attacks], None, root)


def graph(*names: str) -> None:
    """One audit as `memory-assets audit` runs it: every step a step of the graph."""
    from memory_assets.dagster.auditing import run_audits
    from memory_assets.dagster.subjects import read_subjects
    from memory_assets.errors import InputError
    from memory_assets.workflows.home import find_home

    found = read_subjects(Path.cwd())
    chosen = [found[name] for name in names or found]
    done = run_audits(chosen, Path.cwd(), find_home(), None, mark)
    if done.not_done:
        raise InputError("; ".join(one.line for one in done.not_done))


def command(*arguments: str) -> None:
    """A command line."""
    from memory_assets.cli.main import app

    app(list(arguments))


def daemon(versions: int, longest: float) -> None:
    """What a daemon does (sensors, automation, runs) until so many audits stand in the history."""
    import automation_projects

    from memory_assets.dagster.instance import open_instance
    from memory_assets.dagster.subjects import read_subjects
    from memory_assets.history.questions import ask
    from memory_assets.workflows.home import find_home

    home, last = find_home(), time.monotonic() + longest
    with open_instance(home) as instance:
        stepped = automation_projects.SteppedDaemon(
            Path.cwd(),
            instance,
            read_subjects(Path.cwd()),  # pyright: ignore[reportArgumentType]
        )
        definitions, quiet = stepped.definitions, 0
        while quiet < 2:
            assert time.monotonic() < last, "still busy"
            stepped.look()
            asked = stepped.tick(definitions)
            stepped.execute(definitions, asked)
            recorded = 0
            if home.has_history:
                recorded = ask(home.root, "select count(*) as n from audits")["n"].to_pylist()[0]
            quiet = 0 if asked or recorded < versions else quiet + 1
        assert not stepped.failed, stepped.failed


def announce(owner: type, name: str, phase: str) -> None:
    """Say so when a method is entered."""
    method = getattr(owner, name)

    def announced(*given: object, **named: object) -> object:
        mark(phase)
        return method(*given, **named)

    setattr(owner, name, announced)


def set_back(seconds: float, after: str) -> None:
    """A clock that jumps back once the phase `after` has begun."""
    own, real = mark, time.time

    def jumping(phase: str) -> None:
        own(phase)
        if phase == after:
            _CLOCK[0] = -seconds

    class Shifted(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(time.time(), tz)

    globals()["mark"] = jumping
    time.time = lambda: real() + _CLOCK[0]
    for name, module in list(sys.modules.items()):
        if name.startswith("memory_assets") and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted  # pyright: ignore[reportAttributeAccessIssue]


def drop_powers() -> None:
    """Without its capabilities root is refused by the mode of a file, as anybody is."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def _child(request: dict) -> int:
    os.environ.update(request.get("environment", {}))
    out = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if request.get("largest_file"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
    if request.get("powerless"):
        drop_powers()
    if request.get("clock"):
        set_back(*request["clock"])
    import typer

    from memory_assets.cli.common import one_line_errors

    work: Callable[..., None] = globals()[request["call"]]
    try:
        # What an audit says to its user, whichever way it was started.
        one_line_errors(work)(*request["arguments"])
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            say(pid=request["wait"], ended=os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = _child(request)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                util._exit_function()  # what a process that ends in order takes away
                say(pid=os.getpid(), phase="end")
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        say(pid=pid, started=True)


if __name__ == "__main__":
    # The answers keep the pipe to themselves; what anything prints goes elsewhere.
    _ANSWERS = os.dup(1)
    os.dup2(2, 1)
    for name in IMPORTS:
        importlib.import_module(name)
    say(pid=os.getpid(), ready=True)
    serve()
