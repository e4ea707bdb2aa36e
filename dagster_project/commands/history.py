"""memory-assets history: the history's file."""

from __future__ import annotations

from dagster_project.commands.common import say
from memory_assets.artifacts import home
from memory_assets.history.store import History


def rebuild() -> None:
    """Make the history anew from the audits on disk; what only the old file holds is kept."""
    from memory_assets.audits.record import bundles

    done = History(home()).rebuild(bundles(home()))
    print(f"{done.appended} audits and prices read again, {done.kept} kept from the old file")
    for folder in done.damaged:
        say(f"left out, damaged: {folder}; audit its version again")
