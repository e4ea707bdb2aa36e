"""Is a version worse than the one before it? Asked of an audit that history may not hold yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memory_assets.history.bundle import AuditBundle
from memory_assets.history.files import Files
from memory_assets.history.questions import ask
from memory_assets.results.estimate import Estimate

# The rules of the view `changes`: same instrument, unit and formula, both ends known, and the same
# data where a figure speaks of the very records at hand.
_BEFORE = """
    WITH candidates AS (
        SELECT audit_id
        FROM versions
        WHERE subject = $subject AND list_contains($earlier, model_version)
        ORDER BY list_position($earlier, model_version) DESC
        LIMIT 1
    )

    SELECT
        audits.model_version,
        figures.*
    FROM candidates
    INNER JOIN audits ON candidates.audit_id = audits.audit_id
    INNER JOIN figures ON audits.audit_id = figures.audit_id
    WHERE
        figures.worse IS NOT NULL
        AND (
            NOT of_these_records(figures.family, figures.attack)
            OR audits.data_digest = $data
        )
        AND figures.status IN ('ok', 'at_ceiling')
        AND figures.ci_low IS NOT NULL
        AND figures.ci_high IS NOT NULL
"""
_NOW = """
    SELECT *
    FROM regressions
    WHERE is_latest
    ORDER BY subject, abs(difference) DESC, attack, population, metric
"""
_KEY = ("family", "attack", "population", "metric", "unit", "formula_version")


@dataclass(frozen=True)
class Regression:
    """A figure that lies on the bad side of what it was, beyond both 95% intervals."""

    name: str
    stratum: str
    metric: str
    previous_version: str
    before: Estimate
    now: Estimate
    subject: str = ""
    version: str = ""

    def __str__(self) -> str:
        where = "" if self.stratum == "all" else f" ({self.stratum})"
        before, now = (
            f"{e.value:.3g} ({e.ci_low:.3g} to {e.ci_high:.3g})" for e in (self.before, self.now)
        )
        return f"{self.name} {self.metric}{where}: {now}, in {self.previous_version} {before}"


def regressions_of(root: Path, bundle: AuditBundle, released: Sequence[str]) -> list[Regression]:
    """What got worse since the version released before this one, the largest change first.

    `released` lists the subject's versions, oldest first. Nothing where there is no history yet,
    or no audited version before this one.

    Raises:
        InputError: the history does not read.
    """
    version = bundle.audit.model_version
    if not Files(root).published.exists() or version not in released:
        return []
    earlier = list(released[: released.index(version)])
    audit = bundle.audit
    asked = {"subject": audit.subject, "earlier": earlier, "data": audit.data_digest}
    rows = ask(root, _BEFORE, asked).to_pylist()
    before = {tuple(row[name] for name in _KEY): row for row in rows}
    found = []
    for m in bundle.measurements:
        now = m.estimate
        row = before.get((m.family, m.name, m.stratum, m.metric, m.unit, m.formula_version))
        if row is None or now.ci_low is None or now.ci_high is None:
            continue
        if now.status not in ("ok", "at_ceiling"):
            continue
        worse = (
            now.ci_low > row["ci_high"]
            if row["worse"] == "higher"
            else (now.ci_high < row["ci_low"])
        )
        if worse:
            fields = ("value", "ci_low", "ci_high", "k", "n", "status")
            then = Estimate(**{name: row[name] for name in fields})
            found.append(Regression(m.name, m.stratum, m.metric, row["model_version"], then, now))
    return sorted(found, key=lambda r: -abs((r.now.value or 0.0) - (r.before.value or 0.0)))


def latest_regressions(root: Path) -> list[Regression]:
    """What got worse in the newest version of every subject, the largest change of each first.

    Raises:
        InputError: there is no history, or it does not read.
    """
    return [
        Regression(
            row["attack"],
            row["population"],
            row["metric"],
            row["previous_version"],
            Estimate(
                row["previous_value"],
                row["previous_ci_low"],
                row["previous_ci_high"],
                row["previous_n"],
            ),
            Estimate(row["value"], row["ci_low"], row["ci_high"], row["n"]),
            row["subject"],
            row["model_version"],
        )
        for row in ask(root, _NOW).to_pylist()
    ]
