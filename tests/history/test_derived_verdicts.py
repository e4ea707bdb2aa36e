"""The rule of a verdict says the same in Python and in SQL, of any limits and controls."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from history_bundles import bundle, written

from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.results.estimate import Control
from memory_assets.results.gate_results import CLAIM, GateResult, Outcome, verdict_of

OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "inconclusive")
KINDS = list(itertools.product(OUTCOMES, (False, True)))


def limit(metric: str, outcome: Outcome, withheld: bool) -> GateResult:
    return GateResult(metric, 0.5, "at most", outcome, None, None, (), withheld=withheld)


def cases() -> list[tuple[tuple[GateResult, ...], bool]]:
    """No limit, one and two of every kind, with and without a claim; controls failed or not."""
    one = [(limit("auc", *kind),) for kind in KINDS]
    two = [
        (limit("auc", *a), limit("tpr_at_fpr_0.01", *b))
        for a, b in itertools.combinations_with_replacement(KINDS, 2)
    ]
    claims = [(), *((limit(CLAIM, outcome, False),) for outcome in ("fail", "inconclusive"))]
    limits = [(*own, *claim) for own in [(), *one, *two] for claim in claims]
    return list(itertools.product(limits, (False, True)))


def test_python_and_sql_come_to_the_same_verdict(tmp_path: Path):
    folders, expected = [], {}
    for number, (results, failed) in enumerate(cases()):
        controls = (Control("any", not failed, None, None, None, ()),)
        made = replace(bundle(version=f"v{number}", controls=controls, records=1))
        made = replace(made, gate_results=results)
        expected[made.audit.model_version] = verdict_of(results, controls)
        folders.append(written(tmp_path / "bundles", made))
    History(tmp_path).append_all(folders)
    found = ask(tmp_path, "SELECT model_version, verdict FROM derived_verdicts").to_pylist()
    assert {row["model_version"]: row["verdict"] for row in found} == expected
    assert set(expected.values()) == {"pass", "fail", "inconclusive", "insufficient evidence"}


def test_nothing_passes_while_a_limit_is_withheld_or_does_not_pass():
    for results, failed in cases():
        controls = (Control("any", not failed, None, None, None, ()),)
        if verdict_of(results, controls) == "pass":
            own = [r for r in results if not r.is_claim]
            assert own
            assert all(r.outcome == "pass" and not r.withheld for r in own)
            assert all(r.outcome != "fail" for r in results)
