"""Audits that compared a model with the wrong thing, and passed: each must be withheld, by name.

Small real models on real digits beside their shadows, and records that differ by themselves.
"""

from dataclasses import replace

import numpy as np
import pytest

from memory_assets.language.controls import blind_control
from memory_assets.models.recipe import Recipe
from memory_assets.pool.blocks import train_rows
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Answers, Signals
from memory_assets.validity.blind import blind_baseline
from memory_assets.validity.recipe_match import recipe_match

pytestmark = pytest.mark.slow

PAIRS, MODELS = 300, 16
RECIPE = Recipe(
    model="memory_assets.models.mlp:mlp",
    model_args={"inputs": 64, "hidden": 48, "classes": 10},
    lr=0.05,
    epochs=60,
    batch_size=32,
)


def cause(control):
    """Which cause the control names."""
    (found,) = control.findings
    cause = found.parameters.get("cause")
    return cause.key.removeprefix("cause.") if cause else None


class Digits:
    """A pool on real digits, and targets that went wrong in one way each."""

    def __init__(self):
        from sklearn.datasets import load_digits

        from memory_assets.pool.trainer import train_block

        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))[: 2 * PAIRS + 200]
        self.x, self.y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
        self.pairs = np.arange(2 * PAIRS).reshape(PAIRS, 2)
        self.held_out = np.arange(2 * PAIRS, len(order))
        masks = draw_masks(MODELS, PAIRS, 0)
        none = np.zeros(0, dtype=np.int64)
        rows = train_rows(self.pairs, none, masks)
        stacked = train_block(RECIPE, self.x, self.y, rows, range(MODELS))
        self.pool = self.ask(RECIPE, stacked, masks)
        self.side = np.random.default_rng(7).integers(0, 2, PAIRS).astype(np.uint8)
        self.own = train_rows(self.pairs, none, self.side[None])[0]

    def ask(self, recipe, stacked, side, turn=None, x=None):
        from memory_assets.pool.forward import stream_logits

        parts = []
        for rows, shape in ((self.pairs.ravel(), (PAIRS, 2)), (self.held_out, (-1,))):
            z = np.zeros((len(side), len(rows), 10))
            for model, block, logits in stream_logits(
                recipe, stacked, self.x if x is None else x, rows, "cpu", "identity"
            ):
                z[model, block] = logits.reshape(-1, 10)
            z = z if turn is None else z[..., turn]
            z = z.reshape(len(side), *self.y[rows].reshape(shape).shape, 1, 10)
            parts.append(Answers.from_logits(z, self.y[rows].reshape(shape)))
        return Signals(parts[0], parts[1], np.asarray(side, np.uint8))

    def target(self, recipe=RECIPE, rows=None, side=None, draw=0, **asked):
        from memory_assets.pool.trainer import train_target

        rows = self.own if rows is None else rows
        state = train_target(recipe, self.x, self.y, rows, draw)
        stacked = {name: value[None] for name, value in state.items()}
        return self.ask(recipe, stacked, (self.side if side is None else side)[None], **asked)


@pytest.fixture(scope="module")
def digits():
    return Digits()


def test_honest_targets_look_like_their_shadows(digits):
    found = [recipe_match(digits.pool, digits.target(draw=draw)) for draw in range(6)]
    assert all(control.passed for control in found), [c.detail for c in found if not c.passed]


def test_a_checkpoint_trained_on_every_pair_record_is_withheld(digits):
    control = recipe_match(digits.pool, digits.target(rows=digits.pairs.ravel()))
    assert not control.passed
    assert cause(control) == "contaminated"


def test_half_of_the_non_members_trained_on_are_seen(digits):
    others = digits.pairs[np.arange(PAIRS), 1 - digits.side.astype(int)]
    rows = np.concatenate([digits.own, others[: PAIRS // 2]])
    control = recipe_match(digits.pool, digits.target(rows=rows))
    assert not control.passed


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 24}, "recipe"),
        ({"epochs": 180}, "recipe_more"),
        ({"weight_decay": 3e-3}, "recipe"),
        ({"label_smoothing": 0.2}, "recipe"),
    ],
)
def test_another_recipe_is_withheld(digits, change, named):
    control = recipe_match(digits.pool, digits.target(replace(RECIPE, **change)))
    assert not control.passed
    assert cause(control) == named


def test_members_and_non_members_exchanged_are_told_from_another_recipe(digits):
    control = recipe_match(digits.pool, digits.target(side=1 - digits.side))
    assert not control.passed
    assert cause(control) == "swapped"


def test_a_list_of_which_half_is_wrong_is_named(digits):
    wrong = np.random.default_rng(3).random(PAIRS) < 0.5
    control = recipe_match(digits.pool, digits.target(side=digits.side ^ wrong))
    assert not control.passed
    assert cause(control) == "list"


def test_classes_in_another_order_are_named(digits):
    turn = np.roll(np.arange(10), 3)
    control = recipe_match(digits.pool, digits.target(turn=turn))
    assert not control.passed
    assert cause(control) == "classes"


def test_records_prepared_in_another_way_are_named(digits):
    control = recipe_match(digits.pool, digits.target(x=1 - digits.x))
    assert not control.passed
    assert cause(control) == "preprocessing"


def wide(n, seed, flag=None):
    """Columns of standard deviation 1,000, and one flag beside them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=1000, size=(n, 2, 100))
    side = rng.integers(0, 2, n)
    member = side[:, None] == np.arange(2)
    x[..., 99] = member if flag is None else flag(rng, member)
    return x, side


def test_a_flag_beside_wide_columns_sets_the_sides_apart():
    control = blind_baseline(*wide(200, 0), 0)
    assert not control.passed
    assert "column 100 of the records by itself" in control.detail
    assert control.value > 0.9


def test_a_flag_on_a_tenth_of_the_members_is_found_where_the_gate_looks():
    marked = wide(400, 1, lambda rng, member: member & (rng.random(member.shape) < 0.1))
    control = blind_baseline(*marked, 0, gate={"tpr_at_fpr_0.01": 0.05})
    assert not control.passed
    assert "limit 5%" in control.detail


@pytest.mark.parametrize("filled", [np.nan, 0.0, 137.0])
def test_values_missing_with_membership_are_found_however_they_are_filled(filled):
    def missing(rng, member):
        values = rng.normal(size=member.shape) * 100
        gone = rng.random(member.shape) < np.where(member, 0.4, 0.05)
        return np.where(gone, filled, values)

    assert not blind_baseline(*wide(250, 2, missing), 0).passed


def test_a_combination_of_columns_that_no_column_tells_alone_is_found():
    x, side = wide(400, 3, lambda rng, member: rng.normal(size=member.shape))
    member = side[:, None] == np.arange(2)
    agree = np.random.default_rng(4).choice([-1.0, 1.0], member.shape)
    x[..., 0], x[..., 1] = 1000 * agree, 1000 * np.where(member, agree, -agree)
    control = blind_baseline(x[..., :12], side, 0)
    assert not control.passed


def texts(n, seed, carried=0.0):
    """Texts of 60 words by Zipf's law; word 999 stands in a share of the members alone."""
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, 1000)
    rows = [rng.choice(999, 60, p=weight / weight.sum()) for _ in range(2 * n)]
    for row in rows[: round(carried * n)]:
        row[rng.integers(60)] = 999
    return rows[:n], rows[n:]


def test_a_word_in_a_tenth_of_the_members_sets_the_texts_apart():
    control = blind_control(*texts(300, 0, carried=0.1), 1000, 0)
    assert not control.passed
    assert "token 999 of the vocabulary" in control.detail


def test_texts_of_one_source_are_alike():
    assert sum(not blind_control(*texts(60, seed), 1000, seed).passed for seed in range(8)) <= 1


def test_no_fold_seed_fails_a_random_split_that_others_pass():
    rng = np.random.default_rng(5)
    x, side = rng.normal(size=(60, 2, 6)), rng.integers(0, 2, 60)
    assert {blind_baseline(x, side, seed).passed for seed in range(6)} == {True}
