"""Training that the owner brings: a callable `fit(X, y, seed) -> predict`, or a command."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError, place_of
from memory_assets.models.predictions import check_probabilities, read_predictions
from memory_assets.owner.running import heard_only_in
from memory_assets.records.dataset import import_attribute
from memory_assets.store.disk import private_folder

_PREDICTIONS = "predictions.csv"
_ARRAYS = ("x", "y", "ask")
_RUNNING = ".running"
_PATIENCE_SECONDS = 10.0

Surroundings = Callable[[], AbstractContextManager[Mapping[str, str]]]
"""Opened around a command: gives it environment variables, and hears what it reports."""


@dataclass(frozen=True)
class Task:
    """One model to train and ask.

    Trains on `x` `[m, *record]` with labels `y` `[m]`, then gives class probabilities for
    `ask` `[R, *record]`, known as `ask_ids` `[R]`. `seed` is this model's own.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    ask: NDArray[np.float32]
    ask_ids: NDArray[np.str_]
    classes: int
    seed: int


@dataclass(frozen=True)
class FitCallable:
    """A training callable, itself or as `package.module:function`.

    `fit(X, y, seed)` returns `predict`, and `predict(X)` class probabilities `[records, classes]`.
    """

    fit: str | Callable[..., Any]

    def probabilities(self, task: Task, folder: Path) -> NDArray[np.float64]:
        """Train and ask one model, in this process. What it prints goes to `output.log`.

        Raises:
            InputError: the callable cannot be imported, raises, or returns something else than
                probabilities. What it raised appears by type and place: its text may quote records.
        """
        fit = import_attribute(self.fit, "fit") if isinstance(self.fit, str) else self.fit
        try:
            with heard_only_in(folder / "output.log"):
                answers = fit(task.x, task.y, task.seed)(task.ask)
        except (Exception, SystemExit) as error:  # the owner's code may raise anything
            raise InputError(f"fit raised {place_of(error)}") from error
        return check_probabilities(answers, len(task.ask), task.classes)


@dataclass(frozen=True)
class FitCommand:
    """A training command, run in its own process group and ended at its time limit (seconds).

    It finds `task.json` in its working folder (and its path in MEMORY_ASSETS_TASK): the seed, the
    number of classes, and the files `x.npy`, `y.npy`, `ask.npy` and `ask_ids.json`. It writes
    `predictions.csv` or `predictions.parquet` there (see `read_predictions`). The arrays are
    removed once it has answered; after a failure they stay, beside its output.
    """

    command: str | Sequence[str]
    time_limit: float = 3600.0
    surroundings: Surroundings = field(default=lambda: contextlib.nullcontext({}), compare=False)

    def probabilities(self, task: Task, folder: Path) -> NDArray[np.float64]:
        """Train and ask one model.

        Raises:
            InputError: the command cannot be started, fails, runs past its limit, or leaves no
                valid predictions. Its output is kept in `output.log` in the folder. Or the
                command of an audit that was killed still works there and cannot be ended.
        """
        folder = folder.absolute()
        private_folder(folder)
        with _alone(folder) as mark, self.surroundings() as variables:
            for left in folder.glob("predictions.*"):
                left.unlink()  # of a run that was stopped
            _write(task, folder)
            self._run(folder, variables, mark)
        file = next((f for f in sorted(folder.glob("predictions.*"))), folder / _PREDICTIONS)
        asked = np.arange(len(task.ask_ids))
        found = read_predictions(file, task.ask_ids, asked, task.classes)
        for array in _ARRAYS:
            (folder / f"{array}.npy").unlink()
        if not found.logits:
            return found.values
        shifted = np.exp(found.values - found.values.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def _run(self, folder: Path, variables: Mapping[str, str], mark: int) -> None:
        words = shlex.split(self.command) if isinstance(self.command, str) else list(self.command)
        log = folder / "output.log"
        environment = {**os.environ, **variables, "MEMORY_ASSETS_TASK": str(folder / "task.json")}
        with log.open("wb") as output:
            try:
                process = subprocess.Popen(
                    words,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(mark,),
                )
                os.pwrite(mark, f"{socket.gethostname()} {process.pid}\n".encode(), 0)
            except OSError as error:
                raise InputError(f"command {words[:1]}: {error.strerror}") from error
            try:
                code = process.wait(timeout=self.time_limit)
            except subprocess.TimeoutExpired as error:
                _end(process)
                raise InputError(
                    f"command ran longer than {self.time_limit:g} s and was ended; see {log}"
                ) from error
            except BaseException:
                _end(process)
                raise
        if code:
            raise InputError(f"command ended with status {code}; see {log}")


def _write(task: Task, folder: Path) -> None:
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(task, name))
    (folder / "ask_ids.json").write_text(json.dumps([str(i) for i in task.ask_ids]))
    about = {"seed": task.seed, "classes": task.classes, "records": len(task.y)}
    (folder / "task.json").write_text(json.dumps(about))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Nobody else works in the folder: what a killed audit left running there is ended.

    Gives a descriptor that the command inherits. It holds a lock for as long as the command
    lives, so the process id that is noted under it is still the command's.

    Raises:
        InputError: it cannot be ended, because it runs elsewhere.
    """
    path = folder / _RUNNING
    mark = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            host, _, pid = os.pread(mark, 1000, 0).decode().strip().rpartition(" ")
            if host == socket.gethostname():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int(pid), signal.SIGKILL)
            if time.monotonic() > deadline:
                where = f"on {host}" if host else "somewhere"
                raise InputError(
                    f"{folder}: the command of an audit that was killed still runs {where} "
                    f"(process {pid or 'unknown'}); end it and run again"
                )
            time.sleep(0.1)
        os.ftruncate(mark, 0)
        yield mark
        path.unlink(missing_ok=True)
    finally:
        os.close(mark)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
