"""One vectorised pass over all targets equals scoring each against the others."""

from dataclasses import fields, replace

import numpy as np
import pytest

from memory_assets.attacks.registry import ATTACKS
from memory_assets.pool.signals import Answers


def _rows(signals, chosen):
    def cut(answers):
        return Answers(**{f.name: getattr(answers, f.name)[chosen] for f in fields(Answers)})

    return replace(
        signals,
        pairs=cut(signals.pairs),
        held_out=cut(signals.held_out),
        side=signals.side[chosen],
    )


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("queries", [1, 3])
def test_equals_a_loop_over_targets(attack, queries, world):
    pool = world(pairs=60, queries=queries).models(8)
    together = attack.score(pool, pool, leave_one_out=True)
    for t in range(8):
        others = _rows(pool, np.arange(8) != t)
        alone = attack.score(others, _rows(pool, [t]))
        np.testing.assert_allclose(together[t], alone[0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_blocks_do_not_change_a_score(attack, world):
    small = world(pairs=61)
    pool, target = small.models(8), small.models(1, draw=1)
    whole = attack.score(pool, target, block=1000)
    np.testing.assert_allclose(attack.score(pool, target, block=7), whole, rtol=1e-9)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_same_signals_same_scores_to_the_bit(attack, world):
    small = world(pairs=60)
    pool, target = small.models(8), small.models(1, draw=1)
    assert np.array_equal(attack.score(pool, target), attack.score(pool, target))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_gain_no_attack(attack, world):
    """Under the null every attack is a coin, on fresh targets and, with enough models, within."""
    null = world(pairs=400, gain=0.0)
    pool, targets = null.models(32), null.models(8, draw=1)
    for scores, inside in (
        (attack.score(pool, targets), targets.is_in),
        (attack.score(pool, pool, leave_one_out=True), pool.is_in),
    ):
        won = [
            np.mean(np.searchsorted(np.sort(s[~m]), s[m], "left")) / (~m).sum()
            + np.mean(np.searchsorted(np.sort(s[~m]), s[m], "right")) / (~m).sum()
            for s, m in zip(scores, inside, strict=True)
        ]
        assert np.mean(won) / 2 == pytest.approx(0.5, abs=0.025)


def test_a_pool_too_small_to_leave_one_out_is_refused(world):
    pool = world(pairs=5).models(4)
    for name in ("lira_online", "lira_offline", "quantile"):
        assert not ATTACKS[name].can_leave_one_out(pool)
        with pytest.raises(ValueError, match=r"too few .* besides the target"):
            ATTACKS[name].score(pool, pool, leave_one_out=True)
    for name in ("rmia_online", "rmia_offline", "bavaria", "base", "lira_online_fixed"):
        assert ATTACKS[name].can_leave_one_out(pool)
        assert np.isfinite(ATTACKS[name].score(pool, pool, leave_one_out=True)).all()


def test_the_only_sure_model_is_left_out_exactly(make_signals):
    """Others of probability 1e-20 beside a target of 1: subtracting would lose them."""
    margins = np.full((6, 1, 2), -46.0)
    margins[0, 0, 0] = 40.0
    pool = make_signals(margins, [[0], [1], [0], [1], [0], [1]])
    score = ATTACKS["base"].score(pool, pool, leave_one_out=True)
    assert score[0, 0, 0] == pytest.approx(46.0, rel=1e-9)
