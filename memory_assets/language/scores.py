"""Membership scores of texts from their token signals; higher means more likely a member.

One name is one formula, for ever: a change takes a new version of its `Formula`.
"""

from __future__ import annotations

import zlib as _zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.language.signals import TokenSignals
from memory_assets.results.formulas import Formula

Floats = NDArray[np.float64]
FORMULAS = {
    name: Formula(f"score {name}", number)
    for name, number in {
        "loss": 1,
        "min_k": 1,
        "min_k_plus_plus": 1,
        "zlib": 1,
        "reference": 2,  # 1 summed all that each model had scored, the same characters or not
        "recall": 1,
    }.items()
}
_SHARE = 0.2
_SIGMA_FLOOR = 1e-4
"""Nats: where the model is certain, sigma vanishes and the quotient would explode."""


@dataclass(frozen=True)
class Compared:
    """Log-likelihoods in nats of each text by `target` and `reference`, `[N]`, over the characters
    that both have scored; `tokens` are the target's for these. NaN where there are none."""

    target: Floats
    reference: Floats
    tokens: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which texts could be compared, `[N]`."""
        return self.tokens > 0


def total(signals: TokenSignals) -> Floats:
    """Log-likelihood of each sequence in nats, `[N]`."""
    return np.add.reduceat(signals.log_p.astype(np.float64), signals.offsets[:-1])


def loss(signals: TokenSignals) -> Floats:
    """Mean log-probability of a token, the negative of the loss (Yeom et al. 2018), `[N]`."""
    return total(signals) / signals.lengths


def _lowest_mean(values: Floats, signals: TokenSignals, share: float) -> Floats:
    """Mean of the `max(1, int(share T))` lowest values of each sequence."""
    lengths = signals.lengths
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    ordered = values[np.lexsort((values, sequence))]
    place = np.arange(len(values)) - np.repeat(signals.offsets[:-1], lengths)
    # The nudge is for products like 0.29 * 100, which fall just short of a whole number.
    count = np.maximum(1, np.floor(share * lengths * (1 + 1e-12))).astype(np.int64)
    kept = np.where(place < np.repeat(count, lengths), ordered, 0.0)
    return np.add.reduceat(kept, signals.offsets[:-1]) / count


def min_k(signals: TokenSignals, share: float = _SHARE) -> Floats:
    """Min-K% Prob: mean of the lowest log-probabilities (Shi et al. 2024, arXiv 2310.16789)."""
    return _lowest_mean(signals.log_p.astype(np.float64), signals, share)


def min_k_plus_plus(signals: TokenSignals, share: float = _SHARE) -> Floats:
    """Min-K%++: the lowest `(log p - mu) / sigma` (Zhang et al. 2025, arXiv 2404.02936, eq. 3).

    mu and sigma are those of the log-probability under the model's own next-token distribution.
    """
    sigma = np.sqrt(np.maximum(signals.variance.astype(np.float64), _SIGMA_FLOOR**2))
    standard = (signals.log_p.astype(np.float64) - signals.mean) / sigma
    return _lowest_mean(standard, signals, share)


def zlib(signals: TokenSignals, texts: Sequence[str]) -> Floats:
    """Log-likelihood over the bytes that zlib needs for the text (Carlini et al. 2021)."""
    size = [len(_zlib.compress(text.encode("utf-8", "surrogatepass"))) for text in texts]
    return total(signals) / np.array(size)


def reference(compared: Compared) -> Floats:
    """The reference model's loss minus the target's, in nats a token of the target, `[N]`; NaN
    where the two cannot be compared."""
    return (compared.target - compared.reference) / np.maximum(compared.tokens, 1)


def recall(signals: TokenSignals, conditioned_total: Floats) -> Floats:
    """ReCaLL: log-likelihood behind a non-member prefix over that without (Xie et al. 2024,
    arXiv 2406.15968). A prefix takes more from a text that is known by heart.

    `conditioned_total` covers the same tokens as the signals.
    """
    return conditioned_total / np.minimum(total(signals), -1e-12)


def unintended_bits(compared: Compared) -> Floats:
    """Bits of each text that the target knows and the reference does not: `[N]`, never negative;
    NaN where the two cannot be compared.

    `max(0, log2 p(x | model) - log2 p(x | reference))`, after Morris et al. (2025,
    arXiv 2505.24832).
    """
    return np.maximum(0.0, (compared.target - compared.reference) / np.log(2))
