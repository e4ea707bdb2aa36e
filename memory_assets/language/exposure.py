"""Exposure: how far a secret stands out among others that it might as well have been.

`log2 |R| - log2 rank` (Carlini et al. 2019, arXiv 1802.08232), where R holds the secret and
random references drawn from the same pattern, ranked by likelihood. A secret that the model never
saw has an exposure of about 1.44 bits on average; one that is likelier than all others has
`log2 |R|`, the ceiling of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from memory_assets.language.continuations import Trunk, branch_log_p, grow_trunk
from memory_assets.language.model import Ids, LanguageModel
from memory_assets.results.formulas import EXPOSURE

Floats = NDArray[np.float64]
CHANCE = float(1 / np.log(2))
"""Mean exposure in bits of a secret that the model never saw: -log2 of a uniform rank."""
_MAX_SKEWNESS = 0.99


@dataclass(frozen=True)
class Exposure:
    """One secret among `size` values (itself included).

    `bits` from its rank, ties counted against it; `ceiling` = log2 size; `extrapolated` bits from
    a skew-normal fitted to the references, which may lie above the ceiling: `beyond` flags that,
    since there the sample has nothing to check the fit against.
    """

    bits: float
    ceiling: float
    extrapolated: float | None
    size: int

    @property
    def at_ceiling(self) -> bool:
        """No reference is as likely: the truth may be larger."""
        return self.bits >= self.ceiling

    @property
    def beyond(self) -> bool:
        return self.extrapolated is not None and self.extrapolated > self.ceiling


def _log_upper_tail(x: float, shape: float, place: float, scale: float) -> float:
    """log P(X >= x) of a skew normal by quadrature in logs, where its cdf has underflowed to 0."""
    span = 12 * scale / (1 + abs(x - place) / scale)
    grid = np.linspace(x, x + max(span, scale), 4097)
    logs = stats.skewnorm.logpdf(grid, shape, place, scale)
    return float(logsumexp(logs) + np.log(grid[1] - grid[0]))


def skew_normal_bits(secret: float, references: Floats) -> float | None:
    """-log2 of the probability that a reference is at least as likely, under a skew normal.

    Fitted by moments (Azzalini 1985); skewness beyond what a skew normal can have is cut to it.
    None where the references do not vary.
    """
    spread = float(references.std())
    if references.size < 8 or spread < 1e-12:
        return None
    skewness = float(np.clip(stats.skew(references), -_MAX_SKEWNESS, _MAX_SKEWNESS))
    power = abs(skewness) ** (2 / 3)
    delta = np.sign(skewness) * np.sqrt(np.pi / 2 * power / (power + ((4 - np.pi) / 2) ** (2 / 3)))
    shape = float(delta / np.sqrt(1 - delta**2))
    scale = spread / float(np.sqrt(1 - 2 * delta**2 / np.pi))
    place = float(references.mean() - scale * delta * np.sqrt(2 / np.pi))
    tail = float(stats.skewnorm.sf(secret, shape, place, scale))
    log_tail = np.log(tail) if tail > 1e-8 else _log_upper_tail(secret, shape, place, scale)
    return max(0.0, float(-log_tail / np.log(2)))


@EXPOSURE.computes
def exposure(secret: float, references: Floats) -> Exposure:
    """The exposure of a secret of log-likelihood `secret` among references `[R]`.

    Raises:
        ValueError: no references, or a log-likelihood that is not a number.
    """
    references = np.asarray(references, dtype=np.float64)
    if not references.size or np.isnan(references).any() or np.isnan(secret):
        raise ValueError("exposure needs references, and numbers throughout")
    size = references.size + 1
    rank = 1 + int((references >= secret).sum())
    return Exposure(
        bits=float(np.log2(size) - np.log2(rank)),
        ceiling=float(np.log2(size)),
        extrapolated=skew_normal_bits(secret, references),
        size=size,
    )


def shared_start(sequences: list[Ids]) -> int:
    """Tokens that all sequences begin with, each keeping at least one of its own."""
    shortest = min(len(ids) for ids in sequences)
    heads = np.stack([ids[:shortest] for ids in sequences])
    same = (heads == heads[0]).all(axis=0)
    agreed = shortest if same.all() else int(same.argmin())
    return min(agreed, shortest - 1)


def score_rows(model: LanguageModel, rows: list[Ids]) -> Floats:
    """Log-likelihood in nats of each token sequence behind what all of them begin with, `[R]`.

    Raises:
        ValueError: no token stands before what differs; `fit_values` tells beforehand.
    """
    shared = shared_start(rows)
    if shared == 0 and model.start is None:
        raise ValueError("a value needs at least one token before it")
    trunk: Trunk = grow_trunk(model, rows[0][:shared])
    return branch_log_p(trunk, [ids[shared:] for ids in rows])


def score_values(model: LanguageModel, prefix: str, values: list[str], suffix: str = "") -> Floats:
    """Log-likelihood in nats of each value (and the suffix behind it) after the prefix, `[R]`.

    The tokens that all share are read once. Values are tokenized in place, so that a value's first
    sign may share a token with the prefix.

    Raises:
        ValueError: as `score_rows`.
    """
    return score_rows(model, model.encode_all([prefix + value + suffix for value in values]))
