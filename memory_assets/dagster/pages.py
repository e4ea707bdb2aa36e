"""What the lineage links to, over HTTP on this machine: reports, and questions of the history.

A browser opens no file from a page that came over HTTP, so a link in Dagster must lead to a server.
`memory-assets ui` runs this one on the port above its own. It answers on the loopback address only,
behind the same guard as Dagster's, and changes nothing.
"""

from __future__ import annotations

import logging
import os
import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from memory_assets.errors import InputError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

ADDRESS = "MEMORY_ASSETS_PAGES"
"""Where the pages are found; for a Dagster that runs elsewhere, behind a server of its owner."""

_DEFAULT = "http://127.0.0.1:3001"
_MOST_ROWS = 1000
_A_FORM = 5
"""Up to so many rows are shown a line a field: a row of fifteen columns is read downwards."""

log = logging.getLogger("memory_assets.pages")


def _address() -> str:
    return os.environ.get(ADDRESS, _DEFAULT).rstrip("/")


def report_url(page: Path, reports: Path) -> str:
    """The address of a page under the folder of all reports."""
    return f"{_address()}/reports/{quote(page.relative_to(reports).as_posix())}"


def question_url(name: str, **parameters: str) -> str:
    """The address at which a shipped question is answered from the history as it is then."""
    return f"{_address()}/questions/{name}?{urlencode(parameters)}"


def answer_page(root: Path, name: str, parameters: Mapping[str, str]) -> str:
    """A shipped question as a page: what it asks, the answer, and the SQL behind it.

    Raises:
        InputError: there is no such question or parameter, or no history.
    """
    from memory_assets.history.questions import ask, find
    from memory_assets.reports.markup import el, join
    from memory_assets.reports.page import document
    from memory_assets.reports.tables import table

    question = find(name)
    answer = ask(root, question.name, parameters, _MOST_ROWS)
    columns = answer.column_names
    rows = [["" if v is None else str(v) for v in row.values()] for row in answer.to_pylist()]
    words = 0
    if 0 < len(rows) <= _A_FORM:
        words = len(rows)
        rows = [list(line) for line in zip(columns, *rows, strict=True)]
        columns = ["Column", *("Value" if words == 1 else f"Row {i + 1}" for i in range(words))]
    shown = (
        table("answer", question.text, columns, rows, words=words) if rows else el("p", "No rows.")
    )
    given = [word for item in parameters.items() for word in ("--param", "=".join(item))]
    again = shlex.join(["memory-assets", "query", question.name, *given])
    return document(
        question.name,
        "en",
        el("header", el("p", question.name, class_="kicker"), el("h1", question.text)),
        el(
            "main",
            el("p", question.note) if question.note else None,
            shown,
            el("h2", "How to ask again"),
            el("pre", again),
            el("h2", "SQL"),
            join(el("pre", question.sql)),
        ),
    )


def application(root: Path) -> Starlette:
    """The server of one home."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import HTMLResponse, RedirectResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    from memory_assets.dagster.guard import Guard, served_names

    def start(request: Request) -> Response:
        del request
        return RedirectResponse("reports/portfolio.en.html")  # relative: a proxy may move it

    def question(request: Request) -> Response:
        try:
            page = answer_page(root, request.path_params["name"], dict(request.query_params))
        except InputError as error:
            return HTMLResponse(_refusal(str(error)), status_code=404)
        return HTMLResponse(page)

    reports = StaticFiles(directory=root / "reports", check_dir=False)
    return Starlette(
        routes=[
            Route("/", start),
            Route("/questions/{name}", question),
            Mount("/reports", reports),
        ],
        middleware=[Middleware(Guard, names=served_names())],
    )


def _refusal(text: str) -> str:
    from memory_assets.reports.markup import el
    from memory_assets.reports.page import document

    return document("Not found", "en", el("main", el("p", text)))


@contextmanager
def pages(root: Path, port: int) -> Iterator[str | None]:
    """Serve the pages of a home on 127.0.0.1 as long as the block runs; yields their address.

    None, and a line in the log, where the port is taken: an audit needs no page.
    """
    import socket

    import uvicorn

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()  # from here on who calls is served, if a moment later
        except OSError:
            log.warning("port %d is taken: links to reports will not open", port)
            yield None
            return
        server = uvicorn.Server(uvicorn.Config(application(root), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(5)
