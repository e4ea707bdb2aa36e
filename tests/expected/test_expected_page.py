"""The page of expected values names tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
NAMED = re.findall(r"`(\w+/test_\w+\.py)::(test_\w+)`", (TESTS / "expected/README.md").read_text())


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_named_test_exists(file, name):
    assert f"def {name}(" in (TESTS / file).read_text()


def test_every_trap_test_is_on_the_page():
    on_the_page = {name for _, name in NAMED}
    for folder in ("attacks", "statistics"):
        for file in (TESTS / folder).glob("test_*.py"):
            assert set(re.findall(r"def (test_trap_\w+)\(", file.read_text())) <= on_the_page
