"""Notices reach a webhook once, are sent again until they are taken, and block nothing."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest

from memory_assets.dagster.notifications import Notice, post, read_settings
from memory_assets.dagster.sensors.notices import failures_sensor, notices_sensor
from memory_assets.errors import InputError
from memory_assets.history.store import History
from memory_assets.results.findings import legacy
from memory_assets.workflows.home import find_home

sys.path.append(str(Path(__file__).parents[1] / "history"))
from history_bundles import bundle, measured, rate, written

pytestmark = pytest.mark.slow

GATE = Notice("failed gate", "digits", "v2", "fail: too much", "gate:1")


class Webhook:
    """A local server that keeps what it is sent; it refuses the first `refuse` posts."""

    def __init__(self) -> None:
        self.received: list[dict] = []
        self.refuse = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = outer.refuse > 0
                outer.refuse -= refused
                if not refused:
                    outer.received.append(json.loads(body))
                self.send_response(503 if refused else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?token=hidden"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def webhook(monkeypatch) -> Iterator[Webhook]:
    made = Webhook()
    monkeypatch.setenv("MEMORY_ASSETS_WEBHOOK", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def audited(home: Path, version: str, day: float, auc: float, verdict: str = "fail") -> None:
    made = bundle(version=version, day=day, measurements=(measured("auc", rate(auc)),))
    made = replace(made, audit=replace(made.audit, verdict=verdict, findings=legacy("too much")))
    History(home).append_all([written(home / "bundles", made)])


class Looks:
    """The sensor, evaluated again and again with its cursor, as the daemon does."""

    def __init__(self, root: Path) -> None:
        self.sensor = notices_sensor(root)
        self.cursor: str | None = None

    def __call__(self) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance, cursor=self.cursor, resources={"home": find_home()}
            )
            self.sensor(context)
            self.cursor = context.cursor


def test_a_failed_gate_and_a_regression_are_told_once(home, tmp_path, webhook):
    look = Looks(tmp_path)
    look()
    audited(home, "v1", day=1, auc=0.5, verdict="pass")
    audited(home, "v2", day=2, auc=0.9)
    look()
    look()
    told = [(n["event"], n["subject"], n["version"]) for n in webhook.received]
    assert told == [("failed gate", "digits", "v2"), ("regression", "digits", "v2")]
    assert "worse than in v1" in webhook.received[1]["text"]


def test_an_older_history_is_no_news(home, tmp_path, webhook):
    audited(home, "v1", day=1, auc=0.9)
    look = Looks(tmp_path)
    look()
    look()
    assert webhook.received == []


def test_a_due_audit_is_told_once(home, tmp_path, webhook):
    look = Looks(tmp_path)
    look()
    History(home).register_subject("digits", "team:privacy", 30)
    look()
    look()
    assert [(n["event"], n["subject"]) for n in webhook.received] == [("audit due", "digits")]


def test_what_was_refused_is_sent_again(home, tmp_path, webhook):
    look = Looks(tmp_path)
    look()
    webhook.refuse = 1
    audited(home, "v1", day=1, auc=0.9)
    look()
    assert webhook.received == []
    look()
    assert [n["event"] for n in webhook.received] == ["failed gate"]


def test_a_dead_address_blocks_nothing_and_is_not_logged(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("MEMORY_ASSETS_WEBHOOK", "http://127.0.0.1:9/hook?token=hidden")
    assert not post(GATE, read_settings(tmp_path))
    assert "webhook not reached" in caplog.text
    assert "hidden" not in caplog.text


def test_slack_gets_its_own_format(webhook, monkeypatch, tmp_path):
    monkeypatch.setenv("MEMORY_ASSETS_WEBHOOK_FORMAT", "slack")
    assert post(GATE, read_settings(tmp_path))
    assert webhook.received == [{"text": "*failed gate: digits v2*\nfail: too much"}]


def test_events_can_be_chosen_in_the_file(webhook, tmp_path):
    (tmp_path / "notifications.yaml").write_text("events: [regression]\n")
    assert post(GATE, read_settings(tmp_path))
    assert webhook.received == []


@pytest.mark.parametrize("text", ["webhook: ftp://host", "webhok: x", "[1]", "events: [other]"])
def test_a_wrong_setting_is_one_line_without_the_value(text, tmp_path):
    (tmp_path / "notifications.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_settings(tmp_path)
    assert "\n" not in str(error.value)
    assert "ftp://host" not in str(error.value)


def fail_an_audit(root: Path) -> None:
    """A run whose step raises an error that quotes a record, and the sensor that sees it."""

    @dg.op
    def breaks():
        raise ValueError("record 17 holds a secret")

    @dg.job
    def audit_job():
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = audit_job.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_audits",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=next(e for e in result.all_events if e.is_run_failure),
            resources={"home": find_home()},
        ).for_run_failure()
        failures_sensor(root)(context)


def test_a_failed_audit_names_the_step_and_no_message_of_a_stranger(home, webhook, tmp_path):  # noqa: ARG001
    fail_an_audit(tmp_path)
    assert [n["event"] for n in webhook.received] == ["failed audit"]
    assert webhook.received[0]["text"] == "breaks: ValueError"
    assert "secret" not in json.dumps(webhook.received)


def test_a_failed_audit_that_nobody_took_is_sent_again(home, webhook, tmp_path):
    webhook.refuse = 2
    fail_an_audit(tmp_path)
    assert len(list((home / "notices").iterdir())) == 1
    look = Looks(tmp_path)
    look()
    assert webhook.received == []
    look()
    look()
    assert [n["event"] for n in webhook.received] == ["failed audit"]
    assert list((home / "notices").iterdir()) == []
