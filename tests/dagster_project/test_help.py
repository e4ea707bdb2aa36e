"""What `--help` prints is what was written: brackets are text there, and no style."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from memory_assets.cli.main import app


def commands(at: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, at
    for name, below in getattr(at, "commands", {}).items():
        yield from commands(below, *path, name)


ALL = list(commands(get_command(app)))


def written(command: Any) -> list[str]:
    """The texts of its help, as whoever wrote them meant them."""
    texts = [command.help or "", *(getattr(p, "help", "") or "" for p in command.params)]
    return [text.replace("\\[", "[") for text in texts]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(p) or "all" for p, _ in ALL])
def test_no_bracket_of_a_help_text_is_lost(path: tuple[str, ...], command: Any):
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "400"})
    assert shown.exit_code == 0
    for text in written(command):
        for bracket in re.findall(r"\[[^\]]*\]", text):
            assert bracket in shown.output, text


def test_there_is_a_bracket_to_lose():
    assert any("[" in text for _, command in ALL for text in written(command))
