"""What an audit of a language model hands on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memory_assets.language.secret_audit import SecretFinding
from memory_assets.results.estimate import Control, Measurement
from memory_assets.results.record_scores import as_record_scores
from memory_assets.statistics.roc import Roc


@dataclass(frozen=True)
class LanguageAudit:
    """Everything that one audit found.

    `record_scores` follows `RECORD_SCORES` with an empty audit_id: a row per text and attack
    (higher = more likely a member), `discoverable` (share of the suffix that greedy decoding gets
    right, 1 = recited) and, per secret, `exposure` in bits. `notices` says by id what was left out
    and why. Secrets are in `secrets` in clear: show `secret.masked()`.
    """

    measurements: tuple[Measurement, ...]
    controls: tuple[Control, ...]
    record_scores: pa.Table
    rocs: dict[str, Roc]
    secrets: tuple[SecretFinding, ...]
    notices: tuple[str, ...]
    model_digest: str
    data_digest: str
    config_digest: str
    device: str


@dataclass
class ScoreRows:
    """Rows of the table of scores, column by column."""

    record_id: list[str] = field(default_factory=list)
    member: list[bool] = field(default_factory=list)
    attack: list[str] = field(default_factory=list)
    score: list[float] = field(default_factory=list)

    def add(self, ids: list[str], member: bool, attack: str, values: NDArray[np.float64]) -> None:
        self.record_id += ids
        self.member += [member] * len(ids)
        self.attack += [attack] * len(ids)
        self.score += [float(v) for v in values]

    def table(self) -> pa.Table:
        columns = {
            "audit_id": pa.array([""] * len(self.score), pa.string()),
            "record_id": self.record_id,
            "member": self.member,
            "attack": self.attack,
            "score": self.score,
        }
        return as_record_scores(pa.table(columns))
