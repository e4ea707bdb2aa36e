"""memory-assets ...: the same graph in one process, and the questions asked of its history."""

from __future__ import annotations

import csv
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dagster_project.commands import forecasts, money, query, register
from dagster_project.commands.canaries import canaries
from dagster_project.commands.new import new
from dagster_project.commands.purge import purge
from dagster_project.failures import StepFailed
from memory_assets.artifacts import home
from memory_assets.disk import explain
from memory_assets.errors import InputError, place_of, printable
from memory_assets.history.bundle import AuditBundle

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Audit what a model memorized and what it generalized.",
)
_err = Console(stderr=True)
_NOTICES = 8
_LOG_SECONDS = 10  # between two lines on where an audit is, where nobody watches it live
_DEBUG = "MEMORY_ASSETS_DEBUG"
_WHOLE_LINES = 10_000  # characters: wider than any table


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


class Lang(StrEnum):
    en = "en"
    ja = "ja"


def project_root() -> Path:
    """The project whose `dagster_project/defs` is meant: here, or where the package stands."""
    here = Path.cwd()
    return here if (here / "dagster_project" / "defs").is_dir() else Path(__file__).parents[1]


def _one_line_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Whatever the user can put right is one line on standard error, and exit code 2."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except InputError as error:
            print(f"memory-assets: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except StepFailed as error:
            print(f"memory-assets: {error}", file=sys.stderr)
            raise typer.Exit(3) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if os.environ.get(_DEBUG):
                raise
            if (explained := explain(error, home())) is not None:
                print(f"memory-assets: {explained}", file=sys.stderr)
                raise typer.Exit(2) from None
            print(
                f"memory-assets: a fault of this program or machine: {place_of(error)}; "
                f"its text could quote records, {_DEBUG}=1 shows it",
                file=sys.stderr,
            )
            raise typer.Exit(3) from None

    return wrapped


def _out() -> Console:
    """Standard output. What reads it through a pipe has no width, so nothing is wrapped there."""
    return Console() if sys.stdout.isatty() else Console(width=_WHOLE_LINES)


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


def _say(text: str) -> None:
    """One line that may hold names from outside: no markup, no escape sequence acts."""
    _out().print(printable(text), markup=False, highlight=False)


def _print_table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    """A table, or a line a field where the terminal is too narrow to keep its words whole."""
    console = _out()
    title = escape(printable(title))
    table = Table(title=title, title_justify="left", header_style="bold")
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        table.add_column(_cell(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    whole_words = console.measure(table, options=console.options.update(width=_WHOLE_LINES)).minimum
    if whole_words <= console.width:
        console.print(table)
        return
    console.print(title)
    for row in rows:
        fields = Table.grid(padding=(0, 2))
        for name, value in zip(columns, row, strict=True):
            fields.add_row(f"[bold]{_cell(name)}[/bold]", _cell(value))
        console.print(fields, "")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else escape(printable(str(value)))


def _headline(bundle: AuditBundle) -> str:
    """The strongest attack at the smallest false positive rate that the sample resolves."""
    from memory_assets.reports.findings import headline
    from memory_assets.reports.inputs import ReportInput

    top = headline(ReportInput(bundle))
    if top is None:
        return "not resolved"
    e = top.estimate
    return f"{top.name}: {top.metric} {e.value:.3f} ({e.ci_low:.3f} to {e.ci_high:.3f}, n = {e.n})"


@app.command()
@_one_line_errors
def audit(
    subjects: Annotated[
        list[str] | None, typer.Argument(help="Subjects to audit; all without any.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Audit this version only.")] = None,
) -> None:
    """Audit every version of these models; what exists is reused, nothing is trained twice.

    A file that cannot be a version holds back no other; it is named, and the exit code is 2.
    """
    from dagster_project.subjects import choose, read_subjects

    root = project_root()
    chosen = choose(read_subjects(root), subjects or [])
    with _progress() as progress:
        progress("loading the lineage graph")
        from dagster_project.auditing import run_audits

        done = run_audits(chosen, root, version, progress)
    rows: list[list[object]] = [
        [a.subject, a.version, a.bundle.audit.verdict, a.how, _headline(a.bundle)]
        for a in (*done.audits, *done.options)
    ]
    _print_table("Audits", ["subject", "version", "verdict", "audit", "strongest attack"], rows)
    for a in (*done.audits, *done.options):
        _say(f"{a.subject} {a.version}: {a.bundle.audit.reason}")
        for line in a.notices[:_NOTICES]:
            _say(f"  note: {line}")
        if (more := len(a.notices) - _NOTICES) > 0:
            _say(f"  and {more} notes more, at the asset {a.subject}/leakage")
    _out().print(
        f"Shadow models: {done.blocks_trained} blocks trained, {done.blocks_reused} reused. "
        f"History: {done.audits_added} audits added."
    )
    for last in done.audits[-1:]:
        quoted = _cell(shlex.quote(last.version))
        _out().print(
            f"Next: memory-assets report {last.subject} --version {quoted}   (the page to read)\n"
            "      memory-assets query leakage-by-version   (the numbers)\n"
            "      memory-assets ui   (the lineage)"
        )
    for line in done.wrong[:_NOTICES]:
        print(f"memory-assets: {printable(line)}", file=sys.stderr)
    if done.wrong:
        raise typer.Exit(2)


@app.command()
@_one_line_errors
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
    """For CI: exit 0 when the gate passes, 1 when it fails, is inconclusive or has no verdict."""
    from dagster_project.gating import decide
    from memory_assets.history.questions import no_formula

    decision = decide(project_root(), subject, version)
    if output is Format.json:
        print(json.dumps(decision.as_dict(), ensure_ascii=False, indent=2))
    elif output is Format.csv:
        fields = decision.as_dict()
        print(",".join(fields))
        csv.writer(sys.stdout).writerow(no_formula(str(value)) for value in fields.values())
    else:
        who = _cell(f"{decision.subject} {decision.version}")
        _out().print(f"{who}: [bold]{decision.verdict}[/bold]")
        _say(decision.reason)
        for worse in decision.regressions:
            before, now = _cell(worse["previous_value"]), _cell(worse["value"])
            figure = f"{worse['name']} {worse['metric']}"
            _say(f"worse than {worse['previous_version']}: {figure} {before} -> {now}")
    passed = decision.verdict == "pass"
    if not (passed or (allow_inconclusive and decision.verdict == "inconclusive")):
        raise typer.Exit(1)


@app.command()
@_one_line_errors
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
    from dagster_project.releases import audit_of, newest_release

    newest = version is None
    version = version or newest_release(project_root(), subject)
    if newest and audit_of(subject, version) is None:
        raise InputError(
            f"report {subject} {version}: the newest version, never audited; "
            f"run memory-assets audit {subject}"
        )
    folder = home() / "reports" / subject / version
    page = folder / f"{lang.value}.html"
    within = folder.parent.parent == home() / "reports" and ".." not in (subject, version)
    if not within or not page.is_file():
        raise InputError(
            f"report {subject} {version}: none at {page}; run "
            + shlex.join(["memory-assets", "audit", subject])
        )
    if verify:
        money.verify_report(page)
        return
    if pdf:
        from memory_assets.reports.pdf import write_pdf

        page = write_pdf(page)
    print(page)


@app.command()
@_one_line_errors
def doctor() -> None:
    """Check this machine and project, and say what to do about what is missing."""
    from dagster_project.doctor import examine

    findings = examine(project_root())
    rows: list[list[object]] = [[f.state, f.subject, f.detail] for f in findings]
    _print_table("Doctor", ["state", "what", "detail"], rows)
    if any(f.state == "bad" for f in findings):
        raise typer.Exit(1)


@app.command()
@_one_line_errors
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Open the lineage graph on 127.0.0.1, with the daemon that re-audits what changes."""
    from dagster_project import pages
    from dagster_project.guard import served_names
    from dagster_project.instance import open_instance, run_services
    from memory_assets.history.store import History

    root = project_root()
    served_names()  # an error in them is one line here, and not a server that ended by itself
    open_instance().dispose()
    History(home()).upgrade()
    os.environ.setdefault("MEMORY_ASSETS_HOME", str(home()))
    os.chdir(root)
    with pages.pages(home(), port + 1) as address:
        if address is not None:
            os.environ.setdefault(pages.ADDRESS, address)
        _out().print(f"Dagster on http://127.0.0.1:{port} - stop it with Ctrl-C")
        _out().print(f"Reports on {address or 'no port: ' + str(port + 1) + ' is taken'}")
        raise typer.Exit(run_services(port))


app.command()(_one_line_errors(new))
app.command()(_one_line_errors(canaries))
app.command()(_one_line_errors(purge))


query.register(app, _one_line_errors, _print_table)
register.register(app, _one_line_errors, project_root)
money.register(app, _one_line_errors, _print_table, project_root)
forecasts.register(app, _one_line_errors, _print_table)


if __name__ == "__main__":
    app()
