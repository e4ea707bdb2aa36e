"""What shadow language models add to an audit: pairs, memorization by text, and their controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.errors import InputError
from memory_assets.memorization import counterfactual
from memory_assets.memorization.complementary_pairs import has_couples
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.signals import Signals
from memory_assets.records import text_pairs
from memory_assets.records.prepared import PreparedTexts
from memory_assets.records.texts import Texts
from memory_assets.results.estimate import Control, Measurement
from memory_assets.results.findings import Finding
from memory_assets.results.formulas import COUNTERFACTUAL, PAIRING, TEXT_PAIRS, Step
from memory_assets.results.tables import measurements_table
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.validity.negative import negative_control
from memory_assets.validity.positive import positive_control
from memory_assets.validity.recipe_match import recipe_match
from memory_assets.validity.shadow_leak import ShadowLeak, shadow_leak
from memory_assets.validity.verdict import Gate
from memory_assets.workflows import pool_findings
from memory_assets.workflows.results import AttackResults
from memory_assets.workflows.shadows import attacks_key, refuse_older, runnable

PAIRS_KIND = "text-pairs"
PAIRS_STEP = Step(PAIRS_KIND, (PAIRING, TEXT_PAIRS))
MEMORIZATION_STEP = Step("memorization", (COUNTERFACTUAL,))
_CONTROL_SEED = 0
_BESIDE = ("memorization", "memorization_low", "memorization_high")


@PAIRS_STEP.at_work()
def draw_pairs(
    subject: LanguageModelSubject, members: Texts, held_out: Texts, planted: Sequence[str]
) -> PreparedTexts:
    """The audit set of a subject's texts, `planted` being the texts of its secrets."""
    seed, pairs = subject.pool.seed, subject.pool.pairs
    return text_pairs.pair_texts(members, held_out, planted, seed=seed, pairs=pairs)


def pairs_version(subject: LanguageModelSubject) -> str:
    """Formula version of the audit set, and what the owner says of it."""
    spec = digest(subject.pool.pairs, subject.pool.seed)
    return f"{PAIRS_STEP.code_version()}.{spec[:8]}"


def memorization_key(signals_key: str, prepared: PreparedTexts) -> str:
    """The key of what `text_memorization` finds in the pool whose signals have this key."""
    return digest("counterfactual", signals_key, prepared.key, MEMORIZATION_STEP.versions())


def text_memorization(prepared: PreparedTexts, pool: Path, store: ArtifactStore) -> Artifact:
    """Counterfactual memorization of every text of the audit set.

    A folder with `records.parquet` (record_id, memorization in accuracy and loss_gain in nats a
    token, each with its interval) and `measurements.parquet`.

    Raises:
        InputError: signals that cannot be measured.
    """

    @MEMORIZATION_STEP.at_work()
    def build(folder: Path) -> None:
        signals = load_signals(pool)
        if not (pool_findings.measurable(signals) and has_couples(signals.side)):
            raise InputError("pool.models: too few to measure memorization by; at least 4")
        found = counterfactual.counterfactual(signals)
        columns = {"record_id": prepared.pair_ids.astype(object).ravel()}
        for name, part in (("memorization", found.accuracy), ("loss_gain", found.loss)):
            columns |= {
                name: part.value.ravel(),
                f"{name}_low": part.low.ravel(),
                f"{name}_high": part.high.ravel(),
            }
        folder.mkdir()
        pq.write_table(pa.table(columns), folder / "records.parquet")
        pq.write_table(measurements_table(found.measurements), folder / "measurements.parquet")

    key = memorization_key(pool.stem, prepared)
    return store.get_or_build(pool_findings.MEMORIZATION, key, build)


@dataclass(frozen=True)
class ShadowEvidence:
    """What the steps before have left of the shadow models: where each file is.

    `withheld` says why these shadow models cannot stand for this version, None where they may; the
    digest of the pool names it, too.
    """

    pool_digest: str
    prepared: PreparedTexts
    pool: Path
    target: Path
    attacks: Path
    memorization: Path
    withheld: Finding | None = None

    @property
    def key(self) -> str:
        files = (self.pool, self.target, self.attacks, self.memorization)
        return digest(self.pool_digest, [file.stem for file in files])

    @property
    def models(self) -> int | None:
        """How many shadow models the attacks rest on."""
        return load_signals(self.pool).models or None

    def refuse_older(self, subject: LanguageModelSubject, version: str) -> None:
        """Raise InputError where a finding is not that of the formulas as they are now."""
        attacks = attacks_key(subject, self.prepared, self.pool, self.target)
        memorization = memorization_key(self.pool.stem, self.prepared)
        refuse_older(version, {self.attacks: attacks, self.memorization: memorization})

    def measurements(self) -> tuple[Measurement, ...]:
        """What the attacks on this version found, and what the pool says of the texts."""
        return (
            *AttackResults.load(self.attacks).measurements,
            *pool_findings.read_measurements(self.memorization),
        )

    def controls(self, subject: LanguageModelSubject) -> list[Control]:
        """Do the shadow models resemble the version, and do the attacks find what is there only?

        Raises:
            InputError: signals that a control refuses.
        """
        pool, target = load_signals(self.pool), load_signals(self.target)
        attacks = {attack.name: attack.score for attack in runnable(subject, pool)}
        try:
            return [
                negative_control(attacks, pool, target, _CONTROL_SEED),
                positive_control(attacks, pool, self.prepared.pairing.target_side),
                self._resembles(pool, target),
            ]
        except ValueError as error:
            raise InputError(f"controls: {error}") from error

    def _resembles(self, pool: Signals, target: Signals) -> Control:
        if self.withheld is None:
            return recipe_match(pool, target)
        return Control("recipe_match", False, None, None, None, (self.withheld,))

    def leak(self, subject: LanguageModelSubject, gate: Gate) -> ShadowLeak | None:
        """A limit that the shadow models exceed themselves, if there is one."""
        pool = load_signals(self.pool)
        return shadow_leak(runnable(subject, pool), pool, gate)

    def record_scores(self, scores: pa.Table) -> pa.Table:
        """`scores` and those of the attacks, each text's memorization beside them."""
        mine = AttackResults.load(self.attacks).scores
        rows = pa.concat_tables(
            [scores, mine.cast(scores.select(mine.column_names).schema)], promote_options="default"
        )
        known = pool_findings.read_records(self.memorization)
        place = {name: i for i, name in enumerate(known["record_id"])}
        row = np.array([place.get(name, -1) for name in rows["record_id"].to_pylist()])
        for name in _BESIDE:
            values = np.where(row >= 0, known[name][row], np.nan)
            column = pa.array(values, pa.float64(), from_pandas=True)
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        return rows
