"""Does a subject's pool stand already, as its records and recipe are now?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.records.prepared import Prepared
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import pool_findings as findings
from memory_assets.workflows.classifier import prepare_records
from memory_assets.workflows.shadows import (
    SIGNALS_KIND,
    TENSORS,
    is_final,
    plan_pool,
    signals_key,
)


@dataclass(frozen=True)
class Standing:
    """The key that each asset of the pool must have now, by asset; `blocks` of shadow models."""

    keys: dict[str, str]
    blocks: int


def standing_pool(subject: ClassifierSubject, root: Path, store: ArtifactStore) -> Standing | None:
    """The pool as it must be now, or None where any artifact of it is missing or not final.

    The records are loaded and digested anew: nobody's word is taken that they did not change.

    Raises:
        InputError: records or members that cannot be read.
    """
    made = prepare_records(subject, root, store)
    prepared = Prepared.load(made.path)
    plan = plan_pool(subject, root, prepared)
    signals = signals_key(plan, prepared)
    found = {
        findings.MEMORIZATION: findings.memorization_key(signals, prepared),
        findings.INFORMATION: findings.information_key(signals, prepared),
    }
    whole = (
        is_final(plan, store)
        and store.is_sound(SIGNALS_KIND, signals, TENSORS)
        and all(store.is_sound(kind, key) for kind, key in found.items())
    )
    if not whole:
        return None
    pool = {"dataset": made.key, "shadow_models": plan.key, "shadow_signals": signals}
    return Standing(pool | found, len(plan.keys))
