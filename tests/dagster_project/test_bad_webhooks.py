"""A webhook that answers anything, and a damaged notice, hold back nothing and leak nothing.

The server is a plain socket: what a library's server sends is always HTTP.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from memory_assets.dagster.notifications import Notice, Settings, post, put_aside, read_settings
from memory_assets.dagster.sensors.notices import notices_sensor
from memory_assets.errors import InputError
from memory_assets.workflows.home import Home

GATE = Notice("failed gate", "digits", "v2", "fail: too much", "gate:1")
SECRET = "hidden-token"
Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that answers every connection with these bytes; returns its address."""
    listening: list[socket.socket] = []

    def start(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def run() -> None:
            while True:
                try:
                    con, _ = server.accept()
                except OSError:
                    return
                with con:
                    con.recv(65536)
                    con.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"

    yield start
    for server in listening:
        server.close()


GARBAGE = (
    b"",
    b"\x00\xff garbage\r\n",
    b"HTTP/1.1 \r\n\r\n",
    b"HTTP/1.1 abc nonsense\r\n\r\n",
    b"HTTP/1.1 99999 x\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n",
    b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: http://[\r\n\r\n",
    b"HTTP/1.1 307 Moved\r\nLocation: file:///etc/passwd\r\n\r\n",
    b"HTTP/1.1 500 \x1b[31m\r\n\r\n",
)


@pytest.mark.parametrize("answer", GARBAGE)
def test_whatever_answers_is_logged_without_the_address(serve: Serve, caplog, answer) -> None:
    assert not post(GATE, Settings(webhook=serve(answer)))
    assert "webhook not reached" in caplog.text
    assert SECRET not in caplog.text


def test_an_address_that_no_request_can_have_is_logged_without_it(caplog) -> None:
    for url in (f"http://127.0.0.1:port/{SECRET}", f"http://[::1/{SECRET}", f"http:///{SECRET}"):
        settings = Settings().model_copy(update={"webhook": url})
        assert not post(GATE, settings)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"http://h/{SECRET} x",
        f"http://h/{SECRET}\n",
        f"http://[{SECRET}",
        f"https://{SECRET}:\u2100@h/",
        f"ftp://{SECRET}",
    ],
)
def test_a_wrong_address_is_refused_without_it(tmp_path, monkeypatch, url: str) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_WEBHOOK", url)
    with pytest.raises(InputError, match=r"webhook: .*expected an address") as refused:
        read_settings(tmp_path)
    assert SECRET not in str(refused.value)


def test_the_sensor_remembers_what_it_could_not_send(serve: Serve, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path))
    monkeypatch.setenv("MEMORY_ASSETS_WEBHOOK", serve(b"garbage"))
    put_aside(GATE, tmp_path)
    home = {"home": Home(tmp_path)}
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, cursor=None, resources=home)
        notices_sensor(tmp_path)(context)
    (waiting,) = json.loads(context.cursor or "")["waiting"]
    assert waiting == {"notice": GATE.as_dict(), "attempts": 1}
    assert list((tmp_path / "notices").iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[1]", b'{"event": "failed gate"}', b"[" * 9000, b'{"event": 1}']
)
def test_a_damaged_notice_holds_back_no_other(tmp_path, monkeypatch, caplog, content) -> None:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path))
    put_aside(GATE, tmp_path)
    home = {"home": Home(tmp_path)}
    (tmp_path / "notices" / "0.json").write_bytes(content)
    (tmp_path / "notices" / "1.json").mkdir()
    cursor = None
    for _ in range(2):
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance, cursor=cursor, resources=home)
            notices_sensor(tmp_path)(context)
        cursor = context.cursor
    assert json.loads(cursor or "")["waiting"] == []
    left = sorted(path.name for path in (tmp_path / "notices").iterdir())
    assert left == ["0.damaged", "1.damaged"]
    assert caplog.text.count("not a notice") == 2
