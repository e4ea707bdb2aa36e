"""The steps of a language model's audit: texts, what one version gives away, and the verdict.

A step's key is a digest of all that it reads, as for classifiers. Reading a model is dear and a
verdict is cheap, so they are two artifacts: another limit reads no model again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.errors import InputError
from memory_assets.history import legacy
from memory_assets.history.bundle import Audit, AuditBundle
from memory_assets.language.folders import base_of
from memory_assets.language.scores import FORMULAS as SCORES
from memory_assets.models.checkpoints import fingerprint, still_there
from memory_assets.records.prepared import PreparedTexts
from memory_assets.records.texts import Texts, load_texts
from memory_assets.reports.extracted import RecitedSecret, save_recited
from memory_assets.reports.inputs import RocCurve
from memory_assets.results.estimate import Control
from memory_assets.results.findings import finding
from memory_assets.results.formulas import (
    EXPOSURE,
    EXTRACTION,
    FINDINGS,
    GATE,
    LANGUAGE_CONCLUSION,
    NEAR_TIES,
    NEAR_VERBATIM,
    PII,
    POWER,
    RATES,
    SUMMARY,
    TEXTS,
    UNINTENDED,
    Formula,
    Step,
)
from memory_assets.results.record_scores import as_record_scores
from memory_assets.results.tables import (
    controls_from,
    controls_table,
    findings_from,
    findings_table,
)
from memory_assets.store.artifacts import Artifact, ArtifactStore
from memory_assets.store.digest import digest
from memory_assets.validity.sensitivity import with_least_seen
from memory_assets.validity.verdict import Gate, decide
from memory_assets.workflows.language_controls import text_controls, text_provenance
from memory_assets.workflows.language_pool import (
    MEMORIZATION_STEP,
    PAIRS_KIND,
    PAIRS_STEP,
    ShadowEvidence,
    draw_pairs,
    memorization_key,
)
from memory_assets.workflows.pool_findings import MEMORIZATION
from memory_assets.workflows.pool_state import Standing
from memory_assets.workflows.record import AUDIT_KIND
from memory_assets.workflows.results import AttackResults
from memory_assets.workflows.shadows import (
    ATTACKS_STEP,
    SIGNALS_KIND,
    SIGNALS_STEP,
    TENSORS,
    attack_formulas,
    computed_on,
    device_name,
    is_final,
    plan_pool,
    pool_step,
    signals_key,
)

if TYPE_CHECKING:  # brings Faker along, which listing the graph need not wait for
    from memory_assets.records.secrets import Manifest

TEXTS_KIND, FINDINGS_KIND = "texts", "language-findings"
TEXTS_STEP = Step(TEXTS_KIND, (TEXTS,))
FINDINGS_STEP = Step(
    FINDINGS_KIND,
    (
        FINDINGS,
        *SCORES.values(),
        EXTRACTION,
        NEAR_VERBATIM,
        NEAR_TIES,
        UNINTENDED,
    ),
)
CONCLUSION_STEP = Step("conclusion", (LANGUAGE_CONCLUSION, GATE, POWER))
_CONTROL_STRATA = ("held_out", "unplanted")
"""What must show nothing stands beside the figures; no limit is held against it."""

_MEMBERS, _HELD_OUT, _SECRETS = "members.jsonl", "held_out.jsonl", "canaries.json"
_READ = "read.json"
"""Where the texts of each file came from, and what was left out on reading."""


@dataclass(frozen=True)
class _Given:
    """What the owner brings besides models, loaded."""

    members: Texts
    held_out: Texts | None
    manifest: Manifest | None

    @property
    def key(self) -> str:
        sides = [(t.digest, list(t.notices)) for t in (self.members, self.held_out) if t]
        secrets = None if self.manifest is None else digest(self.manifest)
        return digest(sides, secrets, TEXTS_STEP.versions())


@TEXTS.computes
def _load(subject: LanguageModelSubject, root: Path) -> _Given:
    from memory_assets.records.secrets import Manifest, load_secrets

    manifest = None
    if subject.manifest is not None:
        manifest = Manifest.read(root / subject.manifest)
    elif subject.secrets is not None:
        manifest = Manifest(load_secrets(root / subject.secrets))
    held_out = subject.held_out.load(root) if subject.held_out else None
    return _Given(subject.members.load(root), held_out, manifest)


def texts_now(subject: LanguageModelSubject, root: Path) -> tuple[str, PreparedTexts | None]:
    """The key of the texts as they are now, and the audit set where shadow models stand beside.

    Raises:
        InputError: as `prepare_texts` and `prepare_pairs`.
    """
    given = _load(subject, root)
    return given.key, None if subject.recipe is None else _pair(subject, given)


@TEXTS_STEP.at_work()
def prepare_texts(subject: LanguageModelSubject, root: Path, store: ArtifactStore) -> Artifact:
    """Load members, held-out texts and secrets: a folder that `read_texts` reads.

    Raises:
        InputError: a file that cannot be read as texts or secrets, or no text at all.
    """
    given = _load(subject, root)

    def build(folder: Path) -> None:
        folder.mkdir(mode=0o700)
        read = {}
        for name, texts in ((_MEMBERS, given.members), (_HELD_OUT, given.held_out)):
            if texts is not None:
                texts.write(folder / name)
                read[name] = {"source": texts.source, "notices": texts.notices}
                if texts.prompts:
                    read[name] |= {"template": texts.template, "chat": texts.chat}
        (folder / _READ).write_text(json.dumps(read, ensure_ascii=False), encoding="utf-8")
        if given.manifest is not None:
            given.manifest.write(folder / _SECRETS)

    return store.get_or_build(TEXTS_KIND, given.key, build)


def _stored(folder: Path) -> _Given:
    """What `prepare_texts` wrote."""
    from memory_assets.records.secrets import Manifest

    members, held_out = read_texts(folder)
    secrets = folder / _SECRETS
    return _Given(members, held_out, Manifest.read(secrets) if secrets.is_file() else None)


def read_texts(folder: Path) -> tuple[Texts, Texts | None]:
    """Members and held-out texts as `prepare_texts` wrote them."""
    read = json.loads((folder / _READ).read_text(encoding="utf-8"))
    members, held_out = (
        replace(
            _written(folder / name, read[name].get("template"), read[name].get("chat")),
            source=read[name]["source"],
            notices=tuple(read[name]["notices"]),
        )
        if name in read
        else None
        for name in (_MEMBERS, _HELD_OUT)
    )
    assert members is not None
    return members, held_out


def _written(path: Path, template: str | None, chat: bool | None) -> Texts:
    """Texts as `Texts.write` wrote them, with their prompts where a template joins the two."""
    if template is None:
        return load_texts(path, "text", "id")
    return load_texts(path, "text", "id", "prompt", template, chat)


def _pair(subject: LanguageModelSubject, given: _Given) -> PreparedTexts:
    assert given.held_out is not None  # a subject with a recipe has held-out texts
    secrets = [] if given.manifest is None else [s.text for s in given.manifest.secrets]
    return draw_pairs(subject, given.members, given.held_out, secrets)


def prepare_pairs(subject: LanguageModelSubject, texts: Path, store: ArtifactStore) -> Artifact:
    """Draw the audit set for shadow models: a folder that `PreparedTexts.load` reads.

    Raises:
        InputError: too few texts that nothing repeats.
    """
    prepared = _pair(subject, _stored(texts))
    return store.get_or_build(PAIRS_KIND, prepared.key, prepared.save)


def standing_texts(
    subject: LanguageModelSubject, root: Path, store: ArtifactStore
) -> Standing | None:
    """The texts and the pool as they must be now, or None where any artifact is gone or damaged."""
    texts, prepared = texts_now(subject, root)
    if not store.is_sound(TEXTS_KIND, texts):
        return None
    keys = {"texts": texts}
    if prepared is None:
        return Standing(keys, 0)
    plan = plan_pool(subject, root, prepared)
    signals = signals_key(plan, prepared)
    memorization = memorization_key(signals, prepared)
    whole = (
        store.is_sound(PAIRS_KIND, prepared.key)
        and is_final(plan, store)
        and store.is_sound(SIGNALS_KIND, signals, TENSORS)
        and store.is_sound(MEMORIZATION, memorization)
    )
    if not whole:
        return None
    keys |= {"dataset": prepared.key, "shadow_models": plan.key, "shadow_signals": signals}
    return Standing(keys | {"memorization": memorization}, len(plan.keys))


def texts_version(subject: LanguageModelSubject) -> str:
    """Formula version of the texts, and what the owner says of them."""
    spec = subject.model_dump(include={"members", "held_out", "manifest", "secrets"})
    return f"{TEXTS_STEP.code_version()}.{digest(spec)[:8]}"


def leakage_version(subject: LanguageModelSubject) -> str:
    """Formula versions, and everything the owner chose that decides numbers or verdict."""
    chosen = digest(subject.model_dump(include={"probes", "reference", "base"}))
    found = FINDINGS_STEP.code_version(*sought(subject))
    concluded = CONCLUSION_STEP.code_version(*_controlled(subject))
    return f"{found}.{concluded}.{chosen[:8]}.{subject.config_digest[:8]}"


def sought(subject: LanguageModelSubject) -> list[Formula]:
    """The formulas of what rests on held-out texts and on secrets, where there are any."""
    compared = [RATES, SUMMARY] if subject.held_out is not None else []
    return [*compared, *([EXPOSURE, PII] if subject.manifest or subject.secrets else [])]


def _attacks(subject: LanguageModelSubject) -> list[Formula]:
    """The formulas of what is asked of shadow models' answers, where there are any."""
    return attack_formulas(subject) if subject.recipe is not None else []


def _controlled(subject: LanguageModelSubject) -> list[Formula]:
    """The formulas of the attacks that read shadow models, which controls ask again."""
    if subject.recipe is None:
        return []
    return [attack.revision for attack in subject.attacks_on(subject.models)]


def computed_by(subject: LanguageModelSubject) -> str:
    """The formulas that every figure of an audit was computed by, with their versions, by step."""
    steps = [TEXTS_STEP.in_words(), FINDINGS_STEP.in_words(*sought(subject))]
    if subject.recipe is not None:
        steps += [step.in_words() for step in (PAIRS_STEP, pool_step(subject), SIGNALS_STEP)]
        steps += [ATTACKS_STEP.in_words(*_attacks(subject)), MEMORIZATION_STEP.in_words()]
    return "; ".join([*steps, CONCLUSION_STEP.in_words(*_controlled(subject))])


def _digest_of(subject: LanguageModelSubject, folder: Path | None) -> str:
    return "" if folder is None else fingerprint(subject.weights(folder))


def language_findings(
    subject: LanguageModelSubject,
    root: Path,
    texts: Path,
    versions: Mapping[str, Path],
    version: str,
    store: ArtifactStore,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Artifact, str]:
    """What one version gives away: a folder that `AttackResults.load` reads; and the digest of
    the version's files. Beside the results lie the controls, notices and masked secrets.

    `versions` says where each one lies, as a run listed them; `say` is told in words how long it
    will take and how far it is.

    Raises:
        InputError: no such version, or one that cannot be opened safely.
    """
    path = still_there(versions, version)
    if path is None:
        raise InputError(f"version {version!r}: gone from {subject.checkpoints}")
    weights = subject.fingerprint(path)
    reference = subject.folder_of(subject.reference, root) if subject.reference else None
    # An adapter may name its base itself; other weights there are another model.
    base = base_of(path, subject.folder_of(subject.base, root) if subject.base else None, root)
    options = replace(subject.probes.options(), more_rates=subject.gated_rates)
    device = device_name()
    others = [_digest_of(subject, reference), _digest_of(subject, base)]
    key = digest(
        weights, texts.name, others, options, device, FINDINGS_STEP.versions(*sought(subject))
    )

    @FINDINGS_STEP.at_work(*sought(subject))
    def build(folder: Path) -> None:
        from memory_assets.language.audit import audit_language_model
        from memory_assets.language.progress import Spoken

        given = _stored(texts)
        found = audit_language_model(
            path,
            given.members,
            given.held_out,
            manifest=given.manifest,
            reference=reference,
            options=options,
            base=base,
            device=device,
            progress=Spoken(say),
        )
        if subject.fingerprint(path) != weights or others != [
            _digest_of(subject, reference),
            _digest_of(subject, base),
        ]:
            raise InputError(
                f"{path}: its files, or those of its base or the reference, changed while they "
                "were read; run the audit again"
            )
        curves = []
        for name, roc in found.rocs.items():
            curve = roc.curve()
            sizes = roc.members.size, roc.non_members.size
            curves.append(RocCurve(name, curve.fpr, curve.tpr, *sizes))
        AttackResults(found.record_scores, found.measurements, tuple(curves)).save(folder)
        controls = (*found.controls, text_provenance(subject, path, given.members))
        pq.write_table(controls_table(controls), folder / "controls.parquet")
        pq.write_table(findings_table(controls), folder / "findings.parquet")
        (folder / "notices.json").write_text(
            json.dumps(found.notices, ensure_ascii=False), encoding="utf-8"
        )
        recited = [
            RecitedSecret(
                id=f.secret.id,
                repetitions=f.repetitions,
                masked=f.secret.masked(),
                extracted=f.extracted,
                exposure=f.exposure.bits if f.exposure else None,
            )
            for f in found.secrets
        ]
        save_recited(recited, folder)

    return store.get_or_build(FINDINGS_KIND, key, build), weights


def language_config(
    subject: LanguageModelSubject, findings: Path, shadows: ShadowEvidence | None
) -> str:
    """What decided the figures and the verdict, as an audit records it: settings, and what was
    found by them."""
    return digest(subject.config_digest, findings.name, shadows.key if shadows else "")


def audit_key(
    subject: LanguageModelSubject, version: str, weights: str, texts: str, config: str
) -> str:
    """The id of the audit that `conclude_language` makes, `texts` being the key of the texts and
    `config` as `language_config` says."""
    versions = CONCLUSION_STEP.versions(*_controlled(subject))
    return digest(subject.subject, version, weights, texts, config, versions)


def conclude_language(
    subject: LanguageModelSubject,
    version: str,
    weights: str,
    texts: Path,
    findings: Path,
    started_at: datetime,
    store: ArtifactStore,
    shadows: ShadowEvidence | None = None,
) -> Artifact:
    """Bring an audit to its verdict: a folder that `AuditBundle.read` reads.

    `shadows` is what shadow models added, where the subject has a recipe.

    Raises:
        InputError: a gate over a metric that was not measured.
    """
    if shadows is not None:
        shadows.refuse_older(subject, version)
    config = language_config(subject, findings, shadows)
    attacks = _controlled(subject)
    audit_id = audit_key(subject, version, weights, texts.name, config)

    @CONCLUSION_STEP.at_work(*attacks)
    def build(folder: Path) -> None:
        LANGUAGE_CONCLUSION.note()
        results = AttackResults.load(findings)
        measured = list(results.measurements)
        controls = list(_read_controls(findings))
        scores, models = results.scores, None
        if shadows is not None:
            models = shadows.models
            measured += shadows.measurements()
            controls += shadows.controls(subject)
            scores = shadows.record_scores(scores)
        gated = [m for m in measured if m.stratum not in _CONTROL_STRATA]
        controls += text_controls(subject, gated, results, shadows)
        decision = decide(gated, controls, Gate(subject.gate), models)
        first = [finding("verdict.declared")] if subject.attacker == "predictions" else []
        audit = Audit(
            audit_id=audit_id,
            subject=subject.subject,
            kind="language_model",
            model_version=version,
            model_digest=weights,
            data_digest=texts.name,
            pool_digest=shadows.pool_digest if shadows else "",
            config_digest=config,
            code_version=computed_by(subject),
            device=computed_on(subject),
            started_at=started_at,
            finished_at=max(datetime.now(UTC), started_at),
            verdict=decision.verdict,
            findings=(*first, *decision.findings),
        )
        named = pa.array([audit_id] * scores.num_rows, pa.string())
        scores = scores.set_column(scores.schema.get_field_index("audit_id"), "audit_id", named)
        folder.mkdir()
        AuditBundle(
            audit=audit,
            measurements=(
                *with_least_seen(gated, models),
                *(m for m in measured if m.stratum in _CONTROL_STRATA),
            ),
            gate_results=decision.results,
            controls=tuple(controls),
            record_scores=as_record_scores(scores),
        ).write(folder)

    return store.get_or_build(AUDIT_KIND, audit_id, build)


def _read_controls(findings: Path) -> tuple[Control, ...]:
    """The controls of what one version gave away, whichever version of the program wrote them."""
    rows = pq.read_table(findings / "controls.parquet")
    if "detail" in rows.column_names:
        return legacy.controls_of(rows)
    return controls_from(rows, findings_from(pq.read_table(findings / "findings.parquet")))


def read_notices(findings: Path) -> list[str]:
    """What was left out of an audit and why, by id."""
    return json.loads((findings / "notices.json").read_text(encoding="utf-8"))
