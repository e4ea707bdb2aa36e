"""The audit set of texts: one that the model trained on against one that it never saw."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from memory_assets.records.overlap import measure_overlap, none_of
from memory_assets.records.pairing import pair_up
from memory_assets.records.prepared import PreparedTexts
from memory_assets.records.texts import Texts
from memory_assets.results.formulas import TEXT_PAIRS


@TEXT_PAIRS.computes
def pair_texts(
    members: Texts,
    held_out: Texts,
    planted: Collection[str],
    *,
    seed: int,
    pairs: int | None = None,
) -> PreparedTexts:
    """Draw the audit set from members and held-out texts that nothing else repeats.

    In pairs stand members that no other member nearly repeats, and held-out texts that neither a
    member nor another held-out text does: what a model knows of them it has from themselves. All
    other members, the `planted` lines among them, are common; held-out texts that stand among the
    members or repeat each other are dropped.

    Raises:
        InputError: fewer than two pairs can be drawn, or more are asked for than there are.
    """
    among = measure_overlap(members, held_out)
    unseen = measure_overlap(held_out, None)
    once = none_of(members.texts, planted) & (among.repetitions == 1)
    usable = ~among.near & (unseen.repetitions == 1)
    first = len(members)
    pairing = pair_up(
        np.flatnonzero(once),
        first + np.flatnonzero(usable),
        source=f"{members.source} and {held_out.source}",
        dropped=int((~usable).sum()),
        seed=seed,
        pairs=pairs,
    )
    common = np.sort(np.concatenate([pairing.common, np.flatnonzero(~once)]))
    names = set(members.ids)
    texts = Texts(
        # Ids name a text on its own side; in one list they must differ.
        (*members.ids, *(f"held out {n}" if n in names else n for n in held_out.ids)),
        (*members.texts, *held_out.texts),
        f"{members.source} and {held_out.source}",
    )
    return PreparedTexts(
        texts, np.arange(len(texts)) < first, replace(pairing, common=common.astype(np.int64))
    )
