"""A real MLflow server on loopback, and what a training pipeline does with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server that keeps everything in this folder."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=2)
            break
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    else:
        raise AssertionError((folder / "log").read_text())
    yield url
    os.killpg(process.pid, 15)
    process.wait(120)


def register(server: str, model: str, file: Path) -> str:
    """Log the weights of a run and register them; returns the number of the new version."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    run = client.create_run("0").info
    client.log_artifact(run.run_id, str(file), "weights")
    if not client.search_registered_models(f"name='{model}'"):
        client.create_registered_model(model)
    source = f"{run.artifact_uri}/weights"
    return str(client.create_model_version(model, source, run.run_id).version)
