"""What the code of the graph is handed when it runs: where state lives, and a run's versions."""

from __future__ import annotations

import dagster as dg

from memory_assets.workflows.home import Home, find_home
from memory_assets.workflows.released import Released


@dg.resource(description="Where state lives: the store of artifacts and the history.")
def home_resource() -> Home:
    """The home that the process which runs a step or a tick finds; loading the graph finds none."""
    return find_home()


@dg.resource(
    required_resource_keys={"home"},
    description="Where the versions of each subject lie, listed once a run.",
)
def released_resource(context: dg.InitResourceContext) -> Released:
    """Another run lists anew: a version that appears or goes is seen by the next one."""
    return Released(context.resources.home.root)
