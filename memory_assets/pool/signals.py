"""What models answer about records: the arrays that every estimator reads, stored once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

PROBABILITY_FLOOR = 1e-12
"""Below this a probability that came as a probability is not told from 0."""


@dataclass(frozen=True)
class Answers:
    """The answers of K models about records; every array is `[K, *records, Q]`.

    Q counts the queries of one record: query 0 is the record itself, the others its augmentations.

    `score` is the logit margin `z_y - logsumexp_{j != y} z_j` in nats (float64, straight from the
    logits: a probability rounded to 1 would lose the tail that membership inference lives on);
    `p_true` the probability of the true label; `loss` its negative log in nats; `label_pred` the
    predicted class; `correct` whether that is the true one.

    About a text of T tokens `score` is its mean log-likelihood in nats a token, `loss` the
    negative of that, `p_true` the geometric mean of its tokens' probabilities, and `correct`
    (float64) the share of tokens that are the likeliest ones; it has no label, and `label_pred` is
    -1.
    """

    score: NDArray[np.float64]
    p_true: NDArray[np.float64]
    loss: NDArray[np.float64]
    label_pred: NDArray[np.int32]
    correct: NDArray[Any]

    @classmethod
    def from_logits(cls, logits: NDArray[np.floating], labels: NDArray[np.integer]) -> Answers:
        """Read the answers off logits `[K, *records, Q, C]` given labels `[*records]`.

        Raises:
            ValueError: a logit is not finite (the first such record is named by position).
        """
        z = np.asarray(logits, dtype=np.float64)
        if not np.isfinite(z).all():
            bad = np.argwhere(~np.isfinite(z).all(axis=(0, -2, -1)))[0]
            raise ValueError(f"logits of record {tuple(int(i) for i in bad)} are not finite")
        y = np.broadcast_to(np.asarray(labels)[None, ..., None, None], (*z.shape[:-1], 1))
        true = np.take_along_axis(z, y, axis=-1)[..., 0]
        others = z.copy()
        np.put_along_axis(others, y, -np.inf, axis=-1)
        score = true - np.asarray(logsumexp(others, axis=-1))
        predicted = z.argmax(axis=-1).astype(np.int32)
        return cls(
            score=score,
            p_true=expit(score),
            loss=np.logaddexp(0.0, -score),
            label_pred=predicted,
            correct=predicted == y[..., 0],
        )

    @classmethod
    def from_texts(cls, log_p: NDArray[np.floating], accuracy: NDArray[np.floating]) -> Answers:
        """Answers about texts `[K, *records, Q]` from mean log-likelihood and top-1 accuracy."""
        mean = np.asarray(log_p, dtype=np.float64)
        return cls(
            score=mean,
            p_true=np.exp(mean),
            loss=-mean,
            label_pred=np.full(mean.shape, -1, dtype=np.int32),
            correct=np.asarray(accuracy, dtype=np.float64),
        )

    @classmethod
    def from_probabilities(
        cls,
        probabilities: NDArray[np.floating],
        labels: NDArray[np.integer],
        floor: float = PROBABILITY_FLOOR,
    ) -> Answers:
        """Read the answers off probabilities `[K, *records, Q, C]` given labels `[*records]`.

        The margin is `log p_y - log sum_{j != y} p_j`. A probability that was rounded to 0 or 1
        has lost its tail: both are taken to be at least `floor` (see `precision.floor_of`).
        """
        p = np.asarray(probabilities, dtype=np.float64)
        y = np.broadcast_to(np.asarray(labels)[None, ..., None, None], (*p.shape[:-1], 1))
        true = np.take_along_axis(p, y, axis=-1)[..., 0]
        others = p.copy()
        np.put_along_axis(others, y, 0.0, axis=-1)
        true, wrong = np.maximum(true, floor), np.maximum(others.sum(axis=-1), floor)
        score = np.log(true) - np.log(wrong)
        predicted = p.argmax(axis=-1).astype(np.int32)
        return cls(
            score=score,
            p_true=true / (true + wrong),
            loss=np.logaddexp(0.0, -score),
            label_pred=predicted,
            correct=predicted == y[..., 0],
        )


@dataclass(frozen=True)
class Signals:
    """K models, n pairs of records, and which side of each pair each model trained on.

    `pairs` holds arrays `[K, n, 2, Q]`; `held_out` arrays `[K, h, Q]` about records that no model
    trained on (h may be 0); `side[k, i]` in {0, 1} is the side of pair i that model k trained on.
    A pool is K rows; a target under audit is one more row of the same table. `floor` `[K]` is the
    least probability that each model's answers tell from 0 where some of them were cut there, and
    0 where nothing was lost.
    """

    pairs: Answers
    held_out: Answers
    side: NDArray[np.uint8]
    floor: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def models(self) -> int:
        return self.side.shape[0]

    def of_models(self, models: slice | list[int]) -> Signals:
        """The same signals of some of the models."""

        def rows(answers: Answers) -> Answers:
            return Answers(**{name: values[models] for name, values in vars(answers).items()})

        kept = self.side[models], self.floor[models]
        return Signals(rows(self.pairs), rows(self.held_out), *kept)

    @property
    def is_in(self) -> NDArray[np.bool_]:
        """Which records each model trained on, bool `[K, n, 2]`."""
        return self.side[..., None] == np.arange(2, dtype=np.uint8)
