"""memory-assets purge: forget a subject's records."""

from __future__ import annotations

import difflib
import re
import sys
from typing import Annotated

import typer

from memory_assets.cli.common import project_root
from memory_assets.errors import InputError
from memory_assets.workflows.home import find_home

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def purge(
    subject: Annotated[str, typer.Argument(help="The subject to forget.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a subject's records, artifacts and reports; its figures stay in the history."""
    from memory_assets.dagster.purging import purge as forget
    from memory_assets.dagster.subjects import read_subjects
    from memory_assets.workflows.purge import belongings

    subjects, home = read_subjects(project_root()), find_home()
    # The name becomes paths: anything else than a subject's name is unknown.
    found = belongings(home, subject) if _NAME.fullmatch(subject) else None
    if found is None or not (found.known or subject in subjects):
        names = [*subjects, *home.store.owners()]
        near = difflib.get_close_matches(subject, names, n=1)
        hint = f"did you mean {near[0]!r}" if near else f"known are: {', '.join(names) or 'none'}"
        raise InputError(f"subject {subject!r}: nothing is known of it; {hint}")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("purge: nobody is there to ask; give --yes")
        print(
            f"{len(found.artifacts)} artifacts ({found.size / 2**20:,.1f} MiB), its reports, its "
            f"lineage and {found.record_scores:,} scores of records go, and cannot come back."
        )
        typer.confirm(f"Forget {subject}?", abort=True)
    done = forget(subject, subjects, home)
    went = done.home
    print(
        f"deleted: {len(went.artifacts)} artifacts and {len(went.folders)} folders of reports and "
        f"references ({went.size / 2**20:,.1f} MiB), {went.record_scores:,} scores of records, "
        f"{done.runs} runs with their logs"
    )
    print(
        f"kept: {went.audits} audits with their figures in the history, {went.shared} artifacts "
        "that other subjects use, and your own files (records, checkpoints)"
    )
    for path in went.unreadable:
        print(f"kept: {path} does not read, and may be of {subject}; delete it if it is")
    if done.mixed_runs:
        print(f"kept: the logs of {done.mixed_runs} runs that also audited other subjects")
    if subject in subjects:
        print(
            f"{subject} is still defined in dagster_project/defs: the next audit makes all of it "
            "anew; remove it there if it is over"
        )
