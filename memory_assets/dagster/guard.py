"""Who may ask the servers of this machine: its own pages, and no page from elsewhere.

A server on 127.0.0.1 is within reach of every page in the browser beside it. Dagster's runs what
it is asked to run, whoever asks: a page elsewhere can send it a form, open a WebSocket, or point a
name of its own at 127.0.0.1 and read the answers too. A browser says in its headers where a request
comes from; they are read here. It is no login: a program on this machine says what it likes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from memory_assets.errors import InputError

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Receive, Scope, Send

NAMES = "MEMORY_ASSETS_HOSTS"
"""Names under which a proxy hands requests on to this machine, with commas between them."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d+)?")
_GRAPH = "/graphql"


def served_names() -> frozenset[str]:
    """The names under which the servers answer: those of loopback, and what `NAMES` lists.

    Raises:
        InputError: an entry that is no name of a host.
    """
    given = [name.strip().lower() for name in os.environ.get(NAMES, "").split(",")]
    for name in filter(None, given):
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{NAMES}: {name!r} is no name of a host; expected names with commas between "
                "them, without scheme, port and wildcard, such as audits.example.com"
            )
    return _LOOPBACK | set(filter(None, given))


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to a page: the page that has the link learns nothing."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def refusal(scope: Scope, names: Collection[str]) -> str | None:
    """Why a request (HTTP or WebSocket, as ASGI describes it) is not served; None where it is.

    Programs that are no browsers send neither `Origin` nor `Sec-Fetch-Site`, and are served.
    """
    from starlette.datastructures import Headers

    headers = Headers(scope=scope)
    hosts = [host.lower() for host in headers.getlist("host")]
    named = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if named is None or named[1] not in names:
        return f"this server does not answer to that name; {NAMES} lists those that it has"
    if any(o.lower().partition("://")[2] != hosts[0] for o in headers.getlist("origin")):
        return "a page from elsewhere may not ask this server"
    site = headers.get("sec-fetch-site")
    own = site in ("same-origin", "none")  # none: typed, or from a bookmark
    # Dagster answers a question in the address too, and a question may start a run.
    asks = scope["path"].rstrip("/").endswith(_GRAPH)
    if asks and scope["type"] == "http" and scope["method"] != "POST":
        return None if own else "ask by POST"
    if site is None or own or _is_visit(scope, headers):
        return None
    return "a page from elsewhere may not ask this server"


class Guard:
    """An ASGI application in front of another: what it refuses gets 403 and reaches no further."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        why = refusal(scope, self.names) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it opens: a 403
        else:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse(why, status_code=403)(scope, receive, send)
