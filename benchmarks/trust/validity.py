"""Valid audits: how often does a control withhold the verdict all the same?

Members and non-members come from one source and the target is one more model of the pool, so every
failure is one by chance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.trust.pools import answers
from benchmarks.trust.texts import REFERENCES
from memory_assets.attacks.registry import select
from memory_assets.language import exposure as exposures
from memory_assets.language.controls import blind_control, from_auc, held_out_extraction
from memory_assets.language.secret_audit import SecretFinding, unplanted_control
from memory_assets.language.text_audit import Probes
from memory_assets.pool.masks import draw_masks
from memory_assets.pool.signals import Signals
from memory_assets.records.secrets import Secret
from memory_assets.results.estimate import Control
from memory_assets.statistics.roc import Roc
from memory_assets.validity.blind import blind_baseline
from memory_assets.validity.negative import negative_control
from memory_assets.validity.positive import positive_control
from memory_assets.validity.recipe_match import recipe_match

PAIRS, HELD_OUT = 100, 150


def _world(rng: np.random.Generator, models: int) -> tuple[Signals, Signals]:
    """A pool and one more model; records gain by training, models differ in quality."""
    side = draw_masks(models + 2, PAIRS, int(rng.integers(2**31)))
    is_in = side[..., None] == np.arange(2)
    gain = np.maximum(0, rng.normal(0.7, 0.8, (PAIRS, 2)))
    margin = rng.normal(2, 2, (PAIRS, 2)) + rng.normal(size=is_in.shape) + gain * is_in
    quality = rng.normal(0, 0.15, (models + 2, 1))
    held = rng.normal(2, 2, HELD_OUT) + rng.normal(size=(models + 2, HELD_OUT)) + quality
    margin += quality[..., None]
    pool, target = (
        Signals(
            answers(margin[chosen] > 0, margin[chosen]),
            answers(held[chosen] > 0, held[chosen]),
            side[chosen],
        )
        for chosen in (slice(0, models), slice(models, models + 1))
    )
    return pool, target


def classifier(rng: np.random.Generator, models: int) -> Iterator[Control]:
    """The controls of a classifier's audit with the attacks of the standard set."""
    pool, target = _world(rng, models)
    attacks = {a.name: a.score for a in select("standard", models) if a.can_score(pool)}
    side = target.side[0]
    yield negative_control(attacks, pool, target, int(rng.integers(2**31)))
    yield positive_control(attacks, pool, side)
    records, labels = rng.normal(size=(PAIRS, 2, 16)), rng.integers(0, 5, (PAIRS, 2))
    yield blind_baseline(records, side, int(rng.integers(2**31)), labels)
    yield recipe_match(pool, target)


VOCABULARY, LENGTH = 400, 80


def language_model(rng: np.random.Generator, texts: int = 150) -> Iterator[Control]:
    """The controls of a language model's audit, apart from reading one."""
    # Tokens follow Zipf's law, and every text leans to a topic of its own.
    weight = 1 / np.arange(1, VOCABULARY + 1)
    topics = rng.gamma(0.5, size=(8, VOCABULARY)) * weight
    topics /= topics.sum(axis=1, keepdims=True)
    rows = [rng.choice(VOCABULARY, LENGTH, p=topics[rng.integers(8)]) for _ in range(2 * texts)]
    yield blind_control(rows[:texts], rows[texts:], VOCABULARY, int(rng.integers(2**31)))
    # An untrained model scores texts by what they are, whichever side they lie on.
    scores = rng.gamma(5, size=(2, texts))
    yield from_auc("untrained_model", Roc.of(*scores), "an untrained model")
    completed = rng.random(texts) < 0.01  # the most that the control allows
    nothing = np.zeros(texts)
    yield held_out_extraction(
        Probes(np.arange(texts), completed, completed, nothing, np.zeros(texts, dtype=bool))
    )
    found = []
    for number in range(12):
        drawn = rng.normal(size=REFERENCES + 1)
        found.append(
            SecretFinding(
                secret=Secret(id=str(number), prefix="p", value="v"),
                repetitions=0,
                extracted=False,
                near_tie=False,
                reconstructed=False,
                exposure=exposures.exposure(float(drawn[0]), drawn[1:]),
                inferred=None,
            )
        )
    control = unplanted_control(tuple(found))
    assert control is not None
    yield control
