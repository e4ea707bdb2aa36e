"""A training command runs apart, is ended at its limit, and its failures are told."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from memory_assets.errors import InputError
from memory_assets.models import callables
from memory_assets.models.callables import FitCommand, Task

RNG = np.random.default_rng(0)
TASK = Task(
    RNG.normal(size=(20, 4)).astype(np.float32),
    np.arange(20) % 3,
    RNG.normal(size=(6, 4)).astype(np.float32),
    np.array([f"id{i}" for i in range(6)]),
    3,
    11,
)
GOOD = """
import json, os, numpy as np
task = json.load(open(os.environ["MEMORY_ASSETS_TASK"]))
x, y, ask = (np.load(f"{n}.npy") for n in ("x", "y", "ask"))
ids = json.load(open("ask_ids.json"))
means = np.stack([x[y == c].mean(0) for c in range(task["classes"])])
z = -((ask[:, None] - means) ** 2).sum(-1)
with open("predictions.csv", "w") as f:
    print("record_id,logit_0,logit_1,logit_2", file=f)
    for i, row in reversed(list(zip(ids, z))):
        print(i, *row, sep=",", file=f)
"""


def script(folder: Path, text: str) -> list[str]:
    path = folder / "train.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def test_command_trains_and_answers(tmp_path: Path) -> None:
    p = FitCommand(script(tmp_path, GOOD), 60).probabilities(TASK, tmp_path / "work")
    means = np.stack([TASK.x[TASK.y == c].mean(0) for c in range(3)])
    z = -((TASK.ask[:, None] - means) ** 2).sum(-1)
    np.testing.assert_array_equal(p.argmax(1), z.argmax(1))
    np.testing.assert_allclose(p.sum(1), 1)


def test_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    hang = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid)); time.sleep(600)\n"
    )
    with pytest.raises(InputError, match=r"longer than 1\.5 s and was ended"):
        FitCommand(script(tmp_path, hang), 1.5).probabilities(TASK, tmp_path / "work")
    child = int((tmp_path / "work" / "child").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in _state(child):
            return
        time.sleep(0.05)
    os.kill(child, 9)
    pytest.fail("a child of the command outlived it")


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_callables import TASK, FitCommand
FitCommand([sys.executable, "-c", sys.argv[3]], 600).probabilities(TASK, Path(sys.argv[2]))
"""
LATE = """
import os, time
open("command", "w").write(str(os.getpid()))
time.sleep(600)
"""


def test_what_a_killed_audit_left_running_is_ended_before_the_next(tmp_path: Path) -> None:
    """It would write its answers over those of the model that is trained anew."""
    work, here = tmp_path / "work", str(Path(__file__).parent)
    audit = subprocess.Popen([sys.executable, "-c", KILLED, here, str(work), LATE])
    while not (work / "command").exists() or not (work / "command").read_text():
        assert audit.poll() is None
        time.sleep(0.05)
    left = int((work / "command").read_text())
    audit.kill()
    audit.wait()
    assert _state(left) != "Z", "it outlives who started it"
    FitCommand(script(tmp_path, GOOD), 60).probabilities(TASK, work)
    assert _state(left) == "Z"
    assert not (work / ".running").exists()


def test_one_that_runs_elsewhere_is_not_ended(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(callables, "_PATIENCE_SECONDS", 0.3)
    work = tmp_path / "work"
    work.mkdir()
    with (work / ".running").open("w+b") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        mark.write(f"pod-a {os.getpid()}\n".encode())
        mark.flush()
        with pytest.raises(InputError, match=r"still runs on pod-a \(process \d+\)"):
            FitCommand(script(tmp_path, GOOD), 60).probabilities(TASK, work)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2]
    except FileNotFoundError:
        return "Z"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise SystemExit(3)", "status 3; see .*output.log"),
        ("pass", "predictions.csv: cannot be read"),
        (GOOD.replace("reversed(list(zip(ids, z)))", "zip(ids[:5], z)"), "record_id 'id5'"),
    ],
)
def test_command_that_fails(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        FitCommand(script(tmp_path, text), 60).probabilities(TASK, tmp_path / "work")


def test_predictions_of_a_stopped_run_are_not_taken(tmp_path: Path) -> None:
    FitCommand(script(tmp_path, GOOD), 60).probabilities(TASK, tmp_path / "work")
    with pytest.raises(InputError, match="cannot be read"):
        FitCommand(script(tmp_path, "pass"), 60).probabilities(TASK, tmp_path / "work")


def test_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        FitCommand("no-such-program --now", 60).probabilities(TASK, tmp_path / "work")
