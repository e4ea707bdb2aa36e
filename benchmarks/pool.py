"""Speed of the pool trainer against a plain loop over models, measured in one run.

    OMP_NUM_THREADS=1 python benchmarks/pool.py [--quick]

Both train the same models on the same mini-batches for the same epochs. The plain loop is the
ordinary PyTorch one (module, autograd, torch.optim) in one thread, with the data in memory and no
DataLoader. The pool trainer runs in one process, and in two: a worker takes whole blocks.
Processes are started and warmed up before the clock runs, as they are in a long audit.

Beside the time on the wall stands the processor time (of the busiest worker where there are two):
on a machine that others use, their work lengthens the first and hardly the second. Of the pool the
fastest of `REPEATS` runs counts, of the loop the fastest of all its models, scaled to K: company
can only add time, and the loop has more tries to be undisturbed. Half of the loop runs before the
pool and half after it.

A goal counts as met where the ratio reaches it and both sides train the same models: every
parameter within `TOLERANCE` after one epoch, and LiRA's AUC within 0.005 after all of them. Over
thousands of steps one rounding grows: how far is printed beside how far the loop drifts from itself
when it starts one rounding apart.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks._goals import Goals
from memory_assets.examples.digits import RECIPE, load
from memory_assets.models.recipe import Recipe
from memory_assets.pool import draws
from memory_assets.pool.blocks import (
    Block,
    build_block,
    load_block,
    save_block,
    train_rows,
)
from memory_assets.pool.forward import logits
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Answers
from memory_assets.pool.trainer import train_block

PROCESSES = 2
AUC_TOLERANCE = 0.005
TOLERANCE = 1e-5
REPEATS = 3
NUDGED = 8  # models by which the loop's own drift is told


@dataclass(frozen=True)
class Case:
    """One network on one data set; `flops` per record and pass forward and backward.

    `goal` is the speed-up asked of two cores; None for a case that stands beside one.
    """

    name: str
    recipe: Recipe
    models: int
    loop_models: int
    block: int
    goal: float | None
    flops: float
    x: NDArray[np.float32]
    y: NDArray[np.int64]


def dense_flops(*widths: int) -> float:
    """Multiply-adds twice, forward and both products backward, none to the inputs."""
    layers = list(itertools.pairwise(widths))
    return sum(2.0 * a * b * (2 if i == 0 else 3) for i, (a, b) in enumerate(layers))


def cases(quick: bool) -> list[Case]:
    digits = load()
    rng = np.random.default_rng(0)
    wide_x = rng.normal(size=(2000, 600)).astype(np.float32)
    wide_y = rng.integers(0, 100, 2000)
    image_x = rng.normal(size=(1000, 1, 28, 28)).astype(np.float32)
    image_y = rng.integers(0, 10, 1000)
    mlp, cnn = "memory_assets.models.mlp:mlp", "memory_assets.models.cnn:small_cnn"
    scale = 4 if quick else 1
    shipped = replace(RECIPE, epochs=32 // scale)
    convolutions = 3 * 2.0 * 9 * (16 * 28**2 * 2 / 3 + 16 * 32 * 14**2)
    return [
        *(
            Case(
                f"digits MLP 64-128-10, batches of {batch}{note}",
                replace(shipped, batch_size=batch),
                64, 32 // scale, 16, goal, dense_flops(64, 128, 10), digits.x, digits.y,
            )
            for batch, note, goal in (
                (shipped.batch_size, ", as the shipped subject", 15.0),
                (16, "", None),
                (64, "", None),
            )
        ),
        Case(
            "MLP 600-256-100",
            Recipe(mlp, {"inputs": 600, "hidden": 256, "classes": 100}, epochs=8 // scale, lr=0.01),
            64, 16 // scale, 16, 2.5, dense_flops(600, 256, 100), wide_x, wide_y,
        ),
        Case(
            "two convolutions 28x28",
            Recipe(cnn, epochs=8 // scale, lr=0.01),
            16, 4, 4, 2.5, convolutions + 3 * 2.0 * 32 * 49 * 10, image_x, image_y,
        ),
    ]  # fmt: skip


def plain_loop(
    case: Case, rows: NDArray[np.int64], index: int, nudged: bool = False
) -> dict[str, torch.Tensor]:
    """One model as everybody writes it; only the draw of weights and batches is the pool's.

    `nudged`: its initial weights are the next larger float32 numbers.
    """
    recipe = case.recipe
    x, y = torch.from_numpy(case.x), torch.from_numpy(case.y)
    model = draws.initial_model(recipe, index)
    if nudged:
        for p in model.parameters():
            p.data = torch.nextafter(p.data, torch.tensor(torch.inf))
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum)
    for batch in draws.batches(recipe, rows[None], case.y[rows[None]], [index]):
        chosen = torch.from_numpy(batch.rows[0])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
    return model.state_dict()


@dataclass(frozen=True)
class Time:
    """Seconds on the wall, and of the processor."""

    wall: float
    used: float

    @classmethod
    def least(cls, times: list[Time], share: float = 1.0) -> Time:
        return cls(share * min(t.wall for t in times), share * min(t.used for t in times))


def _looped(
    case: Case, rows: NDArray[np.int64], models: range
) -> tuple[list[dict[str, torch.Tensor]], list[Time]]:
    """These models by the plain loop, and the time of each."""
    states, times = [], []
    for k in models:
        start, used = time.perf_counter(), time.process_time()
        states.append(plain_loop(case, rows[k], k))
        times.append(Time(time.perf_counter() - start, time.process_time() - used))
    return states, times


def matmul_peak() -> float:
    """GFLOP/s of one thread on a large product: the most that any of this could reach.

    By processor time, which is the time on the wall of a thread that has its core to itself.
    """
    a = torch.randn(1024, 1024)
    best = 0.0
    for _ in range(20):
        start = time.process_time()
        torch.mm(a, a)
        best = max(best, 2 * 1024**3 / (time.process_time() - start) / 1e9)
    return best


def _work(
    case: Case,
    blocks: list[Block],
    masks: NDArray[np.uint8],
    pairs: NDArray[np.int64],
    folder: Path,
) -> tuple[list[Path], float]:
    """What the steps of an audit do: train blocks, write artifacts. Paths and processor time."""
    start, none, paths = time.process_time(), np.empty(0, np.int64), []
    for block in blocks:
        paths.append(folder / f"{uuid4().hex}.safetensors")
        save_block(build_block(block, case.recipe, case.x, case.y, pairs, none, masks), paths[-1])
    return paths, time.process_time() - start


def _warm(case: Case) -> None:
    rows = np.tile(np.arange(128), (2, 1))
    train_block(case.recipe, case.x, case.y, rows, [0, 1])


def _auc(case: Case, states: dict, pairs: NDArray[np.int64], masks: NDArray[np.uint8]) -> float:
    """AUC of fixed-variance LiRA, each model against the others, over all models and records."""
    z = logits(case.recipe, states, case.x[pairs.ravel()])
    phi = Answers.from_logits(z, case.y[pairs.ravel()]).score[..., 0]
    inside = (masks[..., None] == np.arange(2)).reshape(len(masks), -1)
    mean_in = np.ma.array(phi, mask=~inside).mean(0).filled(0)
    mean_out = np.ma.array(phi, mask=inside).mean(0).filled(0)
    return float(
        roc_auc_score(
            inside.ravel(), (phi * (mean_in - mean_out) - (mean_in**2 - mean_out**2) / 2).ravel()
        )
    )


def _gap(alone: list[dict[str, torch.Tensor]], stacked: dict) -> NDArray[np.float64]:
    """The largest difference of a parameter, by model `[B]`."""
    return np.array(
        [
            max(float(np.abs(value.numpy() - stacked[n][k]).max()) for n, value in state.items())
            for k, state in enumerate(alone)
        ]
    )


def _first_epoch(case: Case, rows: NDArray[np.int64], models: int = 2) -> float:
    """How far the first models are from the loop's after one epoch."""
    short = replace(case, recipe=replace(case.recipe, epochs=1))
    alone, _ = _looped(short, rows, range(models))
    stacked = train_block(short.recipe, case.x, case.y, rows[:models], range(models))
    return float(_gap(alone, stacked).max())


def _pools(
    case: Case,
    pool: ProcessPoolExecutor,
    masks: NDArray[np.uint8],
    pairs: NDArray[np.intp],
    folder: Path,
) -> tuple[Time, Time, list[Path], list[Path]]:
    """The pool in one process and in two: the least times, and the blocks of each."""
    blocks = [Block(k, min(k + case.block, case.models)) for k in range(0, case.models, case.block)]
    half = len(blocks) // PROCESSES
    ones, twos, single, both = [], [], [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        single, used = _work(case, blocks, masks, pairs, folder)
        ones.append(Time(time.perf_counter() - start, used))
        start = time.perf_counter()
        jobs = [
            pool.submit(_work, case, part, masks, pairs, folder)
            for part in (blocks[:half], blocks[half:])
        ]
        done = [job.result() for job in jobs]
        twos.append(Time(time.perf_counter() - start, max(used for _, used in done)))
        both = [path for paths, _ in done for path in paths]
    return Time.least(ones), Time.least(twos), single, both


def run(case: Case, pool: ProcessPoolExecutor, folder: Path, goals: Goals) -> None:
    pairs = np.random.default_rng(1).permutation(len(case.y) // 2 * 2).reshape(-1, 2)
    masks = draw_masks(case.models, len(pairs), 7)
    rows = train_rows(pairs, np.empty(0, np.int64), masks)
    list(pool.map(_warm, [case] * (2 * PROCESSES)))
    _warm(case)
    first = _first_epoch(case, rows)

    half_loop = case.loop_models // 2
    alone, loops = _looped(case, rows, range(half_loop))
    one, two, single, both = _pools(case, pool, masks, pairs, folder)
    later, times = _looped(case, rows, range(half_loop, case.loop_models))
    alone, k = alone + later, case.loop_models
    loop = Time.least(loops + times, case.models)

    single, both = ([load_block(path) for path in paths] for paths in (single, both))
    same = all(np.array_equal(a[n], b[n]) for a, b in zip(single, both, strict=True) for n in a)
    states = {n: np.concatenate([block[n] for block in both]) for n in both[0]}
    gaps = _gap(alone, states)
    again = [plain_loop(case, rows[i], i, nudged=True) for i in range(min(k, NUDGED))]
    drift = _gap(again, {n: np.stack([s[n].numpy() for s in alone]) for n in states})
    peak = matmul_peak()
    work = case.flops * rows.shape[1] * case.recipe.epochs * case.models / 1e9
    print(f"\n{case.name}: K = {case.models}, {case.recipe.epochs} epochs, {rows.shape[1]} records")
    for name, took, cores in (
        (f"plain loop ({k} models timed)", loop, 1),
        ("pool, one process", one, 1),
        (f"pool, {PROCESSES} processes", two, PROCESSES),
    ):
        print(
            f"  {name:28} {took.wall:7.2f} s wall {loop.wall / took.wall:5.1f}x   "
            f"{took.used:7.2f} s processor {loop.used / took.used:5.1f}x "
            f"{work / took.used:7.1f} of {peak * cores:.0f} GFLOP/s"
        )
    print(
        f"  same bits in one and {PROCESSES} processes: {same}; largest difference of a parameter "
        f"from the loop's, after an epoch: {first:.1e}\n"
        f"  and at the end: {np.median(gaps):.0e} in the median model, {gaps.max():.0e} in the "
        f"farthest of {k}\n"
        f"  (the loop from itself, started one rounding apart: {np.median(drift):.0e}, "
        f"{drift.max():.0e} in the farthest of {len(drift)})"
    )
    looped = {n: np.stack([state[n].numpy() for state in alone]) for n in states}
    small, part = {n: v[:k] for n, v in states.items()}, masks[:k]
    aucs = _auc(case, looped, pairs, part), _auc(case, small, pairs, part)
    print(f"  LiRA AUC of the first {k} models: loop {aucs[0]:.4f}, pool {aucs[1]:.4f}")
    if case.goal is None:
        return
    equal = same and first <= TOLERANCE and abs(aucs[0] - aucs[1]) <= AUC_TOLERANCE
    ratios = {"on the wall": loop.wall / two.wall, "of processor time": loop.used / two.used}
    told = [
        f"{goals.check(f'{case.name}, {of}', equal and ratio >= case.goal)} {of} ({ratio:.1f}x)"
        for of, ratio in ratios.items()
    ]
    print(f"  goal on {PROCESSES} cores: {case.goal}x with the same models: {'; '.join(told)}")


def main() -> int:
    goals = Goals()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer epochs and models in the loop")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (by other jobs); "
        f"matrix product peak of one thread {matmul_peak():.0f} GFLOP/s"
    )
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool, TemporaryDirectory() as folder:
        for case in cases(quick):
            run(case, pool, Path(folder), goals)
    return goals.exit_code


if __name__ == "__main__":
    sys.exit(main())
