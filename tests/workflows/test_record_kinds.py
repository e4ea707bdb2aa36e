"""An audit keeps what a record's intervals say of it beside its scores; older tables still fit."""

import numpy as np
import pyarrow as pa

from memory_assets.results.record_scores import RECORD_SCORES, as_record_scores
from memory_assets.workflows.conclusion import _record_scores


def test_the_kind_of_a_record_stands_beside_each_of_its_scores():
    scores = pa.table(
        {
            "record_id": ["b", "a", "b"],
            "member": [True, False, True],
            "attack": ["loss", "loss", "base"],
            "score": [0.1, 0.2, 0.3],
        }
    )
    number = np.array([0.5, 0.4])
    names = ("memorization", "memorization_low", "memorization_high", "influence")
    records = {
        "record_id": np.array(["a", "b"], dtype=object),
        **dict.fromkeys(names, number),
        "kind": np.array(["undecided", "pure leakage"], dtype=object),
    }
    found = _record_scores("id", scores, records)
    assert found["kind"].to_pylist() == ["pure leakage", "undecided", "pure leakage"]
    older = found.drop_columns(["kind"])
    assert as_record_scores(older).schema.equals(RECORD_SCORES)
    assert as_record_scores(older)["kind"].null_count == 3
