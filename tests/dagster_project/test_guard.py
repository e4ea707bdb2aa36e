"""A page from elsewhere starts no run: Dagster's own web server behind the guard."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import dagster as dg
import pytest
import yaml
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from memory_assets.cli.main import app
from memory_assets.dagster import web_server
from memory_assets.dagster.guard import NAMES, refusal, served_names

HOST = "127.0.0.1:3000"
PAGE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def said(path: str = "/", method: str = "GET", kind: str = "http", **headers: str) -> str | None:
    given = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"type": kind, "method": method, "path": path}
    scope["headers"] = [(k.encode(), v.encode()) for k, v in given.items()]
    return refusal(scope, served_names())


@pytest.mark.parametrize(
    "host", [HOST, "localhost:3000", "LOCALHOST", "[::1]:3000", "127.0.0.1", "audits.example.com"]
)
def test_its_own_names_are_served(host: str, monkeypatch) -> None:
    monkeypatch.setenv(NAMES, " audits.example.com, Other.example.com")
    assert said(host=host) is None
    assert said(host=host, origin=f"http://{host}", method="POST") is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "me@127.0.0.1", "127.0.0.1:x", "", "audits.example"],
)
def test_a_foreign_name_is_refused(host: str) -> None:
    assert NAMES in str(said(host=host))


@pytest.mark.parametrize("entry", ["https://a.example", "a.example:3000", "*", "a b", "[::1]"])
def test_a_name_that_is_none_is_one_line(entry: str, monkeypatch) -> None:
    monkeypatch.setenv(NAMES, f"a.example,{entry}")
    result = CliRunner().invoke(app, ["ui"])
    assert result.exit_code == 2
    assert NAMES in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},  # no browser
        {"origin": "http://127.0.0.1:3000"},
        {"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:3000"},
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_its_own_pages_may_ask(kind: str, headers: dict[str, str]) -> None:
    assert said("/graphql", "POST", kind, **headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8888"},  # another server of this machine
        {"origin": "http://127.0.0.1:3000.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_page_from_elsewhere_may_not(kind: str, headers: dict[str, str]) -> None:
    assert said("/graphql", "POST", kind, **headers) is not None
    assert said("/", "GET", kind, **headers) is not None


def test_a_link_from_elsewhere_opens_a_page_and_asks_nothing() -> None:
    visit = {name.replace("-", "_"): value for name, value in PAGE.items()}
    assert said("/runs/1", sec_fetch_site="cross-site", **visit) is None
    assert said("/graphql", sec_fetch_site="cross-site", **visit) is not None
    assert said("/", sec_fetch_site="cross-site", **(visit | {"sec_fetch_dest": "iframe"}))
    assert said("/", "POST", sec_fetch_site="cross-site", **visit) is not None
    # A question in the address: a browser that says not where it comes from asks none.
    assert said("/graphql/", "GET") == "ask by POST"
    assert said("/graphql", "GET", sec_fetch_site="none") is None


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[int]:
    """Dagster's web server as `memory-assets ui` serves it, on an empty project; its port."""
    import uvicorn

    folder = tmp_path_factory.mktemp("web")
    (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": []}))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    servers: list[uvicorn.Server] = []

    def run(app: object, **options: object) -> None:
        servers.append(uvicorn.Server(uvicorn.Config(app, **options)))  # type: ignore[arg-type]
        servers[0].run()

    patch = pytest.MonkeyPatch()
    patch.setattr(web_server.uvicorn, "run", run)
    patch.delenv(NAMES, raising=False)
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        target = web_server.WorkspaceFileTarget([str(folder / "workspace.yaml")])
        with web_server.WorkspaceProcessContext(instance, workspace_load_target=target) as context:
            thread = threading.Thread(target=web_server.serve, args=(context, port), daemon=True)
            thread.start()
            while not (servers and servers[0].started):
                assert thread.is_alive()
                time.sleep(0.05)
            yield port
            servers[0].should_exit = True
            thread.join(10)
    patch.undo()


MUTATION = "mutation { setNuxSeen }"


def ask(port: int, method: str, address: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = f'{{"query": "{MUTATION}"}}' if method == "POST" else None
    connection.request(method, address, body, {"content-type": "application/json"} | named)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_dagsters_server_does_what_its_own_pages_ask_only(server: int) -> None:
    own = f"http://127.0.0.1:{server}"
    assert ask(server, "POST", "/graphql") == (200, '{"data":{"setNuxSeen":true}}')
    assert ask(server, "POST", "/graphql", origin=own)[0] == 200
    assert ask(server, "POST", "/graphql", origin="http://evil.example")[0] == 403
    assert ask(server, "POST", "/graphql", host="evil.example")[0] == 403
    asked = f"/graphql?query={MUTATION.replace(' ', '%20')}"
    assert ask(server, "GET", asked, sec_fetch_site="cross-site", **PAGE)[0] == 403
    assert ask(server, "GET", asked)[0] == 403
    status, page = ask(server, "GET", "/runs", sec_fetch_site="cross-site", **PAGE)
    assert status == 200
    assert "<html" in page


def test_its_web_socket_opens_for_its_own_pages_only(server: int) -> None:
    address, protocol = f"ws://127.0.0.1:{server}/graphql", ["graphql-ws"]
    for origin in (None, f"http://127.0.0.1:{server}"):
        with connect(address, origin=origin, subprotocols=protocol) as socket_:  # type: ignore[arg-type]
            socket_.send('{"type": "connection_init"}')
            assert "connection_ack" in str(socket_.recv(timeout=30))
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin="http://evil.example", subprotocols=protocol)  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
