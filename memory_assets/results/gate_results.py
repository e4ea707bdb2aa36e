"""What became of each limit that an owner set, and the verdict that follows from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from memory_assets.results.estimate import Control, Measurement, Verdict
from memory_assets.results.findings import Finding

Outcome = Literal["pass", "fail", "inconclusive"]
Direction = Literal["at most", "at least"]

CLAIM = "claimed_epsilon"
"""The name, in place of a metric, of the row that says what became of a claimed epsilon."""


@dataclass(frozen=True)
class GateResult:
    """One limit and the row that decided: its `estimate` carries the widened lower end.

    `direction` says which side of the `limit` may pass. `withheld`: a control failed on which its
    figures rest, so that its outcome counts for nothing. `records_needed` would settle an
    inconclusive one at 80% power; None where no number would or it is settled. `detectable` is the
    least true value that would be seen at 80% power. `findings` say the outcome in words.

    The row of a claim (`CLAIM`) fails where the claim is refuted; else nothing follows from it.
    """

    metric: str
    limit: float
    direction: Direction
    outcome: Outcome
    row: Measurement | None
    records_needed: int | None
    findings: tuple[Finding, ...]
    detectable: float | None = None
    withheld: bool = False

    @property
    def is_claim(self) -> bool:
        return self.metric == CLAIM


def verdict_of(results: Sequence[GateResult], controls: Iterable[Control]) -> Verdict:
    """The verdict of an audit: the one rule that command line, checks, reports and SQL share.

    A refuted claim fails, as does any limit that is not withheld. Else, while a limit is withheld,
    or there is none to hold the audit to and a control failed, there is no verdict. What is left
    passes where every limit passes, and is inconclusive without any limit. The view
    `derived_verdicts` says the same in SQL.

    >>> verdict_of([], [])
    'inconclusive'
    """
    limits = [r for r in results if not r.is_claim]
    if any(r.outcome == "fail" and not r.withheld for r in results):
        return "fail"
    if any(r.withheld for r in limits) or (not limits and any(not c.passed for c in controls)):
        return "insufficient evidence"
    return "pass" if limits and all(r.outcome == "pass" for r in limits) else "inconclusive"
