"""memory-assets history: the history's file."""

from __future__ import annotations

from typing import Annotated

import typer

from memory_assets.cli.common import say
from memory_assets.workflows.home import find_home


def rebuild(
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on without what no old file could give back.")
    ] = False,
) -> None:
    """Make the history anew from the audits on disk; what only the old file holds is kept."""
    from memory_assets.workflows.record import bundles

    home = find_home()
    history = home.history
    done = history.rebuild(bundles(home.store))
    print(f"{done.appended} audits and prices read again, {done.kept} kept from the old file")
    for folder in done.damaged:
        say(f"left out, damaged: {folder}; audit its version again")
    if loss := history.loss():
        if not accept_loss:
            say(
                f"less than before: {loss}; put a backup in its place and rebuild, or --accept-loss"
            )
            raise typer.Exit(1)
        history.accept_loss()
        say(f"accepted: {loss}")
