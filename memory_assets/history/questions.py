"""Questions asked of the published history: shipped ones by name, or any SQL that only reads."""

from __future__ import annotations

import difflib
import io
import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from duckdb.sqltypes import DuckDBPyType

from memory_assets.errors import InputError
from memory_assets.history import files
from memory_assets.history.files import Files
from memory_assets.history.schema import refuse_other_schema, sql_folder
from memory_assets.results.findings import Finding, render_all

_NAME = re.compile(r"[A-Za-z][\w-]*")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PARAMETER = re.compile(r"\$(\w+): (.+)")
# What may follow a statement; in front of a limit it may not.
_END = re.compile(r";\s*(?:--[^\n]*\s*)*\Z")
# Types of DuckDB that Arrow, Python, CSV and Parquet all have.
_CARRIED = re.compile(
    r"boolean|u?(tiny|small|big|huge)int|u?integer|float|double|decimal|varchar|uuid|null|date"
    r"|timestamp.*"
)


@dataclass(frozen=True)
class Question:
    """A named question, and in `note` what a reader of its answer must know.

    `parameters` says what each one means; all of them may be left out.
    """

    name: str
    text: str
    note: str
    sql: str
    parameters: Mapping[str, str]


def _question(path: Path) -> Question:
    sql = path.read_text(encoding="utf-8")
    comments = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        comments.append(line.removeprefix("--").strip())
    documented = [_PARAMETER.fullmatch(comment) for comment in comments]
    said = [c for c, found in zip(comments, documented, strict=True) if not found]
    return Question(
        name=path.stem,
        text=said[0],
        note=" ".join(said[1:]),
        sql=sql,
        parameters={found[1]: found[2] for found in documented if found},
    )


def questions() -> list[Question]:
    """The shipped questions, one a file of `sql/queries`, by name."""
    return [_question(path) for path in sorted((sql_folder() / "queries").glob("*.sql"))]


def find(name: str) -> Question:
    """A shipped question by its name.

    Raises:
        InputError: there is none; the nearest name is told.
    """
    shipped = {question.name: question for question in questions()}
    wanted = name.replace("-", "_").lower()
    if wanted not in shipped:
        near = difflib.get_close_matches(wanted, shipped, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(shipped)}"
        raise InputError(f"no question is called {name!r}; {hint}")
    return shipped[wanted]


def ask(
    root: Path,
    name_or_sql: str,
    parameters: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> pa.Table:
    """Answer a shipped question, or any SQL statement, from the published history.

    The file is opened read only and SQL reaches neither other files nor the network. Parameters
    are bound; those that are left out are null, which the shipped questions read as their default.
    Columns of findings, as in the view `told`, come in words. `most` is how many rows are wanted,
    all without it: the first few of a million cost little.

    Raises:
        InputError: there is no history, no such question or parameter, or the SQL does not run.
    """
    named = bool(_NAME.fullmatch(name_or_sql.strip()))
    sql = find(name_or_sql.strip()).sql if named else name_or_sql
    published = Files(root).published
    if not published.exists():
        raise InputError(
            f"there is no history at {published} yet; `memory-assets audit` writes the first one"
        )
    try:
        with files.reading(published) as con:
            refuse_other_schema(con)
            bound = _bound(con, sql, parameters or {})
            answer = _carried(con.sql(_END.sub("", sql), params=bound))
            return _in_words((answer if most is None else answer.limit(most)).to_arrow_table())
    except files.STATEMENT_ERRORS as error:
        raise InputError(f"the question does not run: {files.plain_error(error)}") from None
    except files.DamagedError as damage:
        raise _blamed(published, damage) from None


def _in_words(answer: pa.Table) -> pa.Table:
    """An answer whose columns of findings, as in the view `told`, are put into words."""
    for i, column in enumerate(answer.schema):
        if not pa.types.is_list(column.type) or not pa.types.is_struct(column.type.value_type):
            continue
        if {f.name for f in column.type.value_type} != {"key", "parameters"}:
            continue
        texts = [
            None
            if found is None
            else render_all(Finding.from_json(one["key"], one["parameters"]) for one in found)
            for found in answer.column(i).to_pylist()
        ]
        answer = answer.set_column(i, column.name, pa.array(texts, pa.string()))
    return answer


def _blamed(published: Path, damage: files.DamagedError) -> InputError:
    """Whether it is the file that does not read, or the question that does not run on it."""
    try:
        files.check(published)
    except files.DamagedError:
        return InputError(
            f"{published} does not read ({damage}); run `memory-assets history rebuild`"
        )
    return InputError(f"the question does not run: {damage}")


def _bound(
    con: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    statements = con.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InputError("a question is one SELECT statement")
    wanted = statements[0].named_parameters
    unknown = sorted(set(parameters) - set(wanted))
    if unknown:
        takes = ", ".join(sorted(wanted)) or "none"
        raise InputError(f"the question takes no parameter {unknown[0]!r}; it takes {takes}")
    return {name: parameters.get(name) for name in wanted}


def _as_text(of: DuckDBPyType) -> DuckDBPyType:
    """A type with text in place of what Arrow, Python or a file has no equal of."""
    if of.id in ("list", "array", "map"):
        inner = [_as_text(child) for _, child in of.children if isinstance(child, DuckDBPyType)]
        if of.id == "map":
            return duckdb.map_type(*inner)
        # An array's length says nothing that its values do not.
        return duckdb.list_type(inner[0])
    if of.id == "struct":
        parts = {n: _as_text(c) for n, c in of.children if isinstance(c, DuckDBPyType)}
        return duckdb.struct_type(parts)
    return of if _CARRIED.fullmatch(of.id) else duckdb.sqltype("VARCHAR")


def _carried(answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """An answer that every format holds: of such types, and no two columns of one name."""
    names: list[str] = []
    for name in answer.columns:
        same = (f"{name}_{i}" for i in itertools.count(1))
        names.append(next(n for n in itertools.chain([name], same) if n not in names))
    wanted = [_as_text(of) for of in answer.types]
    if (names, wanted) == (answer.columns, answer.types):
        return answer
    columns = (
        f'CAST(#{i} AS {of}) AS "{name.replace(chr(34), chr(34) * 2)}"'
        for i, (name, of) in enumerate(zip(names, wanted, strict=True), start=1)
    )
    return answer.project(", ".join(columns))


def trend(root: Path, subject: str) -> pa.Table:
    """Every leakage figure of a subject's versions in order of release, from `leakage_trend`."""
    return ask(
        root,
        """
        SELECT * FROM leakage_trend
        WHERE subject = $subject
        ORDER BY family, attack, population, metric, version_number
        """,
        {"subject": subject},
    )


def _values(column: pa.ChunkedArray) -> list[Any]:
    """A column in Python's terms; as text where it holds a day that Python has not (infinity)."""
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):
        given = pa.table({"a": column})
        with duckdb.connect(config=files.READ_ONLY) as con:
            text = con.from_arrow(given).project("CAST(a AS VARCHAR) AS a").to_arrow_table()
        return text["a"].to_pylist()


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """An answer's rows, each a value by the name of its column."""
    columns = [_values(column) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    """A value as JSON has it: times in ISO 8601, null for numbers that are none."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def to_json(table: pa.Table) -> str:
    """A list of objects; every number with all its digits, times in ISO 8601, null for nothing.

    Null also stands for NaN and infinities, which JSON has not.
    """
    found = _plain(rows(table))
    return json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False)


def no_formula(text: str) -> str:
    """A text that a spreadsheet shows as it is: one that begins like a formula is quoted."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(value: Any) -> str | None:
    """A text, or JSON of what has parts."""
    if isinstance(value, dict | list | tuple):
        return json.dumps(_plain(value), ensure_ascii=False)
    return None if value is None else no_formula(str(value))


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column that CSV can hold, texts and what has parts as `_cell`."""
    of = column.type
    if pa.types.is_date(of) or pa.types.is_timestamp(of):
        try:
            pc.call_function("min_max", [column]).as_py()
        except (OverflowError, ValueError):
            return pa.chunked_array([[_cell(value) for value in _values(column)]], pa.string())
        return column
    if pa.types.is_nested(of) or pa.types.is_string(of) or pa.types.is_large_string(of):
        return pa.chunked_array([[_cell(value) for value in _values(column)]], pa.large_string())
    return column


def to_csv(table: pa.Table) -> str:
    """A header and a line a row; every number with all its digits, nothing for null.

    Lists and other values with parts are JSON. A text that a spreadsheet would take for a formula
    gets a quote before it: names of records and versions come from outside, and a pivot makes
    columns of them.
    """
    names = [no_formula(name) for name in table.column_names]
    flat = pa.table([_flat(column) for column in table.columns], names=names)
    target = io.BytesIO()
    pa_csv.write_csv(flat, target)
    return target.getvalue().decode()
