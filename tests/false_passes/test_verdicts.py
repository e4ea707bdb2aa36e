"""No wrong set-up passes, and honest models do: a tenth of `benchmarks verdicts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from benchmarks import verdicts
from benchmarks.setups import classifiers, text_faults, texts
from memory_assets.errors import InputError
from memory_assets.store.artifacts import ArtifactStore

pytestmark = pytest.mark.xdist_group("verdicts")

TENTH = 11
"""About: with 10 the sources, which take turns by fives, would not all have one."""
SELDOM = 50
"""One language model, for each trains for seconds; `test_language_instrument` has others."""
MOST_NOT_PASSED = 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtifactStore]:
    yield ArtifactStore(tmp_path_factory.mktemp("verdicts"))
    texts.forget()


@pytest.mark.slow
def test_no_wrong_set_up_passes(store: ArtifactStore, tally) -> None:
    setups = [
        *verdicts.every(classifiers.wrong(), TENTH),
        *verdicts.every(text_faults.wrong(), SELDOM),
    ]
    tried = list(verdicts.audit_all(setups, store))
    assert len(tried) >= 10
    assert len({each.setup.source for each in tried}) >= 6
    assert [each.told for each in tried if each.outcome == "pass"] == []
    # Were they all withheld or refused, nothing would be said of a leak that stays one.
    assert Counter(each.outcome for each in tried)["fail"] >= 3
    tally("verdicts: wrong set-ups audited", len(tried))


@pytest.mark.slow
def test_honest_models_pass(store: ArtifactStore, tally) -> None:
    setups = [
        *verdicts.every(classifiers.honest(), TENTH),
        *verdicts.every(text_faults.honest(), SELDOM),
    ]
    tried = list(verdicts.audit_all(setups, store))
    assert len(tried) >= 10
    assert len({each.setup.source for each in tried}) >= 4
    missed = [each.told for each in tried if each.outcome != "pass"]
    assert len(missed) <= MOST_NOT_PASSED, missed
    tally("verdicts: honest set-ups audited", len(tried))


class Fixed:
    """A set-up whose audit ends as it is told."""

    def __init__(self, outcome: str):
        self.source, self.kind, self.fault, self.outcome = "a way", "a kind", "a fault", outcome

    def audit(self, *_):
        if self.outcome == "refused":
            raise InputError("refused by name")
        audit = type("Audit", (), {"verdict": self.outcome, "reason": "a reason"})
        return type("Bundle", (), {"audit": audit})


@pytest.mark.parametrize(
    ("good", "wrong", "honest", "code"),
    [
        ("fail", "refused", "pass", 0),
        ("fail", "pass", "pass", 1),
        ("inconclusive", "fail", "pass", 1),
        ("fail", "insufficient evidence", "inconclusive", 1),
    ],
)
def test_a_goal_that_is_missed_ends_the_run_with_one(
    good: str, wrong: str, honest: str, code: int, monkeypatch, capsys
) -> None:
    most = verdicts.MOST_NOT_PASSED
    monkeypatch.setattr(verdicts, "good_copies", lambda: [Fixed(good)])
    monkeypatch.setattr(verdicts, "wrong", lambda: [Fixed("fail")] * 99 + [Fixed(wrong)])
    fair = [Fixed("pass")] * 99 + [Fixed(honest)] * (most + 1)
    monkeypatch.setattr(verdicts, "honest", lambda: fair)
    assert verdicts.main() == code
    told = capsys.readouterr().out
    assert f"| a fault | a way |  | {99 + (wrong == 'fail')} |" in told or wrong == "pass"
    assert (f"honest models that do not pass, of 105: {most + 1}" in told) is (honest != "pass")
    if code:
        assert "goal missed" in told


def test_too_few_set_ups_prove_nothing(monkeypatch) -> None:
    monkeypatch.setattr(verdicts, "good_copies", list)
    monkeypatch.setattr(verdicts, "wrong", lambda: [Fixed("fail")] * 99)
    monkeypatch.setattr(verdicts, "honest", lambda: [Fixed("pass")] * 100)
    assert verdicts.main() == 1


def test_there_are_enough_of_both_kinds() -> None:
    assert len(verdicts.wrong()) >= verdicts.FEWEST
    assert len(verdicts.honest()) >= verdicts.FEWEST
    leaking = {(each.source, each.kind) for each in verdicts.good_copies()}
    assert {(each.source, each.kind) for each in verdicts.wrong()} <= leaking
