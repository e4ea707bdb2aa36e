"""Whatever type an answer has, every format holds it: no value that SQL can make is a fault."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.history.store import History

pytestmark = pytest.mark.slow

ODD = {
    "[1, 2]": ([1, 2], "[1, 2]"),
    "[[{'a': '=1'}]]": ([[{"a": "=1"}]], '[[{"a": "=1"}]]'),
    "{'a': 1, 'b': [date '2024-01-02']}": (
        {"a": 1, "b": ["2024-01-02"]},
        '{"a": 1, "b": ["2024-01-02"]}',
    ),
    "array_value(1, 2)": ([1, 2], "[1, 2]"),
    "map {'a': 1}": ([["a", 1]], '[["a", 1]]'),
    "union_value(k := 1)": ("1", "1"),
    "interval '-3 days'": ("-3 days", "'-3 days"),
    "[interval 3 days]": (["3 days"], '["3 days"]'),
    "'101'::bit": ("101", "101"),
    "'\\xff'::blob": ("\\xFF", "\\xFF"),
    "{'a b': '101'::bit}": ({"a b": "101"}, '{"a b": "101"}'),
    "123::bignum": ("123", "123"),
    "'=1'::enum('=1')": ("=1", "'=1"),
    "'24:00'::time": ("24:00:00", "24:00:00"),
    "'infinity'::date": ("infinity", "infinity"),
    "'-infinity'::timestamp": ("-infinity", "'-infinity"),
    "'infinity'::timestamptz": ("infinity", "infinity"),
    "['infinity'::date]": ("[infinity]", "[infinity]"),
    "date '20240-01-01'": ("20240-01-01", "20240-01-01"),
    "timestamp_ns '2024-01-01 00:00:00.5'": (
        "2024-01-01T00:00:00.500000",
        "2024-01-01 00:00:00.500000000",
    ),
    "'nan'::float": (None, "nan"),
    "'-infinity'::double": (None, "-inf"),
    "['nan'::float, 1.5]": ([None, 1.5], "[null, 1.5]"),
    "{'a': {'b': 'infinity'::double}}": ({"a": {"b": None}}, '{"a": {"b": null}}'),
    "null": (None, ""),
    "true": (True, "true"),
    "1.50::decimal(9, 2)": ("1.50", "1.50"),
    "1::hugeint": ("1", "1"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("home")
    History(made).append_all([])
    return made


def no_constant(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


@pytest.mark.parametrize("value", ODD)
def test_every_format_holds_a_value_of_any_type(home: Path, monkeypatch, value: str) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(home))
    target = home / "answer"

    def asked(form: str, *more: str) -> str:
        result = CliRunner().invoke(
            app, ["query", f'select {value} as "a"', "--format", form, *more]
        )
        assert result.exit_code == 0, (form, result.output, result.exception)
        return result.stdout

    as_json, as_csv = ODD[value]
    assert json.loads(asked("json"), parse_constant=no_constant) == [{"a": as_json}]
    assert list(csv.reader(io.StringIO(asked("csv")))) == [["a"], [as_csv] if as_csv else []]
    assert "a" in asked("table")
    asked("parquet", "--to", str(target))
    assert parquet.read_table(target).num_rows == 1


def test_a_column_called_like_a_formula_is_quoted(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(home))
    result = CliRunner().invoke(app, ["query", 'select 2 as "=1+1"', "--format", "csv"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == '"\'=1+1"'


def test_columns_of_one_name_are_both_shown(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(home))
    for form in ("table", "json", "csv"):
        sql = "select [7] as a, interval 8 days as a, 9 as a_1"
        result = CliRunner().invoke(app, ["query", sql, "--format", form])
        assert result.exit_code == 0, (form, result.output, result.exception)
        assert "7" in result.stdout
        assert "8 days" in result.stdout
