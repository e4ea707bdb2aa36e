"""Shadow language models: the audit set of texts, the pool, and what is read off it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_language import TINY, sentences

from memory_assets.attacks.registry import ATTACKS
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.errors import InputError
from memory_assets.examples.notes import train_tokenizer
from memory_assets.language.pool import (
    build_text_block,
    pool_text_signals,
    shadow_seed,
    target_text_signals,
)
from memory_assets.language.recipe import LanguageRecipe
from memory_assets.memorization.counterfactual import counterfactual
from memory_assets.pool.blocks import cut_blocks, load_block, save_block
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.signals import Answers, Signals
from memory_assets.records.prepared import PreparedTexts
from memory_assets.records.text_pairs import pair_texts
from memory_assets.records.texts import Texts

pytestmark = pytest.mark.slow

RECIPE = replace(TINY.of_model, epochs=15)


def joined(*parts: Texts) -> Texts:
    return Texts(
        tuple(f"{i}-{name}" for i, part in enumerate(parts) for name in part.ids),
        tuple(text for part in parts for text in part.texts),
    )


def test_what_others_repeat_is_common_or_dropped():
    members, held_out = sentences("m", 30, 1), sentences("h", 30, 2)
    near = members.texts[3].replace(".", "!")  # differs in one character
    planted = "Support note: Ann Lee, Rome, account code 123456"
    trained = joined(members, Texts(("near", "note"), (near, planted)))
    unseen = joined(held_out, Texts(("twin", "copy"), (held_out.texts[5], members.texts[7])))
    prepared = pair_texts(trained, unseen, [planted], seed=0)
    ids = np.array(prepared.texts.ids)
    common, paired = set(ids[prepared.pairing.common]), set(prepared.pair_ids.ravel())
    assert {"0-m-003", "1-near", "1-note"} <= common
    assert not {"0-h-005", "1-twin", "1-copy"} & (paired | set(ids[prepared.pairing.held_out]))
    assert prepared.pairing.dropped == 3
    first = prepared.members[prepared.pairing.pairs]
    assert (first.sum(axis=1) == 1).all()
    assert (first[:, 1] == prepared.pairing.target_side).all()
    assert len(common) + len(paired) // 2 == len(trained)  # each shadow sees as much as the target


def test_an_audit_set_of_texts_comes_back_as_it_was(tmp_path):
    prepared = pair_texts(sentences("m", 12, 1), sentences("m", 12, 2), [], seed=3, pairs=5)
    prepared.save(tmp_path / "pairs")
    back = PreparedTexts.load(tmp_path / "pairs")
    assert back.key == prepared.key
    assert back.texts == prepared.texts
    assert (back.pair_ids == prepared.pair_ids).all()


def test_too_few_texts_are_one_line():
    with pytest.raises(InputError, match="expected 2 to 1 pairs"):
        pair_texts(sentences("m", 9, 1), sentences("h", 1, 2), [], seed=0)


def by_hand(values: np.ndarray, side: np.ndarray) -> Signals:
    answers = Answers.from_texts(np.log(values)[..., None], values[..., None])
    return Signals(answers, Answers.from_texts(values[:, :0, 0], values[:, :0, 0]), side)


def test_counterfactual_memorization_by_hand():
    side = np.array([[0], [1], [1], [0]], dtype=np.uint8)
    # Models 0 and 3 trained on text 0, models 1 and 2 on text 1.
    accuracy = np.array([[[0.9, 0.2]], [[0.5, 0.8]], [[0.3, 0.6]], [[0.7, 0.4]]])
    found = counterfactual(by_hand(accuracy, side))
    assert found.accuracy.value == pytest.approx(np.array([[0.4, 0.4]]))
    assert found.loss.value[0, 0] == pytest.approx(np.log(0.9 * 0.7 / (0.5 * 0.3)) / 2)
    # Couples give text 0 ln 9/5 and ln 7/3, text 1 ln 4 and ln 3/2; no spread below their mean one.
    first, second = (np.var(np.log(d), ddof=1) for d in ((9 / 5, 7 / 3), (4, 3 / 2)))
    half = 12.7062 * np.sqrt([(first + second) / 2, second]) / np.sqrt(2)
    assert found.loss.high[0] - found.loss.value[0] == pytest.approx(half, rel=1e-4)
    assert found.accuracy.high.max() == 1.0  # a share cannot differ by more
    rows = {m.metric: m.estimate for m in found.measurements}
    assert rows["mean_accuracy_gain"].value == pytest.approx(0.4)
    assert rows["mean_accuracy_gain"].n == 2
    assert (rows["share_above_0.25"].k, rows["share_above_0.25"].ci_high) == (0, 1.0)


def test_the_mean_over_texts_is_the_gap_between_in_and_out():
    rng = np.random.default_rng(0)
    side = draw_masks(8, 20, seed=1)
    values = rng.uniform(0.1, 0.9, (8, 20, 2))
    signals = by_hand(values, side)
    gap = values[signals.is_in].mean() - values[~signals.is_in].mean()
    assert counterfactual(signals).accuracy.value.mean() == pytest.approx(gap)


def test_without_an_effect_few_intervals_leave_zero_out():
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, 0.05, (8, 400, 2)).clip(0.01, 0.99)
    found = counterfactual(by_hand(values, draw_masks(8, 400, seed=2))).accuracy
    assert ((found.low > 0) | (found.high < 0)).mean() < 0.06


@pytest.mark.parametrize("models", [8, 32])
def test_of_texts_just_below_the_line_none_is_surely_above_it(models):
    """The true share above 0.25 is 0: no interval may lie wholly above it. Ends at each text's own
    95% would, as luck carries some of 600 over the line in many pools."""
    rng = np.random.default_rng(3)
    covered = by_luck = 0
    for seed in range(40):
        side = draw_masks(models, 300, seed)
        is_in = side[..., None] == np.arange(2)
        values = (0.4 + 0.245 * is_in + rng.normal(0, 0.1, is_in.shape)).clip(0.01, 1.0)
        rows = {m.metric: m.estimate for m in counterfactual(by_hand(values, side)).measurements}
        share = rows["share_above_0.25"]
        assert share.n == 600
        assert share.value is not None
        covered += share.ci_low == 0.0
        by_luck += share.value > 0.0
    assert covered >= 38
    assert by_luck >= 10  # the texts themselves are called memorized by their own intervals


def test_texts_far_above_the_line_are_surely_above_it():
    side = draw_masks(32, 50, seed=4)
    is_in = side[..., None] == np.arange(2)
    known = np.arange(50)[:, None] < [20, 0]  # 20 of 100 texts, by heart
    noise = np.random.default_rng(4).normal(0, 0.03, is_in.shape)
    found = counterfactual(by_hand(0.3 + 0.6 * (is_in & known) + noise, side))
    share = {m.metric: m.estimate for m in found.measurements}["share_above_0.25"]
    assert (share.k, share.n) == (20, 100)
    assert share.ci_low == share.ci_high == share.value == 0.2


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(list(sentences("t", 200, 4).texts), TINY, folder)
    return folder


@pytest.fixture(scope="module")
def prepared():
    return pair_texts(sentences("m", 30, 1), sentences("h", 36, 2), [], seed=0)


@pytest.fixture(scope="module")
def pool(tmp_path_factory, tokenizer, prepared):
    folder = tmp_path_factory.mktemp("pool")
    masks = draw_masks(4, len(prepared.pairing.pairs), seed=0)
    (block,) = cut_blocks(4)
    save_block(
        build_text_block(block, RECIPE, tokenizer, prepared, masks), folder / "b.safetensors"
    )
    pool_text_signals(
        RECIPE, tokenizer, [(block, folder / "b.safetensors")], prepared, masks,
        folder / "signals.safetensors",
    )  # fmt: skip
    return folder / "b.safetensors", load_signals(folder / "signals.safetensors"), masks


def test_shadow_models_know_their_own_texts(pool, prepared):
    _, signals, _ = pool
    assert signals.pairs.score.shape == (4, len(prepared.pairing.pairs), 2, 1)
    assert signals.held_out.score.shape == (4, len(prepared.pairing.held_out), 1)
    loss = signals.pairs.loss[..., 0]
    assert loss[signals.is_in].mean() < loss[~signals.is_in].mean() - 0.3
    assert np.allclose(signals.pairs.p_true, np.exp(signals.pairs.score))
    found = counterfactual(signals)
    gain = {m.metric: m.estimate for m in found.measurements}["mean_loss_gain"]
    assert gain.ci_low is not None
    assert gain.ci_low > 0


def test_a_block_has_the_same_bits_in_several_processes(pool, tokenizer, prepared):
    file, _, masks = pool
    (block,) = cut_blocks(4)
    half = replace(block, stop=2)
    again = build_text_block(half, RECIPE, tokenizer, prepared, masks, processes=2)
    first = load_block(file)
    assert set(again) == set(first)
    assert all((again[name] == first[name][:2]).all() for name in again)


def test_every_model_of_a_pool_draws_anew():
    seeds = {shadow_seed(RECIPE, k) for k in range(64)}
    assert len(seeds) == 64
    assert RECIPE.seed not in seeds


def test_attacks_run_on_the_answers_about_texts(pool):
    _, signals, _ = pool
    for name in ("calibrated_loss", "lira_online_fixed", "lira_offline_fixed", "rmia_offline"):
        scores = ATTACKS[name].score(signals, signals, leave_one_out=True)
        assert scores[signals.is_in].mean() > scores[~signals.is_in].mean()


def test_another_tokenizer_is_refused_by_name_of_the_text(trained, prepared, tmp_path):
    train_tokenizer(["entirely other words " * 40], replace(TINY, vocabulary=300), tmp_path)
    with pytest.raises(InputError, match=r"cuts text 'm-000' otherwise .* recipe\.tokenizer"):
        target_text_signals(RECIPE, tmp_path, trained.folder, prepared)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 0}, "recipe.epochs: 0; input should be greater than or equal to 1"),
        ({"model": "gpt2"}, "recipe.model: 'gpt2'; expected package.module:function"),
        ({"lr": -1.0}, "recipe.lr: -1.0; input should be greater than 0"),
    ],
)
def test_a_bad_recipe_is_one_line(changes, said):
    with pytest.raises(InputError, match=said):
        replace(RECIPE, **changes)


def not_a_model(vocabulary: int, window: int) -> dict:
    return {"vocabulary": vocabulary, "window": window}


def test_a_factory_of_something_else_is_refused():
    with pytest.raises(InputError, match="returned dict, expected a causal model"):
        LanguageRecipe(f"{__name__}:not_a_model").build_model(10)


def subject(**changes: object) -> LanguageModelSubject:
    recipe = {"model": RECIPE.model, "tokenizer": "tokenizer"}
    given = {
        "subject": "s",
        "members": {"path": "m.jsonl"},
        "held_out": {"path": "h.jsonl"},
        "checkpoints": "models",
        "recipe": recipe,
    }
    return LanguageModelSubject.model_validate(
        {k: v for k, v in (given | changes).items() if v is not None}
    )


def test_shadow_models_need_a_recipe_and_held_out_texts():
    assert subject().models == 8
    assert "loss" not in {attack.name for attack in subject().attacks_on(8)}
    with pytest.raises(ValueError, match="add held_out"):
        subject(held_out=None)
    with pytest.raises(ValueError, match="need a recipe"):
        subject(recipe=None, pool={"models": 4})
    assert json.loads(subject(recipe=None).model_dump_json())["recipe"] is None
    assert subject(recipe=None).models == 0
