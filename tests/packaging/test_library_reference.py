"""The reference is made from docstrings: every module is on its page, and every example holds."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LIBRARY = CHECKOUT / "memory_assets"
WHOLE_ROOMS = ("attacks", "memorization", "results", "statistics", "validity")
"""Rooms of which every module is on the page of that name; of others a page chooses some."""


def _modules(room: str) -> set[str]:
    found = {path.stem for path in (LIBRARY / room).glob("*.py")} - {"__init__"}
    found |= {path.parent.name for path in (LIBRARY / room).glob("*/__init__.py")}
    return {f"memory_assets.{room}.{name}" for name in found}


def _with_examples() -> list[str]:
    files = [path for path in sorted(LIBRARY.rglob("*.py")) if ">>> " in path.read_text()]
    return [".".join(path.relative_to(CHECKOUT).with_suffix("").parts) for path in files]


@pytest.mark.parametrize("room", WHOLE_ROOMS)
def test_every_module_of_a_room_is_on_its_page(room: str) -> None:
    page = (CHECKOUT / "docs" / "api" / f"{room}.md").read_text()
    named = set(re.findall(r"^::: (\S+)$", page, re.MULTILINE))
    assert not _modules(room) - named, "add these to the page"
    assert not named - _modules(room), "these are gone"


@pytest.mark.parametrize("module", _with_examples())
def test_the_examples_of_docstrings_hold(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried
    assert not failed
