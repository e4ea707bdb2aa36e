"""Names from outside reach SQL, pages, files, Markdown, spreadsheets and terminals as names."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.dagster.components.concluding import how_it_got_here
from memory_assets.dagster.markdown import as_text
from memory_assets.errors import InputError, printable
from memory_assets.history.questions import ask, questions, to_csv, to_json
from memory_assets.history.store import Action, History
from memory_assets.models.checkpoints import list_versions
from memory_assets.records.loading import load_records
from memory_assets.records.settings import RecordsSpec
from memory_assets.reports.page import render
from memory_assets.reports.portfolio import render_portfolio
from memory_assets.results.findings import legacy

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("history", "reports")]
import report_samples
from history_bundles import bundle, scores, written

pytestmark = pytest.mark.slow

HOSTILE = (
    "'; DROP TABLE audits; --",
    '" OR 1=1 --',
    "$subject",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}",
    "&lt;b&gt;",
    "[red]text[/red]",
    "[/]",
    "\x1b[2J\x1b]0;owned\x07",
    "two\nlines\rthree",
    "\u202egnp.exe",
    "../../etc/passwd",
    "a/b\\c",
    "C:\\con",
    '=HYPERLINK("http://evil.invalid","x")',
    "+1-1|cmd",
    "@SUM(1)",
    "-2+3",
    "| a | b |",
    "![x](http://evil.invalid/x.png)",
    "%s%n{0}",
    "x" * 990,
    "日本語の名前",
)

LINKS = (
    "http://evil.invalid/x",
    "HTTPS://evil.invalid",
    "www.evil.invalid",
    "(WWW.evil.invalid)",
    "somebody@evil.invalid",
    "mailto:somebody@evil.invalid",
)


def _no_effect_in_a_terminal(text: str) -> None:
    lines = text.split("\n")
    assert not [line for line in lines if not line.isprintable()]


class Elements(HTMLParser):
    """The elements of a page and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def _inert(page: str) -> Elements:
    found = Elements(page)
    acting = {"script", "iframe", "object", "embed", "form", "link", "base", "svg", "foreignobject"}
    assert not found.names & acting
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        if name in ("href", "src", "action"):
            assert re.match(r"#|data:image/|[\w./%-]+$", value), value
    return found


PAGES = 3


@pytest.mark.parametrize("number", range(PAGES))
def test_a_page_shows_hostile_names_and_runs_none(number: int, tally) -> None:
    names = HOSTILE[number::PAGES]
    plain = report_samples.sample(n=100)
    usual = _inert(render(plain)).names
    audit = replace(
        plain.bundle.audit,
        model_version=names[0],
        findings=legacy(names[1]),
        device=names[2],
        code_version=names[3],
    )
    # The most exposed records of the page bear every name.
    table = plain.bundle.record_scores
    order = np.argsort(-np.asarray(table["memorization_low"]), kind="stable")
    ids = [f"r{i}" for i in range(table.num_rows)]
    for place, row in enumerate(order[: 2 * len(names)]):
        ids[row] = names[place // 2]
    controls = tuple(
        replace(c, findings=legacy(names[4 + i % 4])) for i, c in enumerate(plain.bundle.controls)
    )
    made = replace(
        plain.bundle,
        audit=audit,
        record_scores=table.set_column(1, "record_id", pa.array(ids)),
        controls=controls,
    )
    artifacts = {name: name for name in names}
    page = _inert(
        render(
            replace(
                plain,
                bundle=made,
                title=names[5],
                owner=names[6],
                description=names[7],
                artifacts=artifacts,
            )
        )
    )
    assert page.names <= usual
    shown = " ".join(page.text.split())
    for name in names:
        assert " ".join(name.split()) in shown
    tally("hostile: names in a page", len(names))


def test_the_page_of_all_models_too(tally) -> None:
    plain = report_samples.portfolio()
    usual = _inert(render_portfolio(plain, "en")).names
    audits = tuple(
        replace(plain.audits[i % len(plain.audits)], subject=name, model_version=name, report=None)
        for i, name in enumerate(HOSTILE)
    )
    found = _inert(render_portfolio(replace(plain, audits=audits), "en"))
    assert found.names <= usual
    shown = " ".join(found.text.split())
    assert all(" ".join(name.split()) in shown for name in HOSTILE)
    tally("hostile: names in a page", len(HOSTILE))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A history whose subjects, versions, records, reasons and actions bear hostile names."""
    root = tmp_path_factory.mktemp("home")
    folders = []
    for name in HOSTILE:
        made = bundle(subject=name, version=name)
        table = scores(made.audit.audit_id)
        ids = [f"{name}{i // 2}" for i in range(table.num_rows)]
        made = replace(
            made,
            audit=replace(made.audit, findings=legacy(name), verdict="fail"),
            record_scores=table.set_column(1, "record_id", pa.array(ids)),
        )
        folders.append(written(root / "bundles", made))
    history = History(root)
    assert history.append_all(folders) == len(HOSTILE)
    for name in HOSTILE[:4]:
        history.register_subject(name, name, 30, [name])
        history.record_action(Action(name, name, "corrective action", name, name), name)
    return root


def test_sql_takes_names_as_names(home: Path, tally) -> None:
    assert ask(home, "select count(*) as n from audits")["n"].to_pylist() == [len(HOSTILE)]
    for name in HOSTILE:
        found = ask(home, "verdicts", {"subject": name}).to_pylist()
        assert [row["subject"] for row in found] == [name]
        listed = ask(home, "select record_id from record_scores join audits using (audit_id) "
                           "where subject = $s", {"s": name})  # fmt: skip
        assert set(listed["record_id"].to_pylist()) == {f"{name}{i}" for i in range(6)}
        tally("hostile: names in SQL", 2)
    for question in questions():
        given = {p: HOSTILE[0] for p in question.parameters if p in ("subject", "version")}
        ask(home, question.name, given)
        tally("hostile: names in SQL")


def test_a_terminal_shows_names_and_obeys_none(home: Path, monkeypatch, tally) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(home))
    run = CliRunner()
    aliases = ", ".join(f'1 as "{name.replace(chr(34), chr(34) * 2)}"' for name in HOSTILE)
    asked = [["query", question.name] for question in questions()]
    asked += [["action", "list"], ["forecast", "list"], ["query", f"select {aliases}"]]
    for command in asked:
        result = run.invoke(app, command)
        assert result.exit_code == 0, (command, result.output)
        _no_effect_in_a_terminal(result.stdout)
        tally("hostile: names in a terminal")
    commands = (
        lambda name: ["gate", name],
        lambda name: ["report", name],
        lambda name: ["audit", name],
        lambda name: ["query", "verdicts", "--param", f"{name}=1"],
        lambda name: ["purge", name, "--yes"],
        lambda name: ["action", "add", "nobody", name, "--owner", name],
        lambda name: ["forecast", "judge", name, name, "--happened"],
    )
    for i, name in enumerate(HOSTILE):
        command = commands[i % len(commands)](name)
        result = run.invoke(app, command)
        assert result.exit_code == 2, (command, result.output, result.exception)
        _no_effect_in_a_terminal(result.stderr)
        assert result.stderr.startswith("memory-assets: ") or "Usage" in result.stderr
        tally("hostile: names in a terminal")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_command_to_copy_names_its_version_and_does_nothing_else(name: str, tally) -> None:
    made = bundle(subject="digits", version=name)
    told = how_it_got_here(made)["the same in a terminal"].value
    words = ["memory-assets", "query", "how_was_it_made", "--subject", "digits", "--version", name]
    assert shlex.split(str(told)) == words
    tally("hostile: names in a shell")


def test_a_spreadsheet_gets_no_formula(home: Path, tally) -> None:
    table = ask(
        home, "select subject, record_id, score from record_scores join audits using (audit_id)"
    )
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert len(rows) == table.num_rows + 1
    for subject, record, score in rows[1:]:
        assert not subject.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert not record.startswith(("=", "+", "-", "@", "\t", "\r"))
        float(score)  # a number stays one, a negative one too
    assert any(float(row[2]) < 0 for row in rows[1:])
    as_they_are = {row["subject"] for row in json.loads(to_json(table))}
    assert as_they_are == set(table["subject"].to_pylist())
    tally("hostile: names in a spreadsheet", table.num_rows)


@pytest.mark.parametrize("name", [n for n in HOSTILE if len(n) < 250])
def test_a_version_bears_a_harmless_name_or_is_refused(name: str, tmp_path: Path, tally) -> None:
    with suppress(OSError):  # some names no file can bear
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    if re.fullmatch(r"\w[\w.+@=() -]*", name):
        assert list(list_versions(tmp_path)) == [name]
    elif list(tmp_path.iterdir()):
        assert list_versions(tmp_path) == {}
        with pytest.raises(InputError, match="cannot name a version") as refused:
            list_versions(tmp_path, strict=True)
        assert str(refused.value).isprintable()
    tally("hostile: names of versions")


@pytest.mark.parametrize("name", [*HOSTILE, "..", ".", "", "UPPER", "a" * 64, "a/b", "-a"])
def test_a_subject_bears_a_plain_name(name: str, tally) -> None:
    with pytest.raises(ValidationError):
        ClassifierSubject.model_validate(
            {"subject": name, "records": {"members": "m"}, "fit": "a:b", "checkpoints": "c"}
        )
    tally("hostile: names of subjects")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_column_or_record_of_that_name_is_read_or_refused_in_one_line(
    name: str, tmp_path: Path, tally
) -> None:
    number, ids = np.arange(4.0), [f"{name}{i}" for i in range(4)]
    labels = np.array([0, 1, 0, 1])
    pq.write_table(pa.table({name: number, "label": labels, "i": ids}), tmp_path / "a.parquet")
    spec = RecordsSpec(members="m", path="a.parquet", id="i")
    assert list(load_records(spec, tmp_path).ids) == ids
    # A column of that name is there, and holds no labels or ids that an audit could use.
    for wrong in ({"label": f"{name}-"}, {"label": "none"}, {"id": f"{name}-"}):
        spec = RecordsSpec(members="m", path="a.parquet", **{"id": "i", **wrong})
        with pytest.raises(InputError) as refused:
            load_records(spec, tmp_path)
        assert str(refused.value).isprintable()
    tally("hostile: names of columns and records", 4)


ADDRESSES = (
    re.compile(r"(?:https?://|www(?=\.))[-.\w]+[^ \t\r\n]*", re.IGNORECASE | re.ASCII),
    re.compile(r"[-.\w+]+@[-\w]+(?:\.[-\w]+)+", re.ASCII),
)
"""What Dagster's page makes links of, by its library mdast-util-gfm-autolink-literal."""


@pytest.mark.parametrize("name", [*HOSTILE, *LINKS])
def test_markdown_shows_the_name(name: str, tally) -> None:
    from markdown_it import MarkdownIt

    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(
        f"| record |\n|---|\n| {as_text(name)} |"
    )
    page = Elements(html)
    assert page.names <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert " ".join(page.text.replace("\u2060", "").split()) == f"record {printable(name)}"
    # Dagster's page looks for bare addresses in what is shown, once no backslash is left in it.
    assert not [found for address in ADDRESSES for found in address.findall(page.text)]
    tally("hostile: names in Markdown")


def test_forgetting_one_subject_touches_no_other(home: Path, tally) -> None:
    # The last one here: it changes what the others read.
    name = HOSTILE[0]
    History(home).forget_records(name)
    left = ask(home, "select count(*) as n from record_scores")["n"].to_pylist()
    assert left == [12 * (len(HOSTILE) - 1)]
    assert ask(home, "select count(*) as n from audits")["n"].to_pylist() == [len(HOSTILE)]
    tally("hostile: names in SQL")
