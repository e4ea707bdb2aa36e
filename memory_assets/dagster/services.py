"""Code server, guarded web server and daemon of one project, until this process is interrupted.

It is what `dagster dev` does, and in its order; only that one cannot be told which web server to
start, and its own serves every page in the browser beside it (see `guard`).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.instance import DagsterInstance
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import serialize_value
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers
from dagster_shared.ipc import get_ipc_shutdown_pipe, send_ipc_shutdown_message

_LOOK_SECONDS = 5
_PATIENCE_SECONDS = 60
log = logging.getLogger("dagster")


@dataclass(frozen=True)
class _Service:
    """A process that ends by itself once it is told to through its pipe."""

    name: str
    process: subprocess.Popen[bytes]
    pipe: int

    @classmethod
    def start(cls, name: str, command: Sequence[str]) -> _Service:
        heard, told = get_ipc_shutdown_pipe()
        command = [sys.executable, "-m", *command, "--shutdown-pipe", str(heard)]
        process = subprocess.Popen(command, pass_fds=[heard])
        os.close(heard)
        return cls(name, process, told)

    def end(self) -> None:
        try:
            send_ipc_shutdown_message(self.pipe)
        except BrokenPipeError:  # it ended already
            os.close(self.pipe)

    def wait(self) -> None:
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("the %s did not end by itself and is killed", self.name)
            self.process.kill()


@contextmanager
def _code_server(instance: DagsterInstance, workspace: str) -> Iterator[Path]:
    """One code server for web server and daemon; yields a workspace file that points at it."""
    target = WorkspaceFileTarget([workspace])
    with (
        ProxyServerManager(instance, target, code_server_log_level="warning") as servers,
        tempfile.TemporaryDirectory() as folder,
    ):
        file = Path(folder) / "workspace.yaml"
        file.write_text(yaml.safe_dump({"load_from": list(servers.get_code_server_specs())}))
        yield file


def run(port: int, workspace: str = "workspace.yaml") -> int:
    """Start them and watch them; returns the exit code: 1 where one of them ended by itself."""
    with (
        get_possibly_temporary_instance_for_cli("memory-assets ui", logger=log) as instance,
        _code_server(instance, workspace) as at,
    ):
        told = ["--instance-ref", serialize_value(instance.get_ref()), "--workspace", str(at)]
        services: list[_Service] = []
        try:
            for name, command in (
                ("web server", ["memory_assets.dagster.web_server", "--port", str(port)]),
                ("daemon", ["dagster._daemon", "run"]),
            ):
                services.append(_Service.start(name, [*command, *told]))
            while all(service.process.poll() is None for service in services):
                time.sleep(_LOOK_SECONDS)
            for service in services:
                if (code := service.process.poll()) is not None:
                    log.error("the %s ended by itself, with %d", service.name, code)
            return 1
        except KeyboardInterrupt:
            return 0
        finally:
            log.info("Shutting down")
            for service in services:
                service.end()
            for service in services:
                service.wait()


if __name__ == "__main__":
    # As `dagster dev` says it: short traces of what fails in the project's own code.
    os.environ.update({"DAGSTER_IS_DEV_CLI": "1", "DAGSTER_verbose": ""})
    configure_loggers(formatter="colored", log_level="INFO")
    setup_interrupt_handlers()
    sys.exit(run(int(sys.argv[1])))
