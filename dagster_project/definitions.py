"""The entry point of the lineage graph."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from memory_assets.dagster.definitions import build_definitions
from memory_assets.dagster.instance import keep_private
from memory_assets.workflows.home import find_home

PROJECT_ROOT = Path(__file__).parents[1]


@dg.definitions
def defs() -> dg.Definitions:
    keep_private(find_home().root)
    return build_definitions(PROJECT_ROOT)
