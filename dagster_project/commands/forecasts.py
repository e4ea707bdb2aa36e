"""memory-assets forecast: what was foretold with a probability, and what became of it."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Annotated, Any

import typer

from memory_assets.artifacts import home
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.history.store import History

PrintTable = Callable[[str, list[str], list[list[object]]], None]
_MADE = """
    select distinct risk_id, option, event
    from forecasts
    inner join audits using (audit_id)
    where subject = $subject and model_version = coalesce($version, model_version)
        and option = $option
        and risk_id in (select risk_id from latest_risk)
        and finished_at = (
            select max(finished_at) from audits
            where subject = $subject and model_version = coalesce($version, model_version)
        )
    order by event
"""


def _forecast(subject: str, version: str | None, option: str, event: str) -> dict[str, str]:
    """The one forecast whose event starts with these words."""
    asked = {"subject": subject, "version": version, "option": option}
    made = ask(home(), _MADE, asked).to_pylist()
    found = [row for row in made if row["event"].startswith(event)]
    if len(found) == 1:
        return found[0]
    named = f"{subject} {version or '(the version audited last)'}, option {option!r}"
    known = ", ".join(repr(row["event"]) for row in made) or "none at all"
    raise InputError(f"{named}: {len(found)} forecasts start with {event!r}; there are: {known}")


def register(app: typer.Typer, guarded: Callable[..., Any], table: PrintTable) -> None:
    """Add the commands; `guarded` turns what the user can put right into one line."""
    forecast = typer.Typer(no_args_is_help=True, help="Forecasts, and what became of them.")
    app.add_typer(forecast, name="forecast")

    @forecast.command("list")
    @guarded
    def listed(
        subject: Annotated[str | None, typer.Option(help="Only this subject.")] = None,
    ) -> None:
        """Show what was forecast, and what can be judged by now."""
        found = ask(home(), "forecasts_to_judge", {"subject": subject})
        rows: list[list[object]] = [list(row.values()) for row in found.to_pylist()]
        table("Forecasts", found.column_names, rows)

    @forecast.command("judge")
    @guarded
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
            str | None, typer.Option(help="The version; the last one audited.")
        ] = None,
    ) -> None:
        """Say what became of a forecast; saying it again replaces what was said."""
        made = _forecast(subject, version, option, event)
        History(home()).record_outcome(
            made["risk_id"], made["option"], made["event"], happened, getpass.getuser()
        )
        outcome = "happened" if happened else "did not happen"
        print(f"{subject}: {made['event']!r} {outcome}; memory-assets query forecasts_scored")
