"""Pools of full size: their time and their memory.

    OMP_NUM_THREADS=1 python -m benchmarks.pool_scale

Each part runs in processes of its own, so that the most memory a process ever held is that of the
part. All of it goes through the steps of an audit: blocks as artifacts, signals as a file.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks._goals import Goals
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.examples import digits
from memory_assets.pool.blocks import cut_blocks
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.sources import asked_rows
from memory_assets.records.prepared import Prepared
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import classifier, shadows
from memory_assets.workflows.model_sources.protocol import questions_about

PROCESSES = 2
LARGE, FEATURES = 100_000, 32


def subject(models: int, epochs: int, **changes: Any) -> ClassifierSubject:
    """The shipped subject with a pool of this size."""
    recipe = {"model": digits.RECIPE.model, "model_args": digits.RECIPE.model_args}
    recipe |= {"lr": digits.RECIPE.lr, "batch_size": digits.RECIPE.batch_size, "epochs": epochs}
    fields: dict[str, Any] = {
        "subject": "digits",
        "records": {"loader": "memory_assets.examples.digits:load", "members": "members.csv"},
        "checkpoints": "versions",
        "recipe": recipe,
        "pool": {"models": models},
    }
    return ClassifierSubject.model_validate(fields | changes)


def large_subject() -> ClassifierSubject:
    """100,000 records of 32 numbers, half of them members."""
    recipe = {"model": "memory_assets.models.mlp:mlp", "epochs": 2, "batch_size": 64, "lr": 0.05}
    recipe |= {"model_args": {"inputs": FEATURES, "hidden": 32, "classes": 10}}
    records = {"path": "records.npz", "label": "y", "id": "id", "members": "members.csv"}
    return subject(64, 2, records=records, recipe=recipe)


def write_large(root: Path) -> None:
    rng = np.random.default_rng(0)
    ids = np.array([f"r{i:06d}" for i in range(LARGE)])
    x = rng.normal(size=(LARGE, FEATURES)).astype(np.float32)
    y = (x @ rng.normal(size=(FEATURES, 10)) + rng.gumbel(size=(LARGE, 10)) * 4).argmax(1)
    np.savez(root / "records.npz", x=x, y=y, id=ids)
    (root / "members.csv").write_text("\n".join(["id", *ids[rng.permutation(LARGE)[: LARGE // 2]]]))


def _peak() -> float:
    """The most memory this process ever held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _records(audited: ClassifierSubject, root: Path) -> Path:
    return classifier.prepare_records(audited, root, ArtifactStore(root / "home")).path


def _blocks(audited: ClassifierSubject, root: Path, dataset: Path, numbers: list[int]) -> float:
    prepared, store = Prepared.load(dataset), ArtifactStore(root / "home")
    for number in numbers:
        shadows.train_block(audited, root, prepared, number, store)
    return _peak()


def _signals(audited: ClassifierSubject, root: Path, dataset: Path) -> tuple[Path, float]:
    store = ArtifactStore(root / "home")
    made = shadows.shadow_signals(audited, root, Prepared.load(dataset), store)
    return made.path, _peak()


def _scores(audited: ClassifierSubject, root: Path, dataset: Path, pool: Path) -> float:
    """Answers of a target trained on the members, and all standard attacks on it."""
    from memory_assets.pool.query import target_signals
    from memory_assets.pool.signal_files import save_signals
    from memory_assets.pool.trainer import train_target

    prepared = Prepared.load(dataset)
    assert audited.recipe is not None
    recipe, data, pairing = audited.recipe, prepared.data, prepared.pairing
    questions = questions_about(prepared)
    side = pairing.target_side
    rows = np.concatenate([pairing.pairs[np.arange(len(side)), side], pairing.common])
    state = train_target(recipe, data.x, data.y, rows)
    save_signals(target_signals(recipe, state, questions, side), root / "target.safetensors")
    store = ArtifactStore(root / "home")
    shadows.attack_scores(audited, prepared, pool, root / "target.safetensors", store)
    return _peak()


def apart(work: Callable[..., Any], *args: Any) -> Any:
    """The result of this work, done in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *args).result()


def thorough(root: Path, goals: Goals, models: int = 256) -> None:
    """A pool of depth `thorough` of the shipped subject, in full: 100 epochs."""
    audited = subject(models, digits.RECIPE.epochs)
    dataset = _records(audited, root)
    count = len(cut_blocks(models))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        list(pool.map(_peak_after_start, range(2 * PROCESSES)))
        start = time.perf_counter()
        parts = [list(range(first, count, PROCESSES)) for first in range(PROCESSES)]
        jobs = [pool.submit(_timed_blocks, audited, root, dataset, part) for part in parts]
        used = [job.result() for job in jobs]
        wall = time.perf_counter() - start
    walled = goals.check("thorough pool, wall", wall < 60)
    busy = goals.check("thorough pool, processor time", max(used) < 60)
    print(
        f"{models} models of the digits MLP, {digits.RECIPE.epochs} epochs, {PROCESSES} processes: "
        f"under 60 s: {walled} on the wall ({wall:.1f} s), {busy} of "
        f"processor time ({max(used):.1f} s, the busier process)"
    )


def _peak_after_start(_: int) -> float:
    time.sleep(0.5)  # so that the other process takes one of these, too
    return _peak()


def _timed_blocks(
    audited: ClassifierSubject, root: Path, dataset: Path, numbers: list[int]
) -> float:
    start = time.process_time()
    _blocks(audited, root, dataset, numbers)
    return time.process_time() - start


def memory_by_models(root: Path, sizes: tuple[int, ...] = (64, 1000)) -> None:
    """Peak memory of the process that trains all blocks, and of the one that asks them all.

    The second counts the pages of the signals' file that are still in memory: the kernel may drop
    them at any time.
    """
    print(f"peak memory by the number of models (digits MLP, 1 epoch; {_peak():.2f} GiB at rest):")
    for models in sizes:
        audited = subject(models, 1)
        dataset = _records(audited, root)
        trained = apart(_blocks, audited, root, dataset, list(range(len(cut_blocks(models)))))
        _, asked = apart(_signals, audited, root, dataset)
        print(f"  {models:5} models: training {trained:.3f} GiB, signals {asked:.3f} GiB")


def large(root: Path, goals: Goals) -> None:
    """100,000 records, 64 models: training, signals and the standard attacks."""
    write_large(root)
    audited = large_subject()
    dataset = apart(_records, audited, root)
    numbers = list(range(len(cut_blocks(audited.models))))
    trained = apart(_blocks, audited, root, dataset, numbers)
    signals, asked = apart(_signals, audited, root, dataset)
    scored = apart(_scores, audited, root, dataset, signals)
    told = goals.check("memory of a large audit", max(trained, asked, scored) < 4)
    print(
        f"{LARGE:,} records x {audited.models} models: peak memory of training {trained:.2f}, "
        f"of signals {asked:.2f}, of attacks {scored:.2f} GiB; under 4: {told}"
    )


def _write_shadows(root: Path, dataset: Path, models: int) -> None:
    """Outputs of shadow models as an owner might bring them: one table, model after model."""
    prepared = Prepared.load(dataset)
    pairing, rng = prepared.pairing, np.random.default_rng(0)
    masks = draw_masks(models, len(pairing.pairs), 0)
    rows = asked_rows(questions_about(prepared))
    writer: pq.ParquetWriter | None = None
    for model in range(models):
        trained = np.zeros(len(rows), dtype=np.int64)
        trained[np.arange(len(pairing.pairs)) * 2 + masks[model]] = 1
        logits = rng.normal(size=(len(rows), 10))
        columns = {"record_id": prepared.data.ids[rows].astype(object), "trained": trained}
        columns |= {f"logit_{c}": logits[:, c] for c in range(10)}
        table = pa.table({"model": np.full(len(rows), model), **columns})
        writer = writer or pq.ParquetWriter(root / "shadows.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def outputs(root: Path, goals: Goals, sizes: tuple[int, ...] = (16, 64)) -> None:
    """100,000 records and shadow models that came as a table of their outputs."""
    write_large(root)
    changes = {"recipe": None, "pool": {}, "predictions": {"shadows": "shadows.parquet"}}
    audited = subject(0, 1, records=large_subject().records.model_dump(), **changes)
    dataset = apart(_records, audited, root)
    for models in sizes:
        apart(_write_shadows, root, dataset, models)
        start = time.perf_counter()
        _, peak = apart(_signals, audited, root, dataset)
        told = goals.check(f"memory of the outputs of {models} models", peak < 4)
        print(
            f"{LARGE:,} records, outputs of {models} shadow models in one table: signals in "
            f"{time.perf_counter() - start:.0f} s, peak memory {peak:.2f} GiB (pages of the "
            f"signals' file included); under 4: {told}"
        )


def main() -> int:
    goals = Goals()
    torch.set_num_threads(1)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (by other jobs)")
    parts: tuple[Callable[[Path], None], ...] = (
        lambda root: thorough(root, goals),
        memory_by_models,
        lambda root: large(root, goals),
        lambda root: outputs(root, goals),
    )
    for part in parts:
        with TemporaryDirectory() as folder:
            digits_members(Path(folder))
            part(Path(folder))
    return goals.exit_code


def digits_members(root: Path) -> None:
    data = digits.load()
    (root / "members.csv").write_text("\n".join(["id", *data.ids[digits.draw_members(data)]]))


if __name__ == "__main__":
    sys.exit(main())
