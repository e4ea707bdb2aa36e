"""Controls of a language model's audit that rest on its owner's word or on all measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.records.prepared import members_digest
from memory_assets.records.texts import Texts
from memory_assets.results.estimate import Control, Measurement
from memory_assets.statistics.roc import Roc
from memory_assets.validity.instrument import FAMILY, instrument
from memory_assets.validity.member_list import member_list_of_texts
from memory_assets.validity.provenance import provenance
from memory_assets.validity.verdict import Gate
from memory_assets.workflows.language_pool import ShadowEvidence
from memory_assets.workflows.results import AttackResults
from memory_assets.workflows.version_recipes import manifest_of


def text_provenance(subject: LanguageModelSubject, version: Path, members: Texts) -> Control:
    """Does a version say itself that it was trained on the listed texts?

    Raises:
        InputError: a manifest that cannot be read.
    """
    ids = members_digest(np.array(members.ids))
    named = subject.members.id is not None
    return provenance(manifest_of(subject, version), ids, members.digest, named=named)


def text_controls(
    subject: LanguageModelSubject,
    gated: Sequence[Measurement],
    results: AttackResults,
    shadows: ShadowEvidence | None,
) -> list[Control]:
    """Could the attacks that ran have seen what is limited, and does the list of members hold?

    Raises:
        InputError: a gated metric that was not measured.
    """
    gate = Gate(subject.gate)
    strength = instrument(
        gated,
        gate,
        shadows=shadows is not None,
        declared=subject.attacker == "predictions",
        of_texts=True,
        leak=lambda: None if shadows is None else shadows.leak(subject, gate),
    )
    return [strength, member_list_of_texts(_scores(results))]


def _scores(results: AttackResults) -> dict[str, Roc]:
    """The scores of the texts on either side, by name, where there are two sides."""
    found = {}
    names = {m.name for m in results.measurements if m.family == FAMILY}
    attack, member, score = (
        results.scores[column].to_numpy(zero_copy_only=False)
        for column in ("attack", "member", "score")
    )
    for name in sorted(names):
        mine, theirs = (score[(attack == name) & (member == side)] for side in (True, False))
        if mine.size and theirs.size:
            found[name] = Roc.of(mine, theirs)
    return found
