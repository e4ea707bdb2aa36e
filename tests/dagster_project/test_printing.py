"""What a command prints can be read in a pipe and in a narrow terminal."""

import io
import time

import pytest
from rich.console import Console

from memory_assets.cli import main as cli
from memory_assets.cli.common import print_table

COLUMNS = ["action_id", "model_version", "description", "owner", "due_on"]
ROW = ["a1b2c3d4e5f6", "v2", "stop early", "team:ml", "2027-01-31"]


@pytest.fixture
def printed(monkeypatch, capsys):
    def print_row(width: int, terminal: bool) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
        print_table("Actions", COLUMNS, [list(ROW)])
        return capsys.readouterr().out.splitlines()

    return print_row


def test_a_pipe_gets_whole_lines_whatever_the_terminal_is(printed):
    assert any(all(cell in line for cell in ROW) for line in printed(20, terminal=False))


def test_a_wide_terminal_gets_a_table(printed):
    assert any(all(cell in line for cell in ROW) for line in printed(120, terminal=True))


def test_a_narrow_terminal_gets_a_line_a_field_and_no_broken_word(printed):
    lines = printed(40, terminal=True)
    assert not any("│" in line for line in lines)
    for name, cell in zip(COLUMNS, ROW, strict=True):
        assert any(name in line and cell in line for line in lines)


def test_a_terminal_shows_what_is_being_done_in_one_line(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(cli, "_err", Console(file=screen, force_terminal=True, width=80))
    with cli._progress() as tell:
        tell("notes v1: reading [texts]: 40%, about 3 min left")
        tell("")
        for _ in range(400):  # it is drawn by a thread of its own, a few times a second
            if "notes v1: reading [texts]: 40%" in screen.getvalue():
                break
            time.sleep(0.05)
        else:
            raise AssertionError(screen.getvalue())
    assert screen.getvalue().count("\n") <= 1


def test_a_log_gets_a_line_now_and_then(monkeypatch, capsys):
    clock = iter([0.0, 3.0, 11.0, 11.0, 15.0, 22.0, 22.0])
    monkeypatch.setattr(cli, "_err", Console(file=io.StringIO(), force_terminal=False))
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(clock))
    with cli._progress() as tell:
        for text in ("at 3 s", "at 11 s", "at 15 s", "", "at 22 s"):
            tell(text)
    assert capsys.readouterr().err.splitlines() == ["... at 11 s", "... at 22 s"]
