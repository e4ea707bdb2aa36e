"""memory-assets query: questions asked of the history, as table, JSON, CSV or Parquet."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memory_assets.cli.common import opened_home, print_table
from memory_assets.errors import InputError
from memory_assets.store.disk import write_private

if TYPE_CHECKING:
    from memory_assets.history.questions import Question

_SHOWN = 1000
_INDENT = " " * 4
_OWN_OPTIONS = ("subject", "version")
_HOW = "Ask one with memory-assets query NAME [--subject S] [--version V] [--param name=value]."


class Output(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"


def _given(pairs: list[str], subject: str | None, version: str | None) -> dict[str, str]:
    """Parameters by name; the two that most questions take have options of their own."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"--param {pair!r}: expected name=value")
        found[name] = value
    scoped = dict(zip(_OWN_OPTIONS, (subject, version), strict=True))
    return found | {name: value for name, value in scoped.items() if value is not None}


def _width() -> int | None:
    """Characters of a line; None in a pipe, where nothing is wrapped."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _listed(asked: Iterable[Question], width: int | None) -> str:
    """Each question with what it answers and what its parameters mean, a few lines each."""

    def lines(text: str, first: str, then: str) -> list[str]:
        if width is None:
            return [first + text]
        return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=then)

    found: list[str] = []
    for question in asked:
        found += [question.name, *lines(question.text, _INDENT, _INDENT)]
        names = {
            name: f"--{name}" if name in _OWN_OPTIONS else f"--param {name}="
            for name in question.parameters
        }
        wide = max(map(len, names.values()), default=0)
        for name, meaning in question.parameters.items():
            first = f"{_INDENT}{names[name]:<{wide}}  "
            found += lines(meaning, first, " " * len(first))
        if question.note:
            found += lines(question.note, _INDENT, _INDENT)
        found.append("")
    return "\n".join([*found, *lines(_HOW, "", "")])


def _refuse_no_file(target: Path) -> None:
    """Raise InputError, before anything is asked, where no file can be put."""
    if not target.parent.is_dir():
        raise InputError(f"--to {target}: no folder {target.parent}; make it, or name another one")
    if target.exists() and not target.is_file():
        raise InputError(f"--to {target}: not a file; name a file that may be written")


def _write(content: bytes, target: Path) -> None:
    """Put an answer where it was asked for, whole or not at all, for its owner's eyes."""
    try:
        write_private(target.resolve(), content)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "it cannot be written"
        raise InputError(f"--to {target}: {reason}; name another file") from None


def _as_parquet(answer: object) -> bytes:
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(answer, sink)
    return sink.getvalue()


def query(
    question: Annotated[
        str | None, typer.Argument(help="A named question, or SQL; without it, the list.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only this subject.")] = None,
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A parameter of the question, name=value.")
    ] = None,
    output: Annotated[Output, typer.Option("--format", help="How to print it.")] = Output.table,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write JSON, CSV or Parquet to this file.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Most rows; a table shows {_SHOWN:,}, files hold all."),
    ] = None,
) -> None:
    """Ask the history: a named question of an auditor, or any SQL, read only."""
    from memory_assets.history import questions

    if question is None:
        print(_listed(questions.questions(), _width()))
        return
    if to is not None and output is Output.table:
        raise InputError("--to: expected --format json, csv or parquet with it")
    if to is not None:
        _refuse_no_file(to)
    elif output is Output.parquet and sys.stdout.isatty():
        raise InputError("--format parquet: not for a terminal; give --to FILE, or pipe it on")
    most = limit or (_SHOWN if output is Output.table else None)
    given = _given(param or [], subject, version)
    # One more than is shown tells whether there are more.
    answer = questions.ask(opened_home().root, question, given, most and most + 1)
    more, answer = most is not None and answer.num_rows > most, answer.slice(0, most)
    if output is Output.table:
        found = [list(row.values()) for row in questions.rows(answer)]
        print_table(question, answer.column_names, found)
        if more:
            print(f"The first {most:,} rows; --limit N or --format csv for more of them.")
        return
    if output is Output.parquet:
        content = _as_parquet(answer)
    elif output is Output.json:
        content = (questions.to_json(answer) + "\n").encode()
    else:
        content = questions.to_csv(answer).encode()
    if to is not None:
        _write(content, to)
    elif output is Output.parquet:
        sys.stdout.buffer.write(content)
    else:
        print(content.decode(), end="")
