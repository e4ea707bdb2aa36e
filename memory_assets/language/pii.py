"""Can a masked value be told from its context, by proposing values or by choosing among some?

The two games of Lukas et al. (2023, arXiv 2302.00539): reconstruction, where the model itself
proposes values, and inference, where a list of candidates is given.
"""

from __future__ import annotations

import numpy as np

from memory_assets.language.continuations import branch_log_p, grow_trunk, sample_branches
from memory_assets.language.exposure import score_values
from memory_assets.language.model import LanguageModel
from memory_assets.language.preflight import value_start
from memory_assets.records.normal import normal
from memory_assets.records.secrets import Secret
from memory_assets.results.formulas import PII


@PII.computes
def infers(model: LanguageModel, secret: Secret, decoys: list[str]) -> bool:
    """Whether the true value is strictly likelier in its context than every decoy."""
    log_p = score_values(model, secret.prefix, [secret.value, *decoys], secret.suffix)
    return bool((log_p[0] > log_p[1:]).all())


@PII.computes
def reconstructs(
    model: LanguageModel, secret: Secret, proposals: int, top_k: int, seed: int
) -> bool:
    """Whether the likeliest in context of the values that the model proposes is the true one.

    Values are sampled after the prefix, as many tokens long as the true one, and ranked with the
    suffix behind them, or as much of it for each as the model reads.
    """
    ids, start = value_start(model, secret)
    length = len(ids) - start
    trunk = grow_trunk(model, ids[:start])
    drawn = np.unique(sample_branches(trunk, length, proposals, top_k, 1.0, seed), axis=0)
    # Its tokens may be more than they are in the whole text, where they join with the value's.
    behind = model.encode(secret.suffix)[: model.room - len(ids)]
    log_p = branch_log_p(trunk, [np.concatenate([row, behind]) for row in drawn])
    best, true = drawn[int(log_p.argmax())], ids[start:]
    same = np.array_equal(best, true)
    return same or normal(model.decode(best)) == normal(model.decode(true))
