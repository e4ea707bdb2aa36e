"""All instruments on the shipped digits, K = 128: CPU time without training; and attack against K.

The table takes nested pools (the first 4, 8, ... models of the same 128) and the mean over several
targets trained like `v1` from their own random draws, so that a difference between rows is one of
pool size and not of luck.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

MODELS = 128
SIZES = (4, 8, 16, 32, 64, 128)
TARGETS = 6
ATTACKS = (
    "lira_online",
    "lira_online_fixed",
    "lira_offline_fixed",
    "rmia_online",
    "rmia_offline",
    "base",
    "bavaria",
    "calibrated_loss",
)


def _signals(folder: Path):
    """Signals of the pool and of the targets, and the prepared records."""
    from memory_assets.examples import digits
    from memory_assets.pool.blocks import build_block, cut_blocks, save_block
    from memory_assets.pool.masks import draw_masks
    from memory_assets.pool.query import pool_signals, target_signals
    from memory_assets.pool.trainer import train_target
    from memory_assets.records.pairing import draw_pairing
    from memory_assets.records.prepared import Prepared
    from memory_assets.workflows.model_sources.protocol import questions_about

    data = digits.load()
    rows = digits.draw_members(data)
    members = np.isin(np.arange(len(data)), rows)
    prepared = Prepared(data, members, draw_pairing(data, members, seed=0))
    pairing, questions = prepared.pairing, questions_about(prepared)
    masks = draw_masks(MODELS, len(pairing.pairs), seed=0)
    blocks = []
    for block in cut_blocks(MODELS):
        path = folder / f"{block.start}.safetensors"
        trained = build_block(
            block, digits.RECIPE, data.x, data.y, pairing.pairs, pairing.common, masks
        )
        save_block(trained, path)
        blocks.append((block, path))
    pool = pool_signals(digits.RECIPE, blocks, questions, masks)
    targets = [
        target_signals(
            digits.RECIPE,
            train_target(digits.RECIPE, data.x, data.y, rows, draw=draw),
            questions,
            pairing.target_side,
        )
        for draw in range(TARGETS)
    ]
    return prepared, pool, targets


def _timed(name: str, work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    spent = time.process_time() - start
    print(f"  {name:<28}{spent:8.2f} s CPU")
    return spent


def _all_instruments(prepared, pool, target) -> None:
    from memory_assets.attacks.evaluate import evaluate
    from memory_assets.attacks.registry import select
    from memory_assets.memorization.information import information
    from memory_assets.memorization.profile import profile
    from memory_assets.validity.blind import blind_baseline
    from memory_assets.validity.negative import negative_control
    from memory_assets.validity.positive import positive_control
    from memory_assets.validity.recipe_match import recipe_match
    from memory_assets.workflows.privacy_loss import measure_epsilon

    chosen = select("thorough", MODELS)
    scores = {attack.name: attack.score for attack in chosen}
    side, pairs = prepared.pairing.target_side, prepared.pairing.pairs
    x, y = prepared.data.x[pairs], prepared.data.y[pairs]
    found = []
    total = sum(
        (
            _timed(
                f"{len(chosen)} attacks",
                lambda: found.append(evaluate(pool, target, chosen, prior=0.5)),
            ),
            _timed("epsilon", lambda: measure_epsilon(found[0], side)),
            _timed("memorization and influence", lambda: profile(pool)),
            _timed("information, both channels", lambda: information(pool, seed=0)),
            _timed("negative control", lambda: negative_control(scores, pool, target, 0)),
            _timed("positive control", lambda: positive_control(scores, pool, side)),
            _timed("blind baseline", lambda: blind_baseline(x, side, 0, y)),
            _timed("recipe match", lambda: recipe_match(pool, target)),
        )
    )
    print(f"  {'together':<28}{total:8.2f} s CPU   (bound 10 s)")


def _attack_against_models(pool, targets) -> None:
    from memory_assets.attacks.evaluate import rocs
    from memory_assets.attacks.registry import ATTACKS as REGISTRY

    print(f"\nAUC (TPR at 1% FPR), mean over {len(targets)} targets, by size of the pool")
    print(f"  {'attack':<20}" + "".join(f"{k:>16}" for k in SIZES))
    for name in ATTACKS:
        cells = []
        for models in SIZES:
            small = pool.of_models(slice(models))
            found = [
                rocs(REGISTRY[name].score(small, target), target.is_in)[0] for target in targets
            ]
            auc = np.mean([roc.auc().value for roc in found])
            tpr = np.mean([roc.tpr_at_fpr(0.01).value for roc in found])
            cells.append(f"{auc:.3f} ({tpr:.3f})")
        print(f"  {name:<20}" + "".join(f"{cell:>16}" for cell in cells))


def main() -> None:
    with TemporaryDirectory() as name:
        prepared, pool, targets = _signals(Path(name))
    print(f"digits, K = {MODELS}, {len(prepared.pairing.pairs)} pairs, training excluded")
    _all_instruments(prepared, pool, targets[0])
    _attack_against_models(pool, targets)


if __name__ == "__main__":
    main()
