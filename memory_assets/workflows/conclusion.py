"""The end of an audit: everything measured, the controls, and a verdict, as one bundle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from memory_assets.attacks.registry import ATTACKS
from memory_assets.config.classifier import ClassifierSubject
from memory_assets.errors import InputError
from memory_assets.history.bundle import Audit, AuditBundle
from memory_assets.models.checkpoints import carried_manifest
from memory_assets.models.predictions import said_to_be_trained
from memory_assets.pool.blocks import common_rows
from memory_assets.pool.precision import aligned
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.signals import Signals
from memory_assets.records.formats import TABLES, is_one_of
from memory_assets.records.prepared import Prepared
from memory_assets.results.estimate import Control, Measurement
from memory_assets.results.findings import Finding, as_key, finding
from memory_assets.results.formulas import (
    ACCOUNTANT,
    CONCLUSION,
    GATE,
    POWER,
    UTILITY,
    Formula,
    Step,
)
from memory_assets.results.formulas import REPLACE_ONE as REPLACE_ONE_FORMULA
from memory_assets.results.gate_results import CLAIM, GateResult, verdict_of
from memory_assets.results.record_scores import as_record_scores
from memory_assets.statistics.intervals import rate
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.validity.blind import blind_baseline
from memory_assets.validity.class_order import class_order
from memory_assets.validity.instrument import instrument
from memory_assets.validity.member_list import member_list
from memory_assets.validity.negative import negative_control
from memory_assets.validity.positive import positive_control
from memory_assets.validity.precision import precision
from memory_assets.validity.provenance import provenance
from memory_assets.validity.recipe_match import recipe_match
from memory_assets.validity.resolution import resolution
from memory_assets.validity.scope import CLAIM_STANDS
from memory_assets.validity.sensitivity import with_least_seen
from memory_assets.validity.shadow_leak import shadow_leak
from memory_assets.validity.verdict import Decision, Gate, decide
from memory_assets.workflows import classifier, pool_findings
from memory_assets.workflows.privacy_loss import REPLACE_ONE, accounted, check_claimed
from memory_assets.workflows.record import AUDIT_KIND
from memory_assets.workflows.results import AttackResults
from memory_assets.workflows.shadows import (
    ATTACKS_STEP,
    SIGNALS_STEP,
    attack_formulas,
    attacks_key,
    computed_on,
    pool_step,
    refuse_older,
    runnable,
)

STEP = Step("conclusion", (CONCLUSION, GATE, POWER, UTILITY))
_ACCOUNTANTS = (ACCOUNTANT, REPLACE_ONE_FORMULA)
_CONTROL_SEED = 0
TRAINED_HERE = Control("provenance", True, None, None, None, (finding("provenance.trained_here"),))


@dataclass(frozen=True)
class Evidence:
    """What the steps before have left: digests, records, and where their files are.

    `path` is where the version lies, None of a model that was trained here and of one that is gone.
    `withheld` says why these shadow models cannot stand for this version, None where they may.
    """

    version: str
    weights: str
    pool_digest: str
    prepared: Prepared
    pool: Path
    target: Path
    attacks: Path
    memorization: Path
    information: Path
    started_at: datetime
    path: Path | None
    trained_here: bool = False
    mitigation: str | None = None
    withheld: Finding | None = None

    @property
    def keys(self) -> list[str]:
        """The keys of the artifacts that an audit is made from."""
        files = (self.pool, self.target, self.attacks, self.memorization, self.information)
        return [file.stem for file in files]


def conclusion_formulas(subject: ClassifierSubject) -> list[Formula]:
    """The formulas of the attacks, which the controls run, and of the accountant where this recipe
    trains with noise."""
    noisy = subject.recipe is not None and subject.recipe.dp is not None
    return [*attack_formulas(subject), *(_ACCOUNTANTS if noisy else ())]


def conclusion_version(subject: ClassifierSubject) -> str:
    """Formula versions, and what the owner chose that decides the verdict.

    It stands for every version of a subject, and any of a recipe may have been trained with noise.
    """
    formulas = dict.fromkeys(conclusion_formulas(subject))
    formulas |= dict.fromkeys(_ACCOUNTANTS if subject.recipe is not None else ())
    return f"{STEP.code_version(*formulas)}.{subject.config_digest[:8]}"


def computed_by(subject: ClassifierSubject) -> str:
    """The formulas that every figure of an audit was computed by, with their versions, by step.

    They are those in the keys of the artifacts, so what was found again was computed by them, too.
    """
    attacks = attack_formulas(subject)
    steps = [
        classifier.RECORDS.in_words(),
        *([pool_step(subject).in_words()] if subject.models else []),
        SIGNALS_STEP.in_words(),
        ATTACKS_STEP.in_words(*attacks),
        pool_findings.MEMORIZATION_STEP.in_words(),
        pool_findings.INFORMATION_STEP.in_words(),
        STEP.in_words(*conclusion_formulas(subject)),
    ]
    return "; ".join(steps)


def _provenance(path: Path | None, prepared: Prepared) -> Control:
    """Does the version say itself that it was trained on the listed members?"""
    if path and is_one_of(path, TABLES) and (own := said_to_be_trained(path, prepared.data.ids)):
        rows, trained = own
        wrong = int((prepared.members[rows] != trained).sum())
        key = "other_trained" if wrong else "same_trained"
        told = {"wrong": wrong, "records": len(rows)} if wrong else {}
        detail = finding(f"provenance.{key}", **told)
        return Control("provenance", not wrong, None, None, None, (detail,))
    return provenance(carried_manifest(path), prepared.members_digest, prepared.data.digest)


def _controls(
    subject: ClassifierSubject,
    evidence: Evidence,
    signals: tuple[Signals, Signals],
    measurements: Sequence[Measurement],
) -> list[Control]:
    pool, target = signals
    prepared, gate = evidence.prepared, Gate(subject.gate)
    ran = runnable(subject, pool)
    attacks = {a.name: a.score for a in ran}
    pairs, side = prepared.pairing.pairs, prepared.pairing.target_side
    asked = np.concatenate([pairs.ravel(), prepared.pairing.held_out])
    path = _version_file(subject, evidence)
    alike = _resembles(evidence, pool, target)
    # By shadow models of another recipe an attack may point the wrong way at a right list.
    listed = {a.name: a.score for a in ran if alike.passed or not a.sides}
    return [
        negative_control(attacks, pool, target, _CONTROL_SEED),
        positive_control(attacks, pool, side),
        blind_baseline(
            prepared.data.x[pairs], side, _CONTROL_SEED, prepared.data.y[pairs], subject.gate
        ),
        alike,
        resolution(measurements, gate),
        TRAINED_HERE if evidence.trained_here else _provenance(path, prepared),
        instrument(
            measurements,
            gate,
            shadows=any(attack.sides for attack in ran),
            declared=subject.attacker == "predictions",
            leak=lambda: shadow_leak(ran, pool, gate),
        ),
        member_list({**listed, "loss": ATTACKS["loss"].score}, pool, target),
        class_order(
            _labels(target),
            prepared.data.y[asked],
            prepared.data.classes,
            _CONTROL_SEED,
            # Models that are trained here learn these labels: `recipe_match` compares with those.
            2 * np.arange(len(pairs)) + side if subject.way == "predictions" else None,
        ),
        precision(pool, target),
    ]


def _version_file(subject: ClassifierSubject, evidence: Evidence) -> Path | None:
    """Where a version lies, None where it is gone.

    Raises:
        InputError: other bytes lie there than those that were asked.
    """
    path = evidence.path
    if path is None or not path.exists():
        return None
    if subject.fingerprint(path) != evidence.weights:
        raise InputError(f"{path}: changed while it was audited; run the audit again")
    return path


def _resembles(evidence: Evidence, pool: Signals, target: Signals) -> Control:
    if evidence.withheld is None:
        return recipe_match(pool, target)
    return Control("recipe_match", False, None, None, None, (evidence.withheld,))


def _labels(target: Signals) -> NDArray[np.int32]:
    """The class that the target answers for every record `[2n + h]`."""
    parts = target.pairs.label_pred, target.held_out.label_pred
    return np.concatenate([part[0, ..., 0].ravel() for part in parts])


def _utility(target: Signals) -> list[Measurement]:
    """Accuracy on held-out records, what the model earns its keep with, and on the members of the
    pairs, which is memory and stands beside it."""
    answered = {
        "held_out_accuracy": target.held_out.correct[0, :, 0],
        "member_accuracy": target.pairs.correct[0, ..., 0][target.is_in[0]],
    }
    return [
        Measurement(
            "utility",
            "target",
            metric,
            "probability",
            rate(int(right.sum()), right.size),
            UTILITY.version,
        )
        for metric, right in answered.items()
        if right.size
    ]


def _accounted(subject: ClassifierSubject, prepared: Prepared) -> list[Measurement]:
    if subject.recipe is None:
        return []
    recipe, pairing = subject.recipe, prepared.pairing
    common = common_rows(recipe, prepared.data.x, pairing.pairs, pairing.common)
    return accounted(recipe, len(pairing.pairs) + len(common))


def _record_scores(audit_id: str, scores: pa.Table, records: dict[str, np.ndarray]) -> pa.Table:
    """A row per record and attack, with the record's memorization beside each score."""
    row = {name: i for i, name in enumerate(records["record_id"])}
    order = np.array([row[name] for name in scores["record_id"].to_pylist()])
    beside = {
        name: records[name][order]
        for name in ("memorization", "memorization_low", "memorization_high", "influence", "kind")
    }
    columns = {"audit_id": [audit_id] * scores.num_rows}
    columns |= {name: scores[name] for name in scores.column_names}
    # What was not measured is null.
    columns |= {name: pa.array(values, from_pandas=True) for name, values in beside.items()}
    return as_record_scores(pa.table(columns))


def _with_claim(
    subject: ClassifierSubject,
    measured: Sequence[Measurement],
    controls: Sequence[Control],
    decision: Decision,
) -> Decision:
    """The decision once a claimed epsilon was held against the lower bound.

    The claim is the owner's, or else the accountant's for training with differential privacy. A
    lower bound that refutes it needs no stronger instrument and no better shadow models, but
    records and members that can be relied on.
    """
    accounted = (m.estimate.value for m in measured if m.metric == REPLACE_ONE)
    claimed = subject.claimed_epsilon or next(accounted, None)
    if claimed is None:
        return decision
    claim = None
    if any(not c.passed and c.control not in CLAIM_STANDS for c in controls):
        found = finding("claim.withheld", claimed=claimed)
    elif (claim := check_claimed(claimed, measured)) is None:
        found = finding("claim.no_bound", claimed=claimed)
    else:
        found = claim.found
    refuted = claim is not None and claim.verdict == "falsified"
    outcome = "fail" if refuted else "inconclusive"
    result = GateResult(CLAIM, claimed, "at most", outcome, None, None, (found,))
    results = (*decision.results, result)
    told = (found, *decision.findings) if refuted else (*decision.findings, found)
    return Decision(verdict_of(results, controls), told, results)


def _findings(
    subject: ClassifierSubject, target: Signals, found: Iterable[Finding]
) -> tuple[Finding, ...]:
    """Why, with what a reader must know first, and that a constant model is one."""
    first = [finding("verdict.declared")] if subject.attacker == "predictions" else []
    constant = [finding("verdict.constant")] if np.ptp(target.pairs.score[0]) == 0 else []
    return (*first, *found, *constant)


def _refuse_older(subject: ClassifierSubject, evidence: Evidence) -> None:
    """Raise InputError where a finding is not that of the formulas as they are now.

    Where several changed at once, one step may be asked before another that it reads was run anew.
    """
    pool, prepared = evidence.pool, evidence.prepared
    wanted = {
        evidence.attacks: attacks_key(subject, prepared, pool, evidence.target),
        evidence.memorization: pool_findings.memorization_key(pool.stem, prepared),
        evidence.information: pool_findings.information_key(pool.stem, prepared),
    }
    refuse_older(evidence.version, wanted)


def audit_key(subject: ClassifierSubject, evidence: Evidence) -> str:
    """The id of the audit that `conclude` brings this evidence to, known before it is concluded."""
    return digest(
        subject.subject,
        evidence.version,
        evidence.weights,
        evidence.prepared.key,
        evidence.pool_digest,
        subject.config_digest,
        evidence.keys,
        evidence.trained_here,
        as_key(evidence.withheld),
        STEP.versions(*conclusion_formulas(subject)),
    )


def conclude(subject: ClassifierSubject, evidence: Evidence, store: ArtifactStore) -> Artifact:
    """Bring an audit to its verdict: a folder that `AuditBundle.read` reads.

    `subject` has the recipe of this version (`version_recipes.recipe_of`). The audit's key
    is its id, a digest of the weights, data, pool, configuration, and of the keys
    and formula versions of all that it reads. The release of the program is no part of it: where
    no formula changed, nothing is computed anew.

    Raises:
        InputError: a gate over a metric that was not measured, or evidence that a control refuses.
    """
    _refuse_older(subject, evidence)
    formulas = conclusion_formulas(subject)
    audit_id = audit_key(subject, evidence)

    @STEP.at_work(*formulas)
    def build(folder: Path) -> None:
        CONCLUSION.note()
        results = AttackResults.load(evidence.attacks)
        pool, target = aligned(load_signals(evidence.pool), load_signals(evidence.target))
        measured = [
            *results.measurements,
            *pool_findings.read_measurements(evidence.memorization),
            *pool_findings.read_measurements(evidence.information),
            *_utility(target),
            *_accounted(subject, evidence.prepared),
        ]
        try:
            controls = _controls(subject, evidence, (pool, target), measured)
        except ValueError as error:
            raise InputError(f"controls of {evidence.version}: {error}") from error
        models = pool.models or None
        decision = decide(measured, controls, Gate(subject.gate), models)
        decision = _with_claim(subject, measured, controls, decision)
        audit = Audit(
            audit_id=audit_id,
            subject=subject.subject,
            kind="classifier",
            model_version=evidence.version,
            model_digest=evidence.weights,
            data_digest=evidence.prepared.key,
            pool_digest=evidence.pool_digest,
            config_digest=subject.config_digest,
            code_version=computed_by(subject),
            device=computed_on(subject),
            started_at=evidence.started_at,
            # A clock that was set back meanwhile must not end an audit before it began.
            finished_at=max(datetime.now(UTC), evidence.started_at),
            verdict=decision.verdict,
            mitigation=evidence.mitigation,
            findings=_findings(subject, target, decision.findings),
        )
        records = pool_findings.read_records(evidence.memorization)
        folder.mkdir()
        AuditBundle(
            audit=audit,
            measurements=with_least_seen(measured, models),
            gate_results=decision.results,
            controls=tuple(controls),
            record_scores=_record_scores(audit_id, results.scores, records),
        ).write(folder)

    return store.get_or_build(AUDIT_KIND, audit_id, build)
