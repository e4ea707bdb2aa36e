"""Which records the target trained on, and how the others are set against them in pairs.

The audit set is n (member, non-member) pairs. Every shadow model trains on one side of each pair
and on all *common* records (members outside the audit set), so that it trains on exactly as many
records as the target did, copies included. Non-members outside the audit set are *held out*: no
model sees them, and they measure utility and influence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.dataset import Dataset
from memory_assets.results.formulas import PAIRING
from memory_assets.store.digest import digest

HELD_OUT_SHARE = 0.2
"""Share of the non-members kept out of the pairs, when the owner does not say how many pairs."""


@dataclass(frozen=True)
class Pairing:
    """Row numbers of a data set, by their part in the audit.

    `pairs` int64 `[n, 2]`; `target_side` uint8 `[n]`, the side the target trained on;
    `common` int64 `[c]`; `held_out` int64 `[h]`; `dropped` counts the non-members left out because
    they repeat another record.
    """

    pairs: NDArray[np.int64]
    target_side: NDArray[np.uint8]
    common: NDArray[np.int64]
    held_out: NDArray[np.int64]
    dropped: int

    @property
    def key(self) -> str:
        return digest(self.pairs, self.target_side, self.common, self.held_out, PAIRING.number)


def fingerprint(record: NDArray[np.float32], *more: int) -> bytes:
    """16 bytes that only equal records share; -0.0 is 0.0."""
    content = (record + np.float32(0)).tobytes() + b"".join(i.to_bytes(8, "little") for i in more)
    return blake2b(content, digest_size=16).digest()


def _same(data: Dataset) -> NDArray[np.int64]:
    """A number for each record `[N]`; exact copies (input and label) have the same."""
    numbers: dict[bytes, int] = {}
    prints = (fingerprint(x, int(y)) for x, y in zip(data.x, data.y, strict=True))
    return np.array([numbers.setdefault(p, len(numbers)) for p in prints], dtype=np.int64)


def draw_pairing(
    data: Dataset, members: NDArray[np.bool_], *, seed: int, pairs: int | None = None
) -> Pairing:
    """Draw the audit set: `pairs` random (member, non-member) pairs, each in random order.

    A record in a pair is one that nothing else repeats, or a model that left it out would have
    learned its copy. Members with copies are common, every copy, for the target was trained on
    them; a non-member that repeats a member or an earlier non-member is dropped.

    Without `pairs`, a fifth of the non-members is held out and the others are paired as far as
    the members reach.

    Raises:
        InputError: fewer than two pairs can be drawn, or more are asked for than there are.
    """
    same = _same(data)
    trained = np.bincount(same[members], minlength=same.max() + 1)[same]
    once = members & (trained == 1)
    first = np.zeros(len(data), dtype=bool)
    first[np.unique(same, return_index=True)[1]] = True
    unseen = first & (trained == 0)
    pairing = pair_up(
        np.flatnonzero(once),
        np.flatnonzero(unseen),
        source=data.source,
        dropped=int((~members & ~unseen).sum()),
        seed=seed,
        pairs=pairs,
    )
    common = np.concatenate([pairing.common, np.flatnonzero(members & ~once)])
    return replace(pairing, common=np.sort(common))


@PAIRING.computes
def pair_up(
    inside: NDArray[np.int64],
    outside: NDArray[np.int64],
    *,
    source: str,
    dropped: int,
    seed: int,
    pairs: int | None,
) -> Pairing:
    """Draw the pairs from the rows of members and non-members that nothing repeats.

    Raises:
        InputError: as `draw_pairing`; the message names `source`.
    """
    most = min(len(inside), len(outside))
    wanted = pairs
    if wanted is None:
        wanted = min(len(inside), round(len(outside) * (1 - HELD_OUT_SHARE)))
    if wanted > most or wanted < 2:
        raise InputError(
            f"pool.pairs: {wanted} pairs; {source} has {len(inside)} members and "
            f"{len(outside)} non-members that nothing repeats, expected 2 to {most} pairs"
        )
    rng = np.random.default_rng([seed, 0x9A15])
    inside, outside = rng.permutation(inside), rng.permutation(outside)
    side = rng.integers(0, 2, wanted, dtype=np.uint8)
    both = np.stack([inside[:wanted], outside[:wanted]], axis=1)
    ordered = np.where(side[:, None] == 0, both, both[:, ::-1])
    return Pairing(
        pairs=ordered.astype(np.int64),
        target_side=side,
        common=np.sort(inside[wanted:]),
        held_out=np.sort(outside[wanted:]),
        dropped=dropped,
    )
