"""memory-assets action: corrective actions and sign-offs."""

from __future__ import annotations

import getpass
from datetime import date, datetime
from typing import Annotated, Any

import typer

from memory_assets.cli.common import opened_home, print_table, project_root
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.history.store import Action

_CURRENT = """
    select action_id, subject, model_version, kind, description, owner, status, due_on, audit_id
    from current_actions where action_id = $action_id
"""
_LISTED = """
    select action_id, subject, model_version, kind, description, owner, status, due_on
    from current_actions where subject = coalesce($subject, subject)
    order by status = 'open' desc, due_on nulls last, action_id
"""


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise InputError(f"--due {text!r}: give a date as YYYY-MM-DD") from None


def _audited(subject: str, version: str | None) -> tuple[str, str]:
    from memory_assets.dagster.releases import audited_release

    return audited_release(project_root(), opened_home(), subject, version)


def _record(action: Action, action_id: str = "") -> None:
    recorded = opened_home().history.record_action(action, getpass.getuser(), action_id)
    version = f"{action.subject} {action.model_version}"
    print(f"{recorded}: {action.kind} of {version}, {action.status}")
    print(f"The next memory-assets audit {action.subject} puts it into the report.")


def _revise(action_id: str, status: str, remark: str | None) -> None:
    rows = ask(opened_home().root, _CURRENT, {"action_id": action_id}).to_pylist()
    if not rows:
        raise InputError(f"no action {action_id!r}; memory-assets action list shows them")
    row: dict[str, Any] = {name: value for name, value in rows[0].items() if name != "action_id"}
    row["status"] = status
    if remark:
        row["description"] = f"{row['description']} ({remark})"
    _record(Action(**row), action_id)


def add(
    subject: Annotated[str, typer.Argument(help="The audited subject.")],
    description: Annotated[str, typer.Argument(help="What is to be done.")],
    owner: Annotated[str, typer.Option(help="Who does it.")],
    due: Annotated[str | None, typer.Option(help="By when, as YYYY-MM-DD.")] = None,
    version: Annotated[str | None, typer.Option(help="The version; the newest release.")] = None,
) -> None:
    """Record a corrective action."""
    audited, audit_id = _audited(subject, version)
    kind, day = "corrective action", _day(due)
    _record(Action(subject, audited, kind, description, owner, "open", day, audit_id))


def listed(
    subject: Annotated[str | None, typer.Option(help="Only this subject.")] = None,
) -> None:
    """Show corrective actions and sign-offs as they stand."""
    found = ask(opened_home().root, _LISTED, {"subject": subject})
    rows: list[list[object]] = [list(row.values()) for row in found.to_pylist()]
    print_table("Actions", found.column_names, rows)


def close(
    action_id: Annotated[str, typer.Argument(help="Its id, from action list.")],
    reject: Annotated[bool, typer.Option("--reject", help="Not done, and not to be.")] = False,
    remark: Annotated[str | None, typer.Option(help="What to add to it.")] = None,
) -> None:
    """Close a corrective action: done, or rejected."""
    _revise(action_id, "rejected" if reject else "done", remark)


def sign(
    subject: Annotated[str, typer.Argument(help="The audited subject.")],
    owner: Annotated[str, typer.Option(help="Who signs.")],
    version: Annotated[str | None, typer.Option(help="The version; the newest release.")] = None,
    remark: Annotated[str, typer.Option(help="What is approved.")] = "approved for release",
    refuse: Annotated[bool, typer.Option("--refuse", help="Record a refusal.")] = False,
) -> None:
    """Sign the audit in force of a version off, or refuse to."""
    audited, audit_id = _audited(subject, version)
    status = "rejected" if refuse else "done"
    _record(Action(subject, audited, "sign-off", remark, owner, status, None, audit_id))
