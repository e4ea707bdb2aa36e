"""Suites that repeat something many times say at the end of the run how often they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import settings

# How long an example takes is the machine's affair: benchmarks time, tests do not.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Tally = Callable[[str, int], None]
_COUNTS = pytest.StashKey[Counter[str]]()
_FROM_A_WORKER = "tally"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_COUNTS] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file run in one process, which makes what they share once; slow ones first.

    A file that says `xdist_group` itself runs together with all others of that group.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Without their groups tests that build on each other run apart, and fail now and then."""
    if hasattr(session.config, "workerinput") and session.config.getvalue("loadgroup"):
        apart = [item.nodeid for item in session.items if "@" not in item.nodeid]
        assert not apart, f"pytest-xdist lost the group of {len(apart)} tests, as {apart[0]}"


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """`tally("faults: kills of an audit", 100)` adds to a line of the summary.

    Call it when the assertions have held: what is counted was tried and survived.
    """

    def add(label: str, count: int = 1) -> None:
        pytestconfig.stash[_COUNTS][label] += count

    return add


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist sends what it counted to the process that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_FROM_A_WORKER] = dict(session.config.stash[_COUNTS])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    node.config.stash[_COUNTS].update(getattr(node, "workeroutput", {}).get(_FROM_A_WORKER, {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    counts = config.stash[_COUNTS]
    if counts:
        terminalreporter.section("tried" if exitstatus else "tried, and nothing lost")
        for label, total in sorted(counts.items()):
            terminalreporter.line(f"{label}: {total}")
