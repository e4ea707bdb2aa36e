"""Speed and memory of the attacks at full size, and how they hold up with few shadow models.

Run as `python benchmarks/attacks.py [--small]`. Every ratio is measured within this one run.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_curve

from memory_assets.attacks.evaluate import rocs
from memory_assets.attacks.reference import VARIANCE_FLOOR
from memory_assets.attacks.registry import ATTACKS, Attack
from memory_assets.attacks.rmia import GAMMA, share_beaten
from memory_assets.pool.signals import Answers, Signals
from memory_assets.results.estimate import number
from memory_assets.statistics.roc import Roc

T = TypeVar("T")

MEASURED_TARGETS = 4
"""The loop costs the same for each target; the first few are timed and scaled to all."""


def gaussian_signals(models: int, pairs: int, seed: int = 0) -> Signals:
    """Margins that are Gaussian about each record's difficulty, each record moved by its own gain.

    Difficulties N(3, 2.5), gains from training on it max(0, N(0.7, 0.8)), spread 0.5 to 1.5 nats.
    The masks are balanced and nested: each run of two models takes both sides of a pair.
    """
    rng = np.random.default_rng(seed)
    shape = (pairs, 2, 1)
    difficulty = rng.normal(3, 2.5, shape)
    gain = np.maximum(0, rng.normal(0.7, 0.8, shape))
    spread = rng.uniform(0.5, 1.5, shape)
    first = rng.integers(0, 2, (models // 2, pairs), dtype=np.uint8)
    side = np.stack([first, 1 - first], axis=1).reshape(models, pairs)
    score = rng.standard_normal((models, *shape))
    score *= spread
    score += difficulty
    score += gain * (side[..., None] == np.arange(2, dtype=np.uint8))[..., None]
    answers = Answers(
        score=score,
        p_true=1 / (1 + np.exp(-score)),
        loss=np.logaddexp(0, -score),
        label_pred=np.zeros(score.shape, np.int32),
        correct=score > 0,
    )
    nothing = Answers(
        *(np.empty((models, 0, 1), kind) for kind in (float, float, float, np.int32, bool))
    )
    return Signals(answers, nothing, side)


def resident() -> int:
    """Bytes of memory that this process holds now; the peak so far where /proc is missing."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(work: Callable[[], T]) -> tuple[T, float, float]:
    """The result of `work`, its wall seconds, and the most memory held meanwhile, in GiB."""
    most, done = [resident()], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            most.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return result, seconds, max(*most, resident()) / 2**30


def lira_of_one(pool: Signals, target: int) -> NDArray[np.float64]:
    """Online LiRA of one model against the others, by a loop's body: index, mean, variance."""
    others = np.arange(pool.models) != target
    score, is_in = pool.pairs.score[others, ..., 0], pool.is_in[others]
    phi = pool.pairs.score[target, ..., 0]
    logs = []
    for side in (is_in, ~is_in):
        mean = np.mean(score, axis=0, where=side)
        variance = np.maximum(np.var(score, axis=0, ddof=1, where=side), VARIANCE_FLOOR)
        logs.append(-0.5 * (np.log(variance) + (phi - mean) ** 2 / variance))
    return logs[0] - logs[1]


def bench_lira(pool: Signals) -> None:
    vectorised, seconds, memory = measured(
        lambda: ATTACKS["lira_online"].score(pool, pool, leave_one_out=True)
    )
    loop, each, loop_memory = measured(
        lambda: [lira_of_one(pool, t) for t in range(MEASURED_TARGETS)]
    )
    each /= MEASURED_TARGETS
    off = float(np.max(np.abs(np.stack(loop) - vectorised[:MEASURED_TARGETS])))
    print(
        f"LiRA online, all {pool.models} targets leave-one-out: {seconds:.2f} s "
        f"({memory:.2f} GiB); loop {each:.2f} s a target, {each * pool.models:.0f} s for all "
        f"({loop_memory:.2f} GiB): {each * pool.models / seconds:.0f}x, "
        f"largest difference {off:.1e}"
    )


def bench_rmia(records: int, others: int) -> None:
    rng = np.random.default_rng(1)
    x, z = np.exp(rng.normal(0.1, 1, records)), np.exp(rng.normal(0, 1, others))
    x[: others // 2] = GAMMA * z[: others // 2]  # exact ties, which must not count

    def direct() -> NDArray[np.intp]:
        return np.concatenate(
            [(part[:, None] > GAMMA * z).sum(axis=1) for part in np.array_split(x, 50)]
        )

    fast, seconds, memory = measured(lambda: share_beaten(x, z))
    counts, slow, slow_memory = measured(direct)
    equal = bool(np.array_equal(np.rint(fast * others).astype(np.intp), counts))
    print(
        f"RMIA, {records:,} x {others:,}: {seconds * 1e3:.1f} ms ({memory:.2f} GiB); direct form "
        f"{slow * 1e3:.0f} ms ({slow_memory:.2f} GiB): {slow / seconds:.0f}x, "
        f"counts equal: {equal}"
    )


def bench_roc(records: int, repeats: int = 30) -> None:
    rng = np.random.default_rng(2)
    labels = rng.permutation(np.arange(records) % 2)
    scores = rng.normal(labels * 0.5, 1)
    members, non_members = scores[labels == 1], scores[labels == 0]

    def ours() -> float:
        roc = Roc.of(members, non_members)
        roc.curve()
        return number(roc.auc().value)

    def theirs() -> float:
        fpr, tpr, _ = roc_curve(labels, scores)
        return float(auc(fpr, tpr))

    a, seconds, memory = measured(lambda: [ours() for _ in range(repeats)])
    b, slow, slow_memory = measured(lambda: [theirs() for _ in range(repeats)])
    print(
        f"ROC, {records:,} scores, curve and AUC with its DeLong interval: "
        f"{seconds / repeats * 1e3:.2f} ms ({memory:.2f} GiB); scikit-learn's roc_curve and auc "
        f"{slow / repeats * 1e3:.2f} ms ({slow_memory:.2f} GiB): {slow / seconds:.1f}x, "
        f"AUC differs by {abs(a[0] - b[0]):.0e}"
    )


def bench_every_attack(pool: Signals) -> None:
    print("\nevery attack, leave-one-out over the pool")
    for attack in ATTACKS.values():
        _, seconds, memory = measured(
            lambda attack=attack: attack.score(pool, pool, leave_one_out=True)
        )
        print(f"  {attack.name:<20} {seconds:7.2f} s   {memory:.2f} GiB")


def table_of_models(pairs: int, sizes: tuple[int, ...], targets: int = 16) -> None:
    print(
        f"\nattack against pool size, nested pools, {pairs:,} pairs, mean of {targets} targets: "
        "AUC (TPR at 1% FPR)"
    )
    all_models = gaussian_signals(max(sizes) + targets, pairs, seed=3)
    fresh = all_models.of_models(slice(max(sizes), None))
    print("  " + " " * 20 + "".join(f"{f'K = {k}':>16}" for k in sizes))
    for attack in ATTACKS.values():
        cells = [_cell(attack, all_models.of_models(slice(k)), fresh) for k in sizes]
        print(f"  {attack.name:<20}" + "".join(f"{cell:>16}" for cell in cells))


def _cell(attack: Attack, pool: Signals, targets: Signals) -> str:
    each = rocs(attack.score(pool, targets), targets.is_in)
    area = np.mean([number(roc.auc().value) for roc in each])
    rate = np.mean([number(roc.tpr_at_fpr(0.01).value) for roc in each])
    return f"{area:.3f} ({rate:5.1%})"


def main(small: bool = False) -> None:
    """Print everything; `small` takes a hundredth of the size, where ratios mean nothing."""
    pairs, models, others = (250, 32, 100) if small else (25_000, 256, 10_000)
    pool = gaussian_signals(models, pairs)
    print(f"N = {2 * pairs:,} records, K = {models}; signals {resident() / 2**30:.2f} GiB resident")
    bench_lira(pool)
    bench_rmia(2 * pairs, others)
    bench_roc(2 * pairs)
    bench_every_attack(pool)
    table_of_models(250 if small else 2_000, (4, 8, 16, 32, 64))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a hundredth of the size")
    main(parser.parse_args().small)
