"""Dagster's web server behind a guard: `python -m memory_assets.dagster.web_server`.

`memory-assets ui` starts one. A second one, for people who only look, is started with `--read-only`
and a port of its own. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import uvicorn
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.instance import InstanceRef
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import deserialize_value
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers
from dagster_shared.ipc import interrupt_on_ipc_shutdown_message
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.cli import (
    DEFAULT_DB_STATEMENT_TIMEOUT,
    DEFAULT_POOL_MAX_OVERFLOW,
    DEFAULT_POOL_RECYCLE,
)
from dagster_webserver.version import __version__

from memory_assets.dagster.guard import Guard, served_names

_POLL_MILLISECONDS = 2000
log = logging.getLogger("dagster-webserver")


@contextlib.asynccontextmanager
async def _lifespan(_: object) -> AsyncIterator[None]:
    with contextlib.suppress(asyncio.CancelledError):  # how uvicorn ends it on an interrupt
        yield


def serve(context: WorkspaceProcessContext, port: int) -> None:
    """Serve a workspace on 127.0.0.1 until this process is interrupted."""
    app = create_app_from_workspace_process_context(
        context, "", _POLL_MILLISECONDS, lifespan=_lifespan
    )
    log.info("Serving on http://127.0.0.1:%d", port)
    uvicorn.run(Guard(app, served_names()), host="127.0.0.1", port=port, log_level="warning")


def main(arguments: list[str] | None = None) -> None:
    """The command line: what `dagster-webserver` takes, as far as it is used here."""
    parser = argparse.ArgumentParser(description="Dagster's web server, guarded, on 127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", default="workspace.yaml")
    parser.add_argument("--read-only", action="store_true", help="nobody can start anything")
    # What `memory-assets ui` tells its own.
    parser.add_argument("--instance-ref", help=argparse.SUPPRESS)
    parser.add_argument("--shutdown-pipe", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)

    configure_loggers(formatter="colored", log_level="INFO")
    setup_interrupt_handlers()
    with contextlib.ExitStack() as stack:
        if given.shutdown_pipe is not None:
            stack.enter_context(interrupt_on_ipc_shutdown_message(given.shutdown_pipe))
        known = deserialize_value(given.instance_ref, InstanceRef) if given.instance_ref else None
        instance = stack.enter_context(
            get_possibly_temporary_instance_for_cli("web_server", instance_ref=known, logger=log)
        )
        instance.optimize_for_webserver(
            DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_RECYCLE, DEFAULT_POOL_MAX_OVERFLOW
        )
        context = stack.enter_context(
            WorkspaceProcessContext(
                instance,
                version=__version__,
                read_only=given.read_only,
                workspace_load_target=WorkspaceFileTarget([given.workspace]),
                code_server_log_level="warning",
            )
        )
        serve(context, given.port)


if __name__ == "__main__":
    main()
