"""What a report is made from: the audit as it was stored, and what cannot be seen in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memory_assets.history.bundle import AuditBundle
from memory_assets.history.regressions import Regression
from memory_assets.reports.extracted import RecitedSecret

if (
    TYPE_CHECKING
):  # the risk model brings scipy along, which whoever loads the graph need not wait for
    from memory_assets.risk.profile import Profile
    from memory_assets.risk.report import RiskReport

NotRunReason = Literal["not_selected", "not_applicable", "needs_input", "too_small", "no_test"]

TREND = pa.schema(
    [
        ("subject", pa.string()),
        ("model_version", pa.string()),
        ("finished_at", pa.timestamp("us", tz="UTC")),
        ("attack", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("status", pa.string()),
    ]
)
"""The columns that a trend must have. With `family` and `population`, only attacks count."""


@dataclass(frozen=True)
class RocCurve:
    """One attack's ROC: false and true positive rates `[p]`, from (0, 0) to (1, 1), both rising."""

    attack: str
    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    n_members: int
    n_nonmembers: int


@dataclass(frozen=True)
class NotRun:
    """An instrument that a reader might expect and that was not used, and why."""

    name: str
    reason: NotRunReason


@dataclass(frozen=True)
class ActionLine:
    """A corrective action or a sign-off as it stands; `recorded_on` is the day of that state.

    `of_this_audit`: it was said of the audit that is reported, and not of an earlier one.
    """

    model_version: str
    kind: Literal["corrective action", "sign-off"]
    description: str
    owner: str
    status: Literal["open", "done", "rejected"]
    due_on: date | None
    recorded_on: date
    of_this_audit: bool = False


@dataclass(frozen=True)
class ReportInput:
    """Everything that the report of one audit shows.

    `trend` holds the subject's earlier audits with at least the columns of `TREND`; the audit
    itself may be among them. `gate` maps a metric to the largest value that may pass. `artifacts`
    maps the name of any further file or table behind the numbers to its SHA-256. `risk` is the
    audit priced through `profile`; without both, no money is spoken of.
    """

    bundle: AuditBundle
    curves: tuple[RocCurve, ...] = ()
    trend: pa.Table = field(default_factory=TREND.empty_table)
    title: str = ""
    description: str = ""
    owner: str = ""
    gate: Mapping[str, float] = field(default_factory=dict)
    not_run: tuple[NotRun, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    next_audit: date | None = None
    risk: RiskReport | None = None
    profile: Profile | None = None
    actions: tuple[ActionLine, ...] = ()
    recited: tuple[RecitedSecret, ...] = ()

    @property
    def name(self) -> str:
        """What a reader calls the model: its title, else the name of the subject."""
        return self.title or self.bundle.audit.subject


@dataclass(frozen=True)
class Due:
    """When a subject was last audited, and by when it must be audited again (aware times)."""

    subject: str
    last_audit: datetime
    due: datetime


@dataclass(frozen=True)
class AuditLine:
    """One audit in the portfolio; `report` is the path of its page relative to the portfolio."""

    subject: str
    model_version: str
    finished_at: datetime
    verdict: str
    report: str | None = None


@dataclass(frozen=True)
class PortfolioInput:
    """All subjects: their versions, the trend of the attacks (columns of `TREND`), what is due.

    `audits` lists the versions of a subject in order of release: a later audit of an old version
    does not make it the latest. `worse` is what got worse in each latest version, the largest
    change of a subject first. `as_of` is the moment that "late" refers to; the page states it.
    """

    audits: tuple[AuditLine, ...]
    trend: pa.Table
    due: tuple[Due, ...]
    as_of: datetime
    worse: tuple[Regression, ...] = ()
