"""Unchanged models, release after release, through the real gate and the real regression views.

Every release is the same recipe trained again. What is found worse between two of them, and every
limit that fails although the truth does not exceed it, is a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.trust.pools import answers
from memory_assets.attacks.evaluate import evaluate
from memory_assets.attacks.registry import select
from memory_assets.history.bundle import AUDITS, Audit
from memory_assets.history.schema import migrate
from memory_assets.memorization.information import information
from memory_assets.memorization.profile import profile
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Signals
from memory_assets.results.estimate import Measurement
from memory_assets.results.tables import measurements_table
from memory_assets.statistics.intervals import clopper_pearson, rate
from memory_assets.validity.verdict import Gate, decide
from memory_assets.workflows.privacy_loss import measure_epsilon

MODELS, PAIRS = 16, 400
LIMITED = ("auc", "tpr_at_fpr_0.1", "tpr_at_fpr_0.01")
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Records:
    """Records of one owner: difficulty, gain by training and spread of their margins, `[n, 2]`."""

    difficulty: np.ndarray
    gain: np.ndarray
    spread: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, pairs: int, leak: float) -> Records:
        shape = (pairs, 2)
        gain = leak * np.maximum(0, rng.normal(0.7, 0.8, shape))
        return cls(rng.normal(3, 2.5, shape), gain, rng.uniform(0.5, 1.5, shape))

    def trained(self, side: np.ndarray, rng: np.random.Generator, held_out: int = 0) -> Signals:
        """Models that trained on `side` `[K, n]`; each a little better or worse at everything."""
        is_in = side[..., None] == np.arange(2)
        luck = 0.1 * rng.normal(size=(len(side), 1))
        margin = self.difficulty + self.gain * is_in + self.spread * rng.normal(size=is_in.shape)
        margin = margin + luck[..., None]
        seen = rng.normal(2.5, 2.5, held_out) + luck + rng.normal(size=(len(side), held_out))
        return Signals(answers(margin > 0, margin), answers(seen > 0, seen), side)


def _measured(pool: Signals, target: Signals) -> list[Measurement]:
    """What an audit of the standard set measures of one version."""
    found = evaluate(pool, target, select("standard", pool.models), prior=0.1)
    right = target.held_out.correct[0, :, 0]
    utility = rate(int(right.sum()), right.size)
    accuracy = Measurement("utility", "target", "held_out_accuracy", "probability", utility, 1)
    return [*found.measurements, *measure_epsilon(found, target.side[0]), accuracy]


def same_data(releases: int, seed: int = 0, leak: float = 1.0) -> Iterator[list[Measurement]]:
    """Trained again on the same records; pool and audit set stay: an owner's next version."""
    rng = np.random.default_rng([seed, 0x5A])
    records = Records.draw(rng, PAIRS, leak)
    pool = records.trained(draw_masks(MODELS, PAIRS, seed), rng, held_out=300)
    side = rng.integers(0, 2, (1, PAIRS), dtype=np.uint8)
    for _ in range(releases):
        yield _measured(pool, records.trained(side, rng, held_out=300))


def new_data(releases: int, seed: int = 0, leak: float = 1.0) -> Iterator[list[Measurement]]:
    """Records drawn anew from the same source, and so a pool of their own."""
    for release in range(releases):
        rng = np.random.default_rng([seed, release, 0xDA])
        records = Records.draw(rng, PAIRS, leak)
        pool = records.trained(draw_masks(MODELS, PAIRS, release), rng, held_out=300)
        side = rng.integers(0, 2, (1, PAIRS), dtype=np.uint8)
        target = records.trained(side, rng, held_out=300)
        of_pool = [*profile(pool).measurements, *information(pool, 0, shuffles=1).measurements]
        yield [*_measured(pool, target), *of_pool]


@dataclass(frozen=True)
class Alarms:
    """Findings between successive releases: `figures` were compared, by audit; `worse` found."""

    releases: int
    figures: int
    worse: list[tuple[str, str, str]]

    @property
    def alarmed(self) -> int:
        return len({audit for audit, _, _ in self.worse})


def regressions(releases: Sequence[list[Measurement]], one_data_set: bool = True) -> Alarms:
    """Bring the releases into a history and ask its view `regressions`.

    Without `one_data_set` every release has records of its own, and the history knows it.
    """
    with duckdb.connect(":memory:") as con:
        migrate(con)
        audits, measured = [], []
        for i, found in enumerate(releases):
            day = _START + timedelta(days=i)
            names = dict.fromkeys(
                ("model_digest", "data_digest", "pool_digest", "config_digest", "code_version"), "-"
            )
            if not one_data_set:
                names["data_digest"] = f"{i}"
            audit = Audit(
                audit_id=f"{i:06}",
                subject="unchanged",
                kind="classifier",
                model_version=f"v{i:06}",
                device="cpu",
                started_at=day,
                finished_at=day,
                verdict="inconclusive",
                **names,
            )
            audits.append(asdict(audit))
            measured.append(measurements_table(found, audit.audit_id))
        for name, table in (
            ("audits", pa.Table.from_pylist(audits, schema=AUDITS)),
            ("measurements", pa.concat_tables(measured)),
        ):
            con.register("brought", table)
            con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM brought")
            con.unregister("brought")
        worse = con.execute("SELECT audit_id, attack, metric FROM regressions").fetchall()
        (compared,) = con.execute("SELECT count(*) FROM changes").fetchone() or (0,)
    return Alarms(len(releases) - 1, int(compared), worse)


@dataclass(frozen=True)
class Gated:
    """How often a limit at the truth failed, passed, or was left open."""

    metric: str
    limit: float
    outcomes: dict[str, int]

    def share(self, outcome: str) -> str:
        tried = sum(self.outcomes.values())
        k = self.outcomes[outcome]
        low, high = clopper_pearson(k, tried)
        return f"{k / tried:.1%} ({low:.1%} to {high:.1%})"


def _truths(leak: float, large: int = 20_000) -> dict[str, float]:
    """The strongest attack's value of every limited metric, over many records."""
    rng = np.random.default_rng(11)
    records = Records.draw(rng, large, leak)
    pool = records.trained(draw_masks(MODELS, large, 3), rng)
    side = rng.integers(0, 2, (1, large), dtype=np.uint8)
    found = evaluate(pool, records.trained(side, rng), select("standard", MODELS), prior=0.1)
    return {
        metric: max(m.estimate.value or 0 for m in found.measurements if m.metric == metric)
        for metric in LIMITED
    }


def gates(releases: Sequence[list[Measurement]], leak: float = 1.0) -> list[Gated]:
    """Each limit set to the truth: to fail it is a false alarm, to pass it a false comfort."""
    counted = []
    for metric, limit in _truths(leak).items():
        outcomes = dict.fromkeys(("pass", "fail", "inconclusive"), 0)
        for found in releases:
            outcomes[decide(found, [], Gate({metric: limit})).results[0].outcome] += 1
        counted.append(Gated(metric, limit, outcomes))
    return counted
