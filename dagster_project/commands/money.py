"""memory-assets profile, action, history: the inputs of the price, and what was done about it."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory_assets.artifacts import home
from memory_assets.errors import InputError, printable
from memory_assets.history.questions import ask
from memory_assets.history.store import Action, History

if TYPE_CHECKING:  # the risk model brings scipy along, which no other command waits for
    from memory_assets.risk.profile import Profile

PrintTable = Callable[[str, list[str], list[list[object]]], None]
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


def list_profiles(table: PrintTable) -> None:
    """Print the shipped profiles."""
    from memory_assets.risk.reading import load_profile, shipped_profiles

    rows: list[list[object]] = []
    for shipped in shipped_profiles():
        profile = load_profile(shipped)
        rows.append([shipped, profile.title, profile.currency])
    table("Profiles", ["name", "title", "currency"], rows)


def _named(name: str, root: Path) -> Profile:
    from memory_assets.risk.reading import load_profile

    here = root / name
    return load_profile(here if here.is_file() else name)


def _sized(industry: str, currency: str, numbers: Mapping[str, float | None]) -> Profile:
    """The profile of a company that states four numbers.

    Raises:
        InputError: one of them is missing or wrong.
    """
    from memory_assets.risk.company import small_company

    missing = [name for name, value in numbers.items() if value is None]
    if missing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise InputError(f"a company of {industry}: give {options} as well")
    given = {name: value for name, value in numbers.items() if value is not None}
    return small_company(
        industry,
        round(given["records"]),
        given["queries_per_month"],
        given["revenue"],
        currency,
    )


def show_profile(profile: Profile, table: PrintTable) -> None:
    """Print a profile's inputs with their grounds, and the three that decide most."""
    from memory_assets.risk.describe import describe

    found = describe(profile)
    lines: list[list[object]] = [
        [
            line.name,
            f"{line.mean:,.6g}",
            f"{line.low:,.6g} to {line.high:,.6g}",
            line.unit,
            line.basis + (" (default)" if line.defaulted else ""),
            line.source + (" (not verified)" if line.verified is False else ""),
        ]
        for line in found.lines
    ]
    table(found.title, ["input", "mean", "5% to 95%", "unit", "ground", "source"], lines)
    print("Grounds: " + ", ".join(f"{n} {basis}" for basis, n in found.by_basis.items() if n))
    first = [f"{s.name} ({s.basis})" for s in found.matter_most]
    print("These three decide most; measure them first: " + ", ".join(first))


def verify_report(page: Path) -> None:
    """Say whether a report still is what was written; exit 1 where it is not.

    Raises:
        InputError: the file cannot be read, or is not a report.
    """
    from memory_assets.reports.page import verify

    if verify(page):
        print(f"{page}: unchanged since it was written")
        return
    print(f"{page}: CHANGED since it was written")
    raise typer.Exit(1)


def _audited(root: Path, subject: str, version: str | None) -> tuple[str, str]:
    from dagster_project.releases import audited_release

    return audited_release(root, subject, version)


def _record(action: Action, action_id: str = "") -> None:
    recorded = History(home()).record_action(action, getpass.getuser(), action_id)
    version = f"{action.subject} {action.model_version}"
    print(f"{recorded}: {action.kind} of {version}, {action.status}")
    print(f"The next memory-assets audit {action.subject} puts it into the report.")


def _revise(action_id: str, status: str, remark: str | None) -> None:
    rows = ask(home(), _CURRENT, {"action_id": action_id}).to_pylist()
    if not rows:
        raise InputError(f"no action {action_id!r}; memory-assets action list shows them")
    row: dict[str, Any] = {name: value for name, value in rows[0].items() if name != "action_id"}
    row["status"] = status
    if remark:
        row["description"] = f"{row['description']} ({remark})"
    _record(Action(**row), action_id)


def register(
    app: typer.Typer, guarded: Callable[..., Any], table: PrintTable, root: Callable[[], Path]
) -> None:
    """Add the commands; `guarded` turns what the user can put right into one line."""
    action = typer.Typer(no_args_is_help=True, help="Corrective actions and sign-offs.")
    history = typer.Typer(no_args_is_help=True, help="The history's file.")
    app.add_typer(action, name="action")
    app.add_typer(history, name="history")

    @app.command()
    @guarded
    def profile(
        name: Annotated[
            str | None, typer.Argument(help="A shipped profile or a TOML file; without, the list.")
        ] = None,
        industry: Annotated[
            str | None, typer.Option(help="In place of a name: size the industry's profile.")
        ] = None,
        records: Annotated[
            int | None, typer.Option(help="Sensitive records that the model was trained on.")
        ] = None,
        queries_per_month: Annotated[
            float | None, typer.Option(help="How often the model is asked.")
        ] = None,
        revenue: Annotated[float | None, typer.Option(help="A year's turnover.")] = None,
        currency: Annotated[str, typer.Option(help="JPY, USD or EUR.")] = "USD",
    ) -> None:
        """Show what a profile says, on what ground, and which three inputs matter most."""
        numbers = {"records": records, "queries_per_month": queries_per_month, "revenue": revenue}
        if industry is not None and name is not None:
            raise InputError("give a profile's name or --industry, not both")
        if industry is not None:
            show_profile(_sized(industry, currency, numbers), table)
        elif any(value is not None for value in numbers.values()):
            raise InputError("--records, --queries-per-month and --revenue need --industry")
        elif name is not None:
            show_profile(_named(name, root()), table)
        else:
            list_profiles(table)

    @action.command("add")
    @guarded
    def add(
        subject: Annotated[str, typer.Argument(help="The audited subject.")],
        description: Annotated[str, typer.Argument(help="What is to be done.")],
        owner: Annotated[str, typer.Option(help="Who does it.")],
        due: Annotated[str | None, typer.Option(help="By when, as YYYY-MM-DD.")] = None,
        version: Annotated[
            str | None, typer.Option(help="The version; the newest release.")
        ] = None,
    ) -> None:
        """Record a corrective action."""
        audited, audit_id = _audited(root(), subject, version)
        kind, day = "corrective action", _day(due)
        _record(Action(subject, audited, kind, description, owner, "open", day, audit_id))

    @action.command("list")
    @guarded
    def listed(
        subject: Annotated[str | None, typer.Option(help="Only this subject.")] = None,
    ) -> None:
        """Show corrective actions and sign-offs as they stand."""
        found = ask(home(), _LISTED, {"subject": subject})
        rows: list[list[object]] = [list(row.values()) for row in found.to_pylist()]
        table("Actions", found.column_names, rows)

    @action.command("close")
    @guarded
    def close(
        action_id: Annotated[str, typer.Argument(help="Its id, from action list.")],
        reject: Annotated[bool, typer.Option("--reject", help="Not done, and not to be.")] = False,
        remark: Annotated[str | None, typer.Option(help="What to add to it.")] = None,
    ) -> None:
        """Close a corrective action: done, or rejected."""
        _revise(action_id, "rejected" if reject else "done", remark)

    @action.command("sign")
    @guarded
    def sign(
        subject: Annotated[str, typer.Argument(help="The audited subject.")],
        owner: Annotated[str, typer.Option(help="Who signs.")],
        version: Annotated[
            str | None, typer.Option(help="The version; the newest release.")
        ] = None,
        remark: Annotated[str, typer.Option(help="What is approved.")] = "approved for release",
        refuse: Annotated[bool, typer.Option("--refuse", help="Record a refusal.")] = False,
    ) -> None:
        """Sign the newest audit of a version off, or refuse to."""
        audited, audit_id = _audited(root(), subject, version)
        status = "rejected" if refuse else "done"
        _record(Action(subject, audited, "sign-off", remark, owner, status, None, audit_id))

    @history.command("rebuild")
    @guarded
    def rebuild() -> None:
        """Make the history anew from the audits on disk; what only the old file holds is kept."""
        from memory_assets.audits.record import bundles

        done = History(home()).rebuild(bundles(home()))
        print(f"{done.appended} audits and prices read again, {done.kept} kept from the old file")
        for folder in done.damaged:
            print(printable(f"left out, damaged: {folder}; audit its version again"))
