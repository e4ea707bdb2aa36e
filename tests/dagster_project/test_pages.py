"""Where links of the lineage lead: reports and answers, on this machine and under no other name."""

from __future__ import annotations

import html
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_assets.dagster.guard import NAMES
from memory_assets.dagster.pages import ADDRESS, pages, question_url, report_url
from memory_assets.history.store import History

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    reports = tmp_path / "home" / "reports" / "digits" / "v 1"
    reports.mkdir(parents=True)
    (reports / "en.html").write_text("<p>a report</p>")
    (tmp_path / "home" / "secret.txt").write_text("not a report")
    History(tmp_path / "home").append_all([])
    History(tmp_path / "home").register_subject("digits", "team:<b>", 30, ["v1"])
    return tmp_path / "home"


@pytest.fixture
def server(home: Path, monkeypatch) -> Iterator[str]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with pages(home, port) as address:
        assert address is not None
        monkeypatch.setenv(ADDRESS, address)
        yield address


def get(url: str, host: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_report_is_served_at_the_address_that_the_lineage_links_to(server: str, home: Path):
    url = report_url(home / "reports" / "digits" / "v 1" / "en.html", home / "reports")
    assert url == f"{server}/reports/digits/v%201/en.html"
    assert get(url) == (200, "<p>a report</p>")


def test_a_question_is_answered_with_its_sql(server: str):  # noqa: ARG001
    status, page = get(question_url("audits_due", subject="digits"))
    assert status == 200
    assert "never audited" in page
    assert "team:&lt;b&gt;" in page
    assert "FROM audits_due" in page
    assert "memory-assets query audits_due --param subject=digits" in page
    named = html.unescape(get(question_url("audits_due", subject="a b; rm -r ~"))[1])
    assert "query audits_due --param 'subject=a b; rm -r ~'" in named
    assert "No rows." in get(question_url("audits_due", subject="other"))[1]


@pytest.mark.parametrize(
    "path",
    [
        "/reports/../secret.txt",
        "/reports/%2e%2e/secret.txt",
        "/reports/digits/",
        "/questions/drop",
        "/questions/verdicts?other=1",
        "/questions/SELECT%201",
    ],
)
def test_nothing_else_is_served(server: str, path: str):
    status, page = get(server + path)
    assert status == 404
    assert "not a report" not in page


def test_another_name_for_this_machine_is_refused(server: str):
    assert get(f"{server}/reports/digits/v%201/en.html", host="evil.example")[0] == 403


def test_a_name_that_a_proxy_hands_on_is_not(home: Path, monkeypatch):
    monkeypatch.setenv(NAMES, "audits.example.com")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with pages(home, port) as address:
        url = f"{address}/reports/digits/v%201/en.html"
        assert get(url, host="audits.example.com") == (200, "<p>a report</p>")


def test_a_taken_port_stops_nothing(home: Path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        with pages(home, s.getsockname()[1]) as address:
            assert address is None
