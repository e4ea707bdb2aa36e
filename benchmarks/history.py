"""The history at the size of years: 1,000,000 measurements and 5,000,000 record scores.

Run `python benchmarks/history.py`. Prints, for one run on this machine: every shipped question,
one append, one publish, and the same two on an empty history, so that growth can be seen.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from memory_assets.digest import digest
from memory_assets.history.bundle import RECORD_SCORES, Audit, AuditBundle
from memory_assets.history.questions import ask, questions
from memory_assets.history.store import History
from memory_assets.statistics.estimate import Control, Estimate, Measurement

SUBJECTS, VERSIONS, FIGURES, RECORDS, ATTACKS = 50, 50, 400, 250, 8
REPEATS = 3

# 2,500 audits, one after another; 400 figures and 250 records x 8 attacks each.
FILL = f"""
CREATE TEMP TABLE made AS
SELECT
    range AS i,
    sha256('audit' || range) AS audit_id,
    'subject-' || (range % {SUBJECTS}) AS subject,
    'v' || (range // {SUBJECTS}) AS version,
    TIMESTAMPTZ '2020-01-01' + to_hours(range::INTEGER) AS finished_at
FROM range({SUBJECTS * VERSIONS});
INSERT INTO audits
SELECT
    audit_id, subject, 'classifier', version, sha256('w' || i), sha256(subject), sha256(subject),
    sha256('config'), '0.1.0', 'cpu', finished_at - INTERVAL 1 MINUTE, finished_at, 'pass', 'ok'
FROM made;
INSERT INTO measurements
SELECT
    audit_id, 'membership', 'attack_' || (range % 20), 'stratum_' || (range // 100 % 4),
    'metric_' || (range // 20 % 5), 'probability', value, value - 0.01, value + 0.01, 500, 1000,
    'ok', 1
FROM made, range({FIGURES}), LATERAL (SELECT random() AS value)
ORDER BY i;
INSERT INTO controls
SELECT audit_id, 'control_' || range, 0.5, 0.4, 0.6, range < 7 OR i % 50 > 0, 'as expected'
FROM made, range(8);
INSERT INTO record_scores
SELECT
    audit_id, 'record-' || (range // {ATTACKS}), range // {ATTACKS} % 2 = 0,
    'attack_' || (range % {ATTACKS}), random(), m / 64, m / 64 - 0.1, m / 64 + 0.1, random() - 0.5
FROM made, range({RECORDS * ATTACKS}),
    LATERAL (SELECT hash(i, range // {ATTACKS}) % 65 AS m)
ORDER BY i, range;
INSERT INTO contents
SELECT audit_id, unnest(['audits', 'measurements', 'controls', 'record_scores']),
    unnest([1, {FIGURES}, 8, {RECORDS * ATTACKS}])
FROM made;
"""


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def new_audit(folder: Path, name: str) -> Path:
    """One more audit of a usual size."""
    audit_id = digest(name)
    rng = np.random.default_rng(0)
    n = RECORDS * ATTACKS
    row = np.arange(n)
    scores = pa.table(
        {
            "audit_id": [audit_id] * n,
            "record_id": [f"record-{i // ATTACKS}" for i in row],
            "member": row // ATTACKS % 2 == 0,
            "attack": [f"attack_{i % ATTACKS}" for i in row],
            "score": rng.random(n),
            "memorization": rng.random(n),
            "memorization_low": np.zeros(n),
            "memorization_high": np.ones(n),
            "influence": rng.random(n),
        },
        schema=RECORD_SCORES,
    )
    rate = Estimate(0.5, 0.4, 0.6, n=1000, k=500)
    now = datetime.now(UTC)
    d = digest("same")
    path = folder / name
    path.mkdir(parents=True)
    AuditBundle(
        Audit(
            audit_id,
            "subject-0",
            "classifier",
            name,
            d,
            d,
            d,
            d,
            "0.1.0",
            "cpu",
            now,
            now,
            "pass",
            "ok",
        ),
        tuple(
            Measurement("membership", f"attack_{i}", "metric_0", "probability", rate, 1)
            for i in range(FIGURES)
        ),
        (Control("control_0", True, 0.5, 0.4, 0.6, "as expected"),),
        scores,
    ).write(path)
    return path


def append_and_publish(history: History, folder: Path, name: str) -> tuple[float, float]:
    appended, published = [], []
    for i in range(REPEATS):
        audit = new_audit(folder, f"{name}-{i}")
        appended.append(timed(lambda audit=audit: history.append(audit)))
        published.append(timed(history.publish))
    return max(appended), max(published)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        empty = History(folder / "empty")
        empty.publish()
        first = append_and_publish(empty, folder, "first")

        history = History(folder / "full")
        history.publish()
        with duckdb.connect(str(folder / "full" / "history" / "writer.duckdb")) as con:
            con.execute(FILL)
            counts = con.execute(
                "SELECT (SELECT count(*) FROM measurements), (SELECT count(*) FROM record_scores)"
            ).fetchone()
        size = (folder / "full" / "history" / "writer.duckdb").stat().st_size
        print(f"{counts} rows of measurements and record_scores, {size / 2**20:.0f} MiB,")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; worst of {REPEATS}, seconds")
        full = append_and_publish(history, folder, "last")
        print(f"{'append':24} {full[0]:6.2f}  (empty history {first[0]:.2f}, bound 1)")
        print(f"{'publish':24} {full[1]:6.2f}  (empty history {first[1]:.2f}, bound 3)")
        root = folder / "full"
        for question in questions():
            worst = max(timed(lambda q=question: ask(root, q.name)) for _ in range(REPEATS))
            one = timed(lambda q=question: ask(root, q.name, _one_subject(q.parameters)))
            rows = ask(root, question.name).num_rows
            print(f"{question.name:24} {worst:6.2f}  ({rows} rows; one subject {one:.2f}, bound 2)")


def _one_subject(parameters: object) -> dict[str, str]:
    return {"subject": "subject-1"} if "subject" in str(parameters) else {}


if __name__ == "__main__":
    main()
