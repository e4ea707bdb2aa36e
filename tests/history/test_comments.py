"""The comments of the columns name values that the code writes: analysts are sent to them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.memorization.kinds import KINDS
from memory_assets.reports.catalogue import catalogue
from memory_assets.risk.reading import load_profile
from memory_assets.risk.report import OptionResult


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root: Path = tmp_path_factory.mktemp("home")
    History(root).append_all([])
    rows = ask(
        root,
        "SELECT table_name || '.' || column_name AS at, comment FROM duckdb_columns() "
        "WHERE NOT internal AND comment IS NOT NULL",
    )
    return {row["at"]: row["comment"] for row in rows.to_pylist()}


def named(text: str) -> set[str]:
    """The words of a list, without `...` and the sentence around it."""
    return set(re.findall(r"[a-z][\w-]*", text.split(";")[0]))


def test_the_quantities_are_those_of_a_price(comments: dict[str, str]):
    known = {f.name for f in fields(OptionResult)} | {"audit_depth"}
    assert named(comments["risk_estimates.quantity"]) <= known


def test_the_options_are_those_of_a_profile(comments: dict[str, str]):
    options = {option.name for option in load_profile("healthcare-jp").options}
    examples = comments["risk_estimates.option"].split("such as")[1]
    assert named(examples) - {"or"} <= options
    assert "none for the model as it is" in comments["risk_estimates.option"]


def test_the_controls_are_those_of_an_audit(comments: dict[str, str]):
    examples = comments["controls.control"].split("e.g.")[1]
    known = {key.removeprefix("control.name.") for key in catalogue("en").texts}
    assert named(examples) - {"or"} <= known


def test_the_kinds_of_records_are_all_that_there_are(comments: dict[str, str]):
    assert comments["record_scores.kind"].startswith(", ".join(KINDS))


def test_the_page_of_the_history_names_every_table_and_view(tmp_path: Path):
    History(tmp_path).append_all([])
    rows = ask(
        tmp_path,
        "SELECT table_name AS name FROM duckdb_tables() WHERE NOT internal "
        "UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal",
    )
    page = (Path(__file__).parents[2] / "docs" / "history.md").read_text(encoding="utf-8")
    assert [name for name in rows["name"].to_pylist() if f"`{name}`" not in page] == []
