"""What every command does the same way: where the project is, how it prints, how it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from memory_assets.dagster.failures import BROKEN, DEBUG, NotDone, StepFailed, said_of
from memory_assets.errors import printable
from memory_assets.workflows.home import Home, find_home

_WHOLE_LINES = 10_000  # characters: wider than any table


def project_root() -> Path:
    """The project whose `dagster_project/defs` is meant: here, or the checkout of the package.

    Beside an installed package is no project: there it is here, whether it has subjects or not yet.
    """
    here, checkout = Path.cwd(), Path(__file__).parents[2]
    projects = (here, checkout)
    return next((one for one in projects if (one / "dagster_project" / "defs").is_dir()), here)


def opened_home() -> Home:
    """The home, for a command that asks its history: an older one is brought up to date first.

    Raises:
        InputError: it cannot be.
    """
    return find_home().brought_up_to_date()


def one_line_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Whatever the user can put right is one line on standard error, and exit code 2."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            told, code = said_of(error, find_home().root)
            if code == BROKEN and not isinstance(error, StepFailed) and os.environ.get(DEBUG):
                raise
            print(f"memory-assets: {told}", file=sys.stderr)
            raise typer.Exit(code) from None

    return wrapped


def say_not_done(not_done: Iterable[NotDone]) -> None:
    """Each on a line of standard error; exits with the worst code where there is any.

    Raises:
        Exit: there is any.
    """
    worst = 0
    for one in not_done:
        print(f"memory-assets: {printable(one.line)}", file=sys.stderr)
        worst = max(worst, one.code)
    if worst:
        raise typer.Exit(worst)


def out() -> Console:
    """Standard output. What reads it through a pipe has no width, so nothing is wrapped there."""
    return Console() if sys.stdout.isatty() else Console(width=_WHOLE_LINES)


def say(text: str) -> None:
    """One line that may hold names from outside: no markup, no escape sequence acts."""
    out().print(printable(text), markup=False, highlight=False)


def cell(value: object) -> str:
    """A value as a cell: names from outside show as they are, numbers with four digits."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else escape(printable(str(value)))


def print_table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    """A table, or a line a field where the terminal is too narrow to keep its words whole."""
    console = out()
    title = escape(printable(title))
    table = Table(title=title, title_justify="left", header_style="bold")
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        table.add_column(cell(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    whole_words = console.measure(table, options=console.options.update(width=_WHOLE_LINES)).minimum
    if whole_words <= console.width:
        console.print(table)
        return
    console.print(title)
    for row in rows:
        fields = Table.grid(padding=(0, 2))
        for name, value in zip(columns, row, strict=True):
            fields.add_row(f"[bold]{cell(name)}[/bold]", cell(value))
        console.print(fields, "")
