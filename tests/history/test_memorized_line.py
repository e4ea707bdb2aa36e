"""One rule: a record is memorized when its whole interval lies above `MEMORIZED`, never at it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from history_bundles import bundle, written

from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.memorization.influence import Influence
from memory_assets.memorization.kinds import classify
from memory_assets.memorization.per_record import MEMORIZED, PerRecord, share_memorized
from memory_assets.reports.findings import Memorization
from memory_assets.results.record_scores import RECORD_SCORES
from memory_assets.store.digest import digest

AT, ABOVE = MEMORIZED, float(np.nextafter(MEMORIZED, 1))
LOWS = np.array([[AT, ABOVE]])


def test_in_the_kinds_and_in_the_share():
    many = np.full((1, 2), 100)
    scores = PerRecord(LOWS + 0.1, LOWS, LOWS + 0.2, many, many, 0 * many, many)
    nothing = np.zeros((1, 2))
    pays = Influence(
        nothing, nothing, nothing, nothing == 0, nothing.astype(int), 0, nothing, nothing == 0
    )
    assert classify(scores, pays).tolist() == [["undecided", "useful memorization"]]
    assert share_memorized(scores).k == 1


def test_on_the_page():
    value, low = LOWS[0] + 0.1, LOWS[0]
    assert Memorization(("at", "above"), value, low, value, value).clear.tolist() == [False, True]


@pytest.mark.parametrize("question", ["memorized_records", "first_exposed"])
def test_in_the_questions(tmp_path: Path, question: str):
    audit_id = digest("digits", "v1", "", 0)
    rows = [
        {"audit_id": audit_id, "record_id": name, "member": True, "attack": "lira", "score": 0.0}
        | {"memorization": low + 0.1, "memorization_low": low, "memorization_high": low + 0.2}
        for name, low in (("at", AT), ("above", ABOVE))
    ]
    made = bundle(record_scores=pa.Table.from_pylist(rows, schema=RECORD_SCORES))
    History(tmp_path).append_all([written(tmp_path / "b", made)])
    assert ask(tmp_path, question)["record_id"].to_pylist() == ["above"]
