"""The shipped subject's own model and step, on less prose: one pass against real generation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from memory_assets.examples import notes
from memory_assets.language.continuations import continue_greedily
from memory_assets.language.extraction import greedy_extractable, probe_places, read_extraction
from memory_assets.language.model import load_language_model
from memory_assets.language.signals import token_signals

RECIPE = replace(notes.RECIPE, characters=5_000, batch_tokens=512, epochs=30)
PREFIX, SUFFIX = 24, 12


@pytest.mark.slow
def test_what_is_extractable_is_what_one_by_one_generation_recites(tmp_path):
    torch.set_num_threads(1)
    members, held_out, rest = notes.split_prose(RECIPE)
    notes.train_tokenizer(rest, RECIPE, tmp_path)
    notes.train(members, tmp_path, RECIPE, tmp_path)
    model = load_language_model(tmp_path, device="cpu")
    assert model.vocabulary == notes.RECIPE.vocabulary
    assert model.model.config.n_layer == notes.RECIPE.layers
    tokens = PREFIX + SUFFIX
    rows = [
        ids[start : start + tokens]
        for texts in (members, held_out)
        for ids in model.encode_all(list(texts.texts))
        for start in range(0, len(ids) - tokens + 1, tokens)
    ]
    truth = np.array(
        [
            (continue_greedily(model, ids[None, :PREFIX], SUFFIX)[0] == ids[PREFIX:]).all()
            for ids in rows
        ]
    )
    greedy, near = greedy_extractable(model, rows, [PREFIX] * len(rows))
    signals, ones = token_signals(model, rows), np.ones(len(rows), dtype=np.int64)
    places = probe_places(signals, PREFIX * ones, ones)
    read = read_extraction(signals, places, SUFFIX * ones)
    # Some are recited and some are not; close calls are few, and nothing else may differ.
    assert 5 <= truth.sum() <= len(rows) - 5
    assert read.near_tie.sum() <= 2
    np.testing.assert_array_equal(greedy[~near], truth[~near])
    np.testing.assert_array_equal(read.greedy[~read.near_tie], truth[~read.near_tie])
