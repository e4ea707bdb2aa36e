"""On the real digits: attacks find the members, and nothing once the members are permuted."""

from dataclasses import replace

import numpy as np
import pytest

from memory_assets.attacks.registry import select
from memory_assets.examples import digits
from memory_assets.pool.blocks import build_block, cut_blocks, save_block
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.query import pool_signals, target_signals
from memory_assets.pool.trainer import train_target
from memory_assets.records.pairing import draw_pairing
from memory_assets.records.prepared import Prepared
from memory_assets.validity.scoring import FAMILY_LEVEL, attack_aucs
from memory_assets.workflows.model_sources.protocol import questions_about

MODELS = 16
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def signals(tmp_path_factory):
    """A small pool of the shipped recipe, and `v1` as the target."""
    folder, data = tmp_path_factory.mktemp("pool"), digits.load()
    rows = digits.draw_members(data)
    members = np.isin(np.arange(len(data)), rows)
    prepared = Prepared(data, members, draw_pairing(data, members, seed=0))
    pairing, questions = prepared.pairing, questions_about(prepared)
    masks = draw_masks(MODELS, len(pairing.pairs), seed=0)
    files = []
    for block in cut_blocks(MODELS):
        path = folder / f"{block.start}.safetensors"
        trained = build_block(
            block, digits.RECIPE, data.x, data.y, pairing.pairs, pairing.common, masks
        )
        save_block(trained, path)
        files.append((block, path))
    state = train_target(digits.RECIPE, data.x, data.y, rows)
    return (
        pool_signals(digits.RECIPE, files, questions, masks),
        target_signals(digits.RECIPE, state, questions, pairing.target_side),
    )


def aucs(pool, target):
    """Of each attack, over pairs, at a confidence that holds for all of them together."""
    attacks = {attack.name: attack.score for attack in select("standard", MODELS)}
    return attack_aucs(attacks, pool, target, confidence=1 - FAMILY_LEVEL / len(attacks))


def test_v1_is_found_by_its_shadows(signals):
    found = aucs(*signals)
    for name in ("lira_online_fixed", "rmia_offline", "bavaria"):
        assert found[name].ci_low > 0.5, (name, found[name])


def test_permuting_the_members_kills_every_attack(signals):
    pool, target = signals
    coins = np.random.default_rng(3).integers(0, 2, target.side.shape, dtype=np.uint8)
    for name, estimate in aucs(pool, replace(target, side=coins)).items():
        assert estimate.ci_low < 0.5 < estimate.ci_high, (name, estimate)
