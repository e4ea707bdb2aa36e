"""Which recorded audits a price reads besides its own: what the graph asks of all versions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.store import History
from memory_assets.results.estimate import Measurement
from memory_assets.statistics.intervals import rate
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.comparison_audits import audits_beside
from memory_assets.workflows.home import Home
from memory_assets.workflows.pricing import Audited, Neighbours, neighbours, price_audit

sys.path.append(str(Path(__file__).parents[1] / "history"))
from history_bundles import bundle, written

pytestmark = pytest.mark.slow

RELEASED = ["v1", "v2", "v3"]


def subject(**mitigations: str) -> ClassifierSubject:
    return ClassifierSubject.model_validate(
        {
            "subject": "digits",
            "records": {"path": "records.npz", "members": "members.csv"},
            "recipe": {"model": "memory_assets.models.mlp:mlp"},
            "checkpoints": "versions",
            "profile": "healthcare-us",
            "mitigations": mitigations,
        }
    )


def recited(stratum: str = "all", **changes: object) -> Measurement:
    estimate = replace(rate(3, 40), **changes)
    return Measurement(
        "extraction", "discoverable", "extraction_rate", "probability", estimate, 1, stratum
    )


def of(version: str, day: float, *measurements: Measurement, verdict: str = "fail") -> AuditBundle:
    made = bundle(version=version, day=day, measurements=measurements)
    return replace(made, audit=replace(made.audit, verdict=verdict))


def record(tmp_path: Path, *made: AuditBundle) -> Path:
    home = tmp_path / "home"
    History(home).append_all([written(tmp_path / "bundles", one) for one in made])
    return home


def test_a_price_reads_the_newest_audit_of_what_an_option_was_built_by(tmp_path: Path) -> None:
    dp, older, newer, v1 = of("option:dp", 1), of("v2", 2), of("v2", 3), of("v1", 4)
    home = record(tmp_path, dp, older, newer, v1)
    owner = subject(**{"early-stop": "v2", "dp": "option:dp", "output-filter": "v9"})
    everyone = {
        "option early-stop": newer.audit.audit_id,
        "option dp": dp.audit.audit_id,
    }
    found = audits_beside(Home(home), owner, RELEASED)
    assert found["v1"] == everyone
    before = {"release before": v1.audit.audit_id}
    assert found["v3"] == everyone | before
    assert found["v2"] == {"option dp": dp.audit.audit_id} | before


def test_without_a_history_nothing_is_read(tmp_path: Path) -> None:
    found = audits_beside(Home(tmp_path / "home"), subject(**{"early-stop": "v2"}), RELEASED)
    assert found == {"v1": {}, "v2": {}, "v3": {}}


@pytest.mark.parametrize(
    ("before", "leaves"),
    [
        (of("v1", 1, recited()), True),
        (of("v1", 1, recited("repetitions=8-16")), True),
        (of("v1", 1, recited(), verdict="insufficient evidence"), False),
    ],
    ids=["whole", "tier", "no verdict"],
)
def test_a_release_is_beside_the_next_where_it_leaves_a_prior(
    tmp_path: Path, before: AuditBundle, leaves: bool
) -> None:
    own = of("v2", 2, recited())
    home = record(tmp_path, before, own)
    found = audits_beside(Home(home), subject(), RELEASED)
    assert found["v2"] == ({"release before": before.audit.audit_id} if leaves else {})
    assert found["v1"] == {}
    # The price itself says the same: with the release before it is another one, or it is not.
    store, priced = ArtifactStore(home), Audited(own.audit, own.measurements)
    beside = neighbours(home, "digits", "v2", {}, RELEASED)
    assert list(beside.earlier) == [Audited(before.audit, before.measurements)]
    keys = [
        price_audit(priced, subject(), tmp_path, each, None, store).key
        for each in (beside, Neighbours({}))
    ]
    assert (keys[0] != keys[1]) is leaves


def test_the_last_release_that_has_a_verdict_is_beside(tmp_path: Path) -> None:
    """A version that speaks for an option is none; a dozen are read, the last one calls."""
    made = [of(f"v{i}", i, recited()) for i in range(1, 17)]
    made[14] = of("v15", 15, recited(), verdict="insufficient evidence")
    home = record(tmp_path, *made)
    released = [one.audit.model_version for one in made]
    owner = subject(**{"early-stop": "v14"})
    assert audits_beside(Home(home), owner, released)["v16"] == {
        "option early-stop": made[13].audit.audit_id,
        "release before": made[12].audit.audit_id,
    }
    read = neighbours(home, "digits", "v16", owner.mitigations, released).earlier
    expected = [f"v{i}" for i in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15)]
    assert [each.audit.model_version for each in read] == expected
