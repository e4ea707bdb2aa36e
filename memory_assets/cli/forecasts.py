"""memory-assets forecast: what was foretold with a probability, and what became of it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from memory_assets.cli.common import opened_home, print_table
from memory_assets.errors import InputError
from memory_assets.history.questions import ask

# Due and not judged first, then those whose time still runs, then what can only be corrected.
_MADE = """
    select risk_id, model_version, option, event, computed_at, can_be_judged_at, state
    from forecasts_made
    where subject = $subject
        and not starts_with(model_version, 'option:')
        and model_version = coalesce($version, model_version)
        and option = $option
        and starts_with(risk_id, coalesce($forecast, ''))
    order by
        list_position(['outcome is missing', 'open', 'judged'], state),
        can_be_judged_at, model_version, risk_id
"""


def _forecast(
    subject: str, version: str | None, option: str, event: str, forecast: str | None
) -> dict[str, Any]:
    """The oldest due forecast of the one event that starts with these words.

    Raises:
        InputError: no such forecast, or several events that start so.
    """
    asked = {"subject": subject, "version": version, "option": option, "forecast": forecast}
    made = ask(opened_home().root, _MADE, asked).to_pylist()
    found = [row for row in made if row["event"].startswith(event)]
    events = sorted({row["event"] for row in found})
    exact = [row for row in found if row["event"] == event]
    if len(events) == 1 or exact:
        return (exact or found)[0]
    named = f"{subject} {version or '(any version)'}, option {option!r}"
    known = ", ".join(sorted({repr(row["event"]) for row in made})) or "none at all"
    raise InputError(f"{named}: {len(events)} forecasts start with {event!r}; there are: {known}")


def listed(
    subject: Annotated[str | None, typer.Option(help="Only this subject.")] = None,
) -> None:
    """Show what was forecast, and what can be judged by now."""
    found = ask(opened_home().root, "forecasts_to_judge", {"subject": subject})
    rows: list[list[object]] = [list(row.values()) for row in found.to_pylist()]
    print_table("Forecasts", found.column_names, rows)


def judge(
    subject: Annotated[str, typer.Argument(help="The audited subject.")],
    event: Annotated[str, typer.Argument(help="What was forecast; its first words will do.")],
    happened: Annotated[
        bool, typer.Option("--happened/--did-not-happen", help="What became of it.")
    ],
    option: Annotated[
        str, typer.Option(help="The option of the profile that was in place.")
    ] = "none",
    version: Annotated[
        str | None, typer.Option(help="Only forecasts made for this version.")
    ] = None,
    forecast: Annotated[
        str | None, typer.Option(help="The one to judge, by its id in forecast list.")
    ] = None,
) -> None:
    """Say what became of a forecast: of the oldest that is due, or the one that is named.

    Saying it again of the same one replaces what was said.
    """
    made = _forecast(subject, version, option, event, forecast)
    opened_home().history.record_outcome(
        made["risk_id"], made["option"], made["event"], happened, getpass.getuser()
    )
    outcome = "happened" if happened else "did not happen"
    day, until = made["computed_at"].date(), made["can_be_judged_at"]
    print(
        f"{subject} {made['model_version']}, forecast of {day} ({made['risk_id'][:12]}): "
        f"{made['event']!r} {outcome}; memory-assets query forecasts_scored"
    )
    if not happened and until > datetime.now(UTC):
        print(f"Its time runs until {until.date()}: that counts once it is said after that day")
