"""What a command prints can be read in a pipe and in a narrow terminal."""

import pytest

from dagster_project import cli

COLUMNS = ["action_id", "model_version", "description", "owner", "due_on"]
ROW = ["a1b2c3d4e5f6", "v2", "stop early", "team:ml", "2027-01-31"]


@pytest.fixture
def printed(monkeypatch, capsys):
    def print_row(width: int, terminal: bool) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
        cli._print_table("Actions", COLUMNS, [list(ROW)])
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
