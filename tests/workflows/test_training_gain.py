"""What the model does on its training records is counted, shown, and never priced."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv
from ways_world import IDS, MEMBERS, RECORDS, Y, make_world, outputs

from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.page import render
from memory_assets.statistics.intervals import rate
from memory_assets.workflows.pricing import Audited, Neighbours, price_audit, profile_of, read_risk

pytestmark = pytest.mark.slow


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_from_the_answers_to_the_page(tmp_path: Path) -> None:
    """The owner's model answers 63 of its 70 members rightly, and 12 of 20 held-out records."""
    world = make_world(tmp_path)
    subject = world.subject(fit="ways_world:fit", profile="healthcare-us")
    prepared = world.prepared(subject)
    assert len(prepared.pairing.pairs) == MEMBERS.sum() == 70
    held_out = prepared.pairing.held_out
    assert len(held_out) == 20
    right = np.ones(RECORDS, dtype=bool)
    right[np.flatnonzero(MEMBERS)[:7]] = False
    right[held_out[:8]] = False
    said = np.where(right, Y, 1 - Y)
    sure = np.where(said == 1, 0.9, 0.1)
    table = outputs(np.stack([1 - sure, sure], axis=1), np.arange(RECORDS))
    assert table["record_id"].to_pylist() == list(IDS)
    csv.write_csv(table, world.root / "versions" / "v1.csv")

    bundle = world.audit(subject)
    found = {m.metric: m for m in bundle.measurements if m.family == "utility"}
    assert found["member_accuracy"].estimate == rate(63, 70)
    assert found["held_out_accuracy"].estimate == rate(12, 20)

    # Whatever the verdict on so small a world is; without one nothing is priced.
    judged = replace(bundle, audit=replace(bundle.audit, verdict="inconclusive"))
    alone = Neighbours({})
    own = Audited(judged.audit, judged.measurements)
    risk = read_risk(price_audit(own, subject, tmp_path, alone, None, world.store).path)
    profile = profile_of(subject, tmp_path)
    assert profile is not None
    value = profile.value
    assert value.minutes_saved is not None
    assert value.wage_per_hour is not None
    unit = value.minutes_saved.mean / 60 * value.wage_per_hour.mean
    assert risk.training_gain is not None
    assert risk.training_gain.value == pytest.approx(0.3 * value.volume.mean * unit)
    assert risk.training_gain.value in {
        row.value for row in risk.rows() if row.quantity == "training_gain"
    }

    report = ReportInput(bundle=judged, risk=risk, profile=profile)
    page = words(render(report, "en"))
    assert "Not counted: gain on training records" in page
    assert "Accuracy on training data · audited model 90.0% (80.5% to 95.9%) 70 " in page
    assert "数えない部分：学習記録での改善" in words(render(report, "ja"))
