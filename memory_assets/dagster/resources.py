"""What the code of the graph is handed when it runs: where state lives, and a run's versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import dagster as dg

from memory_assets.workflows.home import Home, find_home
from memory_assets.workflows.released import Released

_seen: ContextVar[Released | None] = ContextVar("released", default=None)


@dg.resource(description="Where state lives: the store of artifacts and the history.")
def home_resource() -> Home:
    """The home that the process which runs a step or a tick finds; loading the graph finds none."""
    return find_home()


@dg.resource(
    required_resource_keys={"home"},
    description="Where the versions of each subject lie, listed once a run.",
)
def released_resource(context: dg.InitResourceContext) -> Released:
    """Another run lists anew: a version that appears or goes is seen by the next one.

    The runs of one `going_by` are one run to their user, and go by the same lists.
    """
    return _seen.get() or Released(context.resources.home.root)


@contextmanager
def going_by(released: Released) -> Iterator[None]:
    """Let the runs that this process executes inside go by these lists.

    Dagster takes no resource of a run's own for a job over assets.
    """
    token = _seen.set(released)
    try:
        yield
    finally:
        _seen.reset(token)
