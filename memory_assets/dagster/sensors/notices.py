"""Sensors that find what people should know, in what is recorded: no audit waits for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import dagster as dg

from memory_assets.dagster.failures import root_cause, told_of
from memory_assets.dagster.instance import subjects_of
from memory_assets.dagster.notifications import (
    Notice,
    note,
    post,
    put_aside,
    put_by,
    read_settings,
)
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.workflows.home import Home

INTERVAL_SECONDS = 30
_MOST_ATTEMPTS = 100
_A_TICK = 10

_AUDITS = """
    SELECT audits.audit_id, audits.subject, audits.model_version, audits.verdict,
        told.findings AS reason
    FROM audits_in_force AS audits
    LEFT JOIN told ON audits.audit_id = told.audit_id AND told.about = 'verdict'
    ORDER BY audits.sequence NULLS FIRST, audits.finished_at, audits.audit_id
"""
_WORSE = """
    SELECT count(*) AS figures, any_value(previous_version) AS previous_version,
        arg_max(attack || ' ' || metric, abs(difference)) AS largest
    FROM regressions
    WHERE audit_id = $audit_id
    HAVING count(*) > 0
"""
_DUE = "SELECT subject, reason, due_at FROM audits_due ORDER BY subject"


@dataclass
class _Memory:
    """What a sensor remembers: the audits in force that were told of, due dates told of, and what
    is still to deliver."""

    told: list[str] = field(default_factory=list)
    due: dict[str, str] = field(default_factory=dict)
    waiting: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str) -> _Memory | None:
        """What was remembered; None of a form that an older version wrote."""
        row = json.loads(cursor)
        return cls(**row) if set(row) == {f.name for f in fields(cls)} else None


def _of_an_audit(row: dict[str, Any], root: Path) -> list[Notice]:
    subject, version, audit_id = row["subject"], row["model_version"], row["audit_id"]
    found = []
    if row["verdict"] in ("fail", "insufficient evidence"):
        text = f"{row['verdict']}: {row['reason']}"
        found.append(Notice("failed gate", subject, version, text, f"gate:{audit_id}"))
    for worse in ask(root, _WORSE, {"audit_id": audit_id}).to_pylist():
        text = (
            f"{worse['figures']} figures are worse than in {worse['previous_version']}, "
            f"beyond both intervals; the largest change: {worse['largest']}"
        )
        found.append(Notice("regression", subject, version, text, f"regression:{audit_id}"))
    return found


def look(memory: _Memory, root: Path, *, tell: bool) -> list[Notice]:
    """What is new in the history since the last look; with `tell` off it is only remembered."""
    rows = ask(root, _AUDITS).to_pylist()
    # One that is in force again was not when it was looked last, and is told of again.
    new = [row for row in rows if row["audit_id"][:16] not in memory.told]
    memory.told = [row["audit_id"][:16] for row in rows]
    due = {r["subject"]: r for r in ask(root, _DUE).to_pylist()}
    # "Never audited" is due at every moment anew: it is one thing to tell, once.
    late = {name: f"{r['reason']}|{r['due_at'].date()}" for name, r in due.items()}
    fresh = [name for name in late if memory.due.get(name, "").split("|")[0] != due[name]["reason"]]
    memory.due = late
    if not tell:
        return []
    notices = [notice for row in new for notice in _of_an_audit(row, root)]
    for name in fresh:
        row = due[name]
        text = f"due since {row['due_at'].date()}: {row['reason']}"
        notices.append(Notice("audit due", name, "", text, f"due:{name}:{late[name]}"))
    return notices


def deliver(memory: _Memory, notices: list[Notice], root: Path) -> int:
    """Send what is new and what could not be sent before; returns how many still wait."""
    settings = read_settings(root)
    for notice in notices:
        note(notice)
    waiting = [*memory.waiting, *({"notice": n.as_dict(), "attempts": 0} for n in notices)]
    memory.waiting = []
    for i, entry in enumerate(waiting):
        # One dead address must not hold the sensor for minutes.
        if i < _A_TICK and post(Notice(**entry["notice"]), settings):
            continue
        entry["attempts"] += i < _A_TICK
        if entry["attempts"] < _MOST_ATTEMPTS:
            memory.waiting.append(entry)
    return len(memory.waiting)


def notices_sensor(root: Path) -> dg.SensorDefinition:
    """Tells of failed gates, regressions and due audits, each once, until it is taken."""

    @dg.sensor(
        name="notifications",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of failed gates, regressions and audits that are due.",
    )
    def notifications(
        context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]
    ) -> dg.SkipReason:
        known = _Memory.read(context.cursor) if context.cursor else None
        memory = known or _Memory()
        notices: list[Notice] = []
        aside = put_by(home.root)
        memory.waiting += [{"notice": n.as_dict(), "attempts": 0} for n in aside.values()]
        try:
            if home.has_history:
                # What an older history holds is no news on the first look.
                with home.asked_together():
                    notices = look(memory, home.root, tell=known is not None)
            waiting = deliver(memory, notices, root)
        except InputError as error:
            return dg.SkipReason(str(error))
        context.update_cursor(json.dumps(memory.__dict__))
        for path in aside:
            path.unlink(missing_ok=True)
        return dg.SkipReason(f"{len(notices)} new, {waiting} still to deliver")

    return notifications


def _failure(context: dg.RunFailureSensorContext) -> str | None:
    """What went wrong, without any text that could quote a record; None for a failed check."""
    said = ""
    for event in context.get_step_failure_events():
        failure = event.step_failure_data
        error = root_cause(failure.error)
        if error is not None and error.cls_name == "DagsterAssetCheckFailedError":
            continue
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            # Written by this project, which names ids only.
            said = f"{event.step_key}: {failure.user_failure_data.description}"
        else:
            said = said or f"{event.step_key}: {told_of(error)}"
    if said:
        return said
    steps_failed = bool(context.get_step_failure_events())
    return None if steps_failed else "the run failed before or between its steps"


def failures_sensor(root: Path) -> dg.SensorDefinition:
    """Tells of audits that could not be finished."""

    @dg.run_failure_sensor(
        name="failed_audits",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of audits that could not be finished.",
    )
    def failed_audits(context: dg.RunFailureSensorContext, home: dg.ResourceParam[Home]) -> None:
        text = _failure(context)
        if text is None:
            return
        run = context.dagster_run
        subjects = sorted(subjects_of(context.instance, run))
        notice = Notice(
            "failed audit",
            ", ".join(subjects),
            run.tags.get("dagster/partition", ""),
            text,
            f"run:{run.run_id}",
        )
        note(notice)
        try:
            taken = post(notice, read_settings(root))
        except InputError as error:  # of the settings: they can be put right, a notice not
            context.log.warning(str(error))
            taken = False
        if not taken:
            put_aside(notice, home.root)

    return failed_audits
