"""memory-assets ...: the same graph in one process, and the questions asked of its history."""

from __future__ import annotations

import csv
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from memory_assets.cli import actions, forecasts
from memory_assets.cli.canaries import canaries
from memory_assets.cli.common import (
    cell,
    one_line_errors,
    opened_home,
    out,
    print_table,
    project_root,
    say,
    say_not_done,
)
from memory_assets.cli.history import rebuild
from memory_assets.cli.new import new
from memory_assets.cli.profile import profile
from memory_assets.cli.purge import purge
from memory_assets.cli.query import query
from memory_assets.cli.register import register
from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.failures import NotDone
from memory_assets.errors import InputError, printable
from memory_assets.history.bundle import AuditBundle
from memory_assets.workflows.home import SETTING, Home, find_home
from memory_assets.workflows.released import Released

if TYPE_CHECKING:
    from memory_assets.dagster.subjects import Survey

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Audit what a model memorized and what it generalized.",
)
_err = Console(stderr=True)
_NOTICES = 8
_LOG_SECONDS = 10  # between two lines on where an audit is, where nobody watches it live


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


class Lang(StrEnum):
    en = "en"
    ja = "ja"


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """What is being done now: a line that changes, or in a log a new line now and then."""
    if not _err.is_terminal:
        yield _log_lines()
        return
    with _err.status("starting") as status:
        yield lambda text: status.update(escape(printable(text))) if text else None


def _log_lines() -> Callable[[str], None]:
    said = time.monotonic()

    def tell(text: str) -> None:
        nonlocal said
        if text and time.monotonic() - said >= _LOG_SECONDS:
            said = time.monotonic()
            print(f"... {printable(text)}", file=sys.stderr, flush=True)

    return tell


def _headline(bundle: AuditBundle) -> str:
    """The strongest attack at the smallest false positive rate that the sample resolves,
    unless a control withholds them all."""
    from memory_assets.reports.findings import attacks_withheld, headline
    from memory_assets.reports.inputs import ReportInput

    if attacks_withheld(ReportInput(bundle)):
        return "withheld: a control failed"
    top = headline(ReportInput(bundle))
    if top is None:
        return "not resolved"
    e = top.estimate
    return f"{top.name}: {top.metric} {e.value:.3f} ({e.ci_low:.3f} to {e.ci_high:.3f}, n = {e.n})"


def _say_left_out(project: Survey) -> None:
    """Name the subjects that cannot be read and that nobody asked for."""
    for one in project.unread:
        print(f"memory-assets: left out: {one.text}", file=sys.stderr)


def _plan(chosen: Sequence[AuditedSubject], root: Path, home: Home) -> None:
    """A row a gated metric: the least effect that would be seen, and whether its limit can pass;
    and what versions of another recipe will cost."""
    from memory_assets.workflows.sensitivity import own_trainings, planned

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.3g}"

    rows: list[list[object]] = []
    for subject in chosen:
        for row in planned(subject, root):
            models = row.models or "-"
            sizes = [f"{row.members:,}/{row.others:,}", models, shown(row.few), shown(row.spread)]
            can = "-" if row.limit is None else "yes" if row.can_pass else "no"
            least = shown(row.passable)
            rows.append([subject.subject, row.metric, shown(row.limit), *sizes, least, can])
    heads = ["subject", "metric", "limit", "n", "K", "sees: few", "sees: all", "can pass", "it can"]
    print_table("What an audit would see, at 80% power", heads, rows)
    released = Released(home.root)
    for subject in chosen:
        for line in own_trainings(subject, root, released.of(subject, root), home.store):
            print(f"{subject.subject}: {line}")


@app.command()
@one_line_errors
def audit(
    subjects: Annotated[
        list[str] | None, typer.Argument(help="Subjects to audit; all without any.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Audit this version only.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what the audit could see, and do nothing.")
    ] = False,
) -> None:
    """Audit every version of these models; what exists is reused, nothing is trained twice.

    What cannot be audited holds back nothing else: it is named, and the worst exit code counts.
    """
    from memory_assets.dagster.subjects import choose, survey

    root, home, names = project_root(), find_home(), subjects or []
    project = survey(root)
    # One whose file cannot be read is not audited either; where others are asked for, it is named.
    unread = [NotDone(one.folder, "", one.text) for one in project.unread]
    if not (names or project.subjects):
        say_not_done(unread)
    chosen = choose(project, names)
    if plan:
        _plan(chosen, root, home)
        return
    with _progress() as progress:
        progress("loading the lineage graph")
        from memory_assets.dagster.auditing import run_audits

        done = run_audits(chosen, root, home, version, progress)
    rows: list[list[object]] = [
        [a.subject, a.version, a.bundle.audit.verdict, a.how, _headline(a.bundle)]
        for a in (*done.audits, *done.options)
    ]
    missed = [*done.missed, *((one.subject, "") for one in unread if not names)]
    for name, about in missed:
        rows.append([name, about or "-", "not audited", "-", "-"])
    print_table("Audits", ["subject", "version", "verdict", "audit", "strongest attack"], rows)
    for a in (*done.audits, *done.options):
        say(f"{a.subject} {a.version}: {a.bundle.audit.reason}")
        for line in a.notices[:_NOTICES]:
            say(f"  note: {line}")
        if (more := len(a.notices) - _NOTICES) > 0:
            say(f"  and {more} notes more, at the asset {a.subject}/leakage")
    out().print(
        f"Shadow models: {done.blocks_trained} blocks trained, {done.blocks_reused} reused. "
        f"History: {done.audits_added} audits added."
    )
    for last in done.audits[-1:]:
        quoted = cell(shlex.quote(last.version))
        out().print(
            f"Next: memory-assets report {last.subject} --version {quoted}   (the page to read)\n"
            "      memory-assets query leakage-by-version   (the numbers)\n"
            "      memory-assets ui   (the lineage)"
        )
    if names:
        _say_left_out(project)
    say_not_done([*(() if names else unread), *done.not_done])


@app.command()
@one_line_errors
def gate(
    subject: Annotated[str, typer.Argument(help="The audited subject.")],
    version: Annotated[
        str | None, typer.Option(help="The version; the newest release without it.")
    ] = None,
    allow_inconclusive: Annotated[
        bool, typer.Option("--allow-inconclusive", help="Let an inconclusive gate pass.")
    ] = False,
    output: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
) -> None:
    """For CI: exit 0 when the gate passes, 1 when it fails, 4 when it is inconclusive, 5 when there
    is no verdict: insufficient evidence, or no audit of what is there now."""
    from memory_assets.dagster.gating import EXIT_CODES, decide
    from memory_assets.dagster.subjects import choose, survey
    from memory_assets.history.questions import no_formula

    root = project_root()
    project = survey(root)
    decision = decide(choose(project, [subject])[0], root, opened_home(), version)
    _say_left_out(project)
    if output is Format.json:
        print(json.dumps(decision.as_dict(), ensure_ascii=False, indent=2))
    elif output is Format.csv:
        fields = decision.as_dict()
        print(",".join(fields))
        csv.writer(sys.stdout).writerow(no_formula(str(value)) for value in fields.values())
    else:
        who = cell(f"{decision.subject} {decision.version}")
        out().print(f"{who}: [bold]{decision.verdict}[/bold]")
        say(decision.reason)
        for worse in decision.regressions:
            before, now = cell(worse["previous_value"]), cell(worse["value"])
            figure = f"{worse['attack']} {worse['metric']}"
            say(f"worse than {worse['previous_version']}: {figure} {before} -> {now}")
    if not (allow_inconclusive and decision.verdict == "inconclusive"):
        raise typer.Exit(EXIT_CODES[decision.verdict])


def _verify(page: Path) -> None:
    """Say whether a report still is what was written; exit 1 where it is not.

    Raises:
        InputError: the file cannot be read, or is not a report.
    """
    from memory_assets.reports.page import verify

    if verify(page):
        print(f"{page}: unchanged since it was written")
        return
    print(f"{page}: CHANGED since it was written")
    raise typer.Exit(1)


@app.command()
@one_line_errors
def report(
    subject: Annotated[str, typer.Argument(help="The audited subject.")],
    version: Annotated[
        str | None, typer.Option(help="The version; the newest release without it.")
    ] = None,
    lang: Annotated[Lang, typer.Option(help="Language of the page.")] = Lang.en,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that nobody changed it; exit 1 if so.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write it as PDF beside the page.")] = False,
) -> None:
    """Say where the report of a version is, and whether it still is what was written."""
    from memory_assets.dagster.releases import audit_of, newest_release

    home, newest = opened_home(), version is None
    version = version or newest_release(project_root(), home, subject)
    if newest and audit_of(home, subject, version) is None:
        raise InputError(
            f"report {subject} {version}: the newest version, never audited; "
            f"run memory-assets audit {subject}"
        )
    folder = home.reports / subject / version
    page = folder / f"{lang.value}.html"
    within = folder.parent.parent == home.reports and ".." not in (subject, version)
    if not within or not page.is_file():
        raise InputError(
            f"report {subject} {version}: none at {page}; run "
            + shlex.join(["memory-assets", "audit", subject])
        )
    if verify:
        _verify(page)
        return
    if pdf:
        from memory_assets.reports.pdf import write_pdf

        page = write_pdf(page)
    print(page)


@app.command()
@one_line_errors
def doctor() -> None:
    """Check this machine and project, and say what to do about what is missing."""
    from memory_assets.dagster.doctor import examine

    findings = examine(project_root(), opened_home())
    rows: list[list[object]] = [[f.state, f.subject, f.detail] for f in findings]
    print_table("Doctor", ["state", "what", "detail"], rows)
    if any(f.state == "bad" for f in findings):
        raise typer.Exit(1)


@app.command()
@one_line_errors
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Open the lineage graph on 127.0.0.1, with the daemon that re-audits what changes."""
    from memory_assets.dagster import pages
    from memory_assets.dagster.guard import served_names
    from memory_assets.dagster.instance import open_instance, run_services

    root, home = project_root(), find_home()
    served_names()  # an error in them is one line here, and not a server that ended by itself
    open_instance(home).dispose()
    home.history.upgrade()
    os.environ.setdefault(SETTING, str(home.root))
    os.chdir(root)
    with pages.pages(home.root, port + 1) as address:
        if address is not None:
            os.environ.setdefault(pages.ADDRESS, address)
        out().print(f"Dagster on http://127.0.0.1:{port} - stop it with Ctrl-C")
        out().print(f"Reports on {address or 'no port: ' + str(port + 1) + ' is taken'}")
        raise typer.Exit(run_services(port))


def _group(about: str, commands: Mapping[str, Callable[..., None]]) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=about)
    for name, command in commands.items():
        group.command(name)(one_line_errors(command))
    return group


_ACTION = {
    "add": actions.add,
    "list": actions.listed,
    "close": actions.close,
    "sign": actions.sign,
}
_HISTORY = {"rebuild": rebuild}
_FORECAST = {"list": forecasts.listed, "judge": forecasts.judge}

app.command()(one_line_errors(new))
app.command()(one_line_errors(canaries))
app.command()(one_line_errors(purge))
app.command()(one_line_errors(query))
app.command()(one_line_errors(register))
app.command()(one_line_errors(profile))
app.add_typer(_group("Corrective actions and sign-offs.", _ACTION), name="action")
app.add_typer(_group("The history's file.", _HISTORY), name="history")
app.add_typer(_group("Forecasts, and what became of them.", _FORECAST), name="forecast")
