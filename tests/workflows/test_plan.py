"""What is told of an audit before it runs is told of the records that it will read."""

from pathlib import Path

import numpy as np

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.workflows.classifier import records_now
from memory_assets.workflows.sensitivity import planned

N = 40


def test_the_list_of_members_is_read_as_the_audit_reads_it(tmp_path: Path) -> None:
    """By the column that the owner names, where `id` is another."""
    x = np.random.default_rng(0).normal(size=N)
    rows = [f"c{i},{value},{i % 2}" for i, value in enumerate(x)]
    (tmp_path / "claims.csv").write_text("\n".join(["claim_id,age,label", *rows]))
    listing = [f"{1000 + i},c{i}" for i in range(N // 2)]
    (tmp_path / "members.csv").write_text("\n".join(["id,claim_id", *listing]))
    subject = ClassifierSubject.model_validate(
        {
            "subject": "claims",
            "records": {"path": "claims.csv", "members": "members.csv", "id": "claim_id"},
            "fit": "a:b",
            "checkpoints": "versions",
            "gate": {"auc": 0.8},
        }
    )
    pairs = len(records_now(subject, tmp_path).pairing.pairs)
    (row,) = planned(subject, tmp_path)
    assert (row.members, row.others) == (pairs, pairs)
