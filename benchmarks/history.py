"""The history at the size of years: 1,000,000 measurements and 5,000,000 record scores.

Run `python -m benchmarks.history`. Prints, for one run on this machine: every shipped question,
one append, one publish, and the same two on an empty history, so that growth can be seen. Ends
with 1 when a question takes longer than 2 s, an append than 1 s or a publish than 3 s.
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

from benchmarks._goals import Goals
from memory_assets.history.bundle import Audit, AuditBundle
from memory_assets.history.questions import ask, questions
from memory_assets.history.store import History
from memory_assets.results.estimate import Control, Estimate, Measurement
from memory_assets.results.findings import legacy
from memory_assets.results.record_scores import RECORD_SCORES
from memory_assets.store.digest import digest

SUBJECTS, VERSIONS, RECORDS, ATTACKS = 50, 50, 250, 8
REPEATS = 3
QUESTION, APPEND, PUBLISH = 2.0, 1.0, 3.0  # seconds


def _figures() -> list[tuple[str, str, str, str, str]]:
    """The 400 figures of an audit: family, name, stratum, metric and unit, as audits have them."""
    attacks = [f"{name}_{way}" for name in ("lira", "rmia", "base", "quantile") for way in "abc"]
    rates = ["auc", "balanced_accuracy", "tpr_at_fpr_0.1", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001"]
    rates += [f"{kind}_at_shadow_threshold_0.01" for kind in ("tpr", "fpr", "ppv")]
    bounds = ("clopper_pearson_lower_bound", "clopper_pearson_ceiling", "gaussian_dp_lower_bound")
    kinds = ("generalized", "useful_memorization", "pure_leakage", "hard", "undecided")
    found = [
        ("membership", attack, stratum, metric, "probability")
        for attack in attacks
        for metric in rates
        for stratum in ("all", "children", "rare diagnoses")
    ]
    found += [("epsilon", attack, "all", bound, "nats") for attack in attacks for bound in bounds]
    found += [("epsilon", "all attacks", "all", "epsilon", "nats")]
    found += [("memorization", "kinds", "all", f"share_{kind}", "probability") for kind in kinds]
    found += [("utility", "target", "all", "held_out_accuracy", "probability")]
    found += [("gate", "lira_a", "all", metric, "probability") for metric in rates]
    found += [("gate", "lira_a", "all", f"{metric}:threshold", "probability") for metric in rates]
    spare = range(400 - len(found))
    return found + [("information", f"f_cmi_{i}", "score", "bound", "nats") for i in spare]


FIGURES = _figures()

# 2,500 audits, one after another; 400 figures and 250 records x 8 attacks each. Every value drifts
# from version to version by more than its interval is wide in about a fifth of all cases.
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
    audit_id, subject, 'classifier', version, sha256('w' || i), sha256(subject || i // 500),
    sha256(subject), sha256('config'), '0.1.0', 'cpu', finished_at - INTERVAL 1 MINUTE,
    finished_at, ['pass', 'fail', 'inconclusive'][1 + i % 3], 'ok'
FROM made;
INSERT INTO measurements
SELECT
    audit_id, family, name, stratum, metric, unit, if(shown, value, NULL),
    if(shown, value - width, NULL), if(shown, value + width, NULL), 500, 1000,
    if(shown, 'ok', 'unresolvable'), 1
FROM made, figures, LATERAL (
    SELECT
        hash(i, figure) % 1000003 / 2000006 + 0.25 AS value,
        if(hash(subject, figure) % 5 = 0, 0.01, 0.2) AS width,
        NOT (metric = 'tpr_at_fpr_0.001' AND stratum <> 'all') AS shown
)
ORDER BY i, figure;
INSERT INTO controls
SELECT audit_id, 'control_' || range, 0.5, 0.4, 0.6, range < 7 OR i % 50 > 0, 'as expected'
FROM made, range(8);
INSERT INTO record_scores
SELECT
    audit_id, 'record-' || (range // {ATTACKS}), range // {ATTACKS} % 2 = 0,
    'attack_' || (range % {ATTACKS}), random(), m / 64, m / 64 - 0.1, m / 64 + 0.1, random() - 0.5,
    ['useful memorization', 'pure leakage', 'generalized', 'hard', 'undecided'][1 + (m % 5)::BIGINT]
FROM made, range({RECORDS * ATTACKS}),
    LATERAL (SELECT hash(i, range // {ATTACKS}) % 65 AS m)
ORDER BY i, range;
INSERT INTO risk_runs
SELECT sha256('risk' || i), audit_id, 'retail-eu', sha256('profile'), '1', finished_at FROM made;
INSERT INTO risk_estimates
SELECT
    sha256('risk' || i), audit_id, 'option ' || (range % 5), 'quantity ' || (range // 5), 'USD',
    1e6, 5e5, 2e6, 'assumed'
FROM made, range(100);
INSERT INTO forecasts
SELECT sha256('risk' || i), audit_id, 'option ' || range, 'incident', 0.1, 1 FROM made, range(5);
INSERT INTO outcomes
SELECT risk_id, option, event, hash(risk_id) % 10 = 0, now(), 'bench'
FROM forecasts WHERE hash(risk_id) % 3 = 0;
INSERT INTO actions
SELECT
    'action-' || i, 1, subject, version, if(i % 2 = 0, 'sign-off', 'corrective action'), 'a text',
    'owner', if(i % 3 = 0, 'open', 'done'), NULL, finished_at, 'bench', audit_id
FROM made;
INSERT INTO subjects SELECT DISTINCT subject, 'team:privacy', 30 FROM made;
INSERT INTO contents
SELECT audit_id, unnest(['audits', 'measurements', 'controls', 'record_scores']),
    unnest([1, {len(FIGURES)}, 8, {RECORDS * ATTACKS}])
FROM made
UNION ALL
SELECT sha256('risk' || i), unnest(['risk_runs', 'risk_estimates', 'forecasts']),
    unnest([1, 100, 5])
FROM made;
"""


def fill(con: duckdb.DuckDBPyConnection) -> None:
    """Fill an empty history with the audits of years."""
    rows = [(i, *figure) for i, figure in enumerate(FIGURES)]
    names = ("figure", "family", "name", "stratum", "metric", "unit")
    table = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
    con.register("figures", table)
    con.execute(FILL)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds(work: Callable[[], object]) -> float:
    """What it costs whatever else the machine does."""
    start = time.process_time()
    work()
    return time.process_time() - start


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
            "kind": ["undecided"] * n,
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
            for i in range(len(FIGURES))
        ),
        (Control("control_0", True, 0.5, 0.4, 0.6, legacy("as expected")),),
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


def main() -> int:
    goals = Goals()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        empty = History(folder / "empty")
        empty.publish()
        first = append_and_publish(empty, folder, "first")

        history = History(folder / "full")
        history.publish()
        with duckdb.connect(str(folder / "full" / "history" / "writer.duckdb")) as con:
            fill(con)
            counts = con.execute(
                "SELECT (SELECT count(*) FROM measurements), (SELECT count(*) FROM record_scores)"
            ).fetchone()
        size = (folder / "full" / "history" / "writer.duckdb").stat().st_size
        print(f"{counts} rows of measurements and record_scores, {size / 2**20:.0f} MiB,")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; worst of {REPEATS}, seconds")
        full = append_and_publish(history, folder, "last")
        for name, now, before, bound in zip(
            ("append", "publish"), full, first, (APPEND, PUBLISH), strict=True
        ):
            word = goals.check(name, now < bound)
            print(f"{name:24} {now:6.2f}  (empty history {before:.2f}, bound {bound:g}: {word})")
        root = folder / "full"
        print(f"{'question':27} worst   cpu  rows (of one subject), bound {QUESTION:g}")
        for question in questions():
            name, one = question.name, _one_subject(question.parameters)
            worst = max(timed(lambda n=name: ask(root, n)) for _ in range(REPEATS))
            cpu = processor_seconds(lambda n=name: ask(root, n))
            subject = timed(lambda n=name, o=one: ask(root, n, o))
            rows = ask(root, name).num_rows
            word = goals.check(name, max(worst, subject) < QUESTION)
            print(f"{name:27} {worst:5.2f} {cpu:5.2f} {rows:5} ({subject:.2f} s) {word}")
    return goals.exit_code


def _one_subject(parameters: object) -> dict[str, str]:
    return {"subject": "subject-1"} if "subject" in str(parameters) else {}


if __name__ == "__main__":
    raise SystemExit(main())
