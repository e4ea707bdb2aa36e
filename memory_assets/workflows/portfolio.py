"""All subjects on one page, from what the history holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from memory_assets.history.questions import ask
from memory_assets.history.regressions import latest_regressions
from memory_assets.reports.catalogue import LANGUAGES
from memory_assets.reports.inputs import TREND, AuditLine, Due, PortfolioInput
from memory_assets.workflows.home import Home

# In order of release, each version by its audit in force; mitigated recipes are no versions.
_AUDITS = """
    SELECT versions.subject, versions.model_version, audits.finished_at, audits.verdict
    FROM versions
    INNER JOIN audits ON versions.audit_id = audits.audit_id
    ORDER BY versions.subject, versions.version_number
"""
# The page shows true positive rates of attacks on all records: of years, nothing else is read.
_TREND = """
    SELECT *, audited_at AS finished_at
    FROM leakage_trend
    WHERE family = 'membership' AND population = 'all' AND measure = 'tpr_at_fpr'
    ORDER BY subject, version_number
"""
_PLAN = "SELECT subject, audited_at, due_at FROM audit_plan WHERE audited_at IS NOT NULL"


def portfolio_input(root: Path, lang: str, as_of: datetime) -> PortfolioInput:
    """What the history says of all subjects at a moment; links lead to the reports that exist."""
    reports = root / "reports"
    lines = []
    for row in ask(root, _AUDITS).to_pylist():
        parts = (row["subject"], row["model_version"], f"{lang}.html")
        there = reports.joinpath(*parts).is_file()
        link = "/".join(quote(part, safe="") for part in parts) if there else None
        lines.append(AuditLine(**row, report=link))
    trend = ask(root, _TREND)
    kept = [name for name in trend.column_names if name in {*TREND.names, "family", "population"}]
    plan = ask(root, _PLAN).to_pylist()
    return PortfolioInput(
        audits=tuple(lines),
        trend=trend.select(kept),
        due=tuple(Due(row["subject"], row["audited_at"], row["due_at"]) for row in plan),
        as_of=as_of,
        worse=tuple(latest_regressions(root)),
    )


def write_pages(home: Home) -> dict[str, Path]:
    """Write `<home>/reports/portfolio.<lang>.html`; returns the pages by language.

    Raises:
        InputError: there is no history, or it does not read.
    """
    from memory_assets.reports.portfolio import write_portfolio

    as_of = datetime.now(UTC)
    with home.asked_together():
        found = {lang: portfolio_input(home.root, lang, as_of) for lang in LANGUAGES}
    pages: dict[str, Path] = {}
    for lang, one in found.items():
        pages |= write_portfolio(one, home.reports, (lang,))
    return pages
