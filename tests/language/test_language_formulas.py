"""What a language model's audit calls is named in its keys, and nothing else is."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest
from tiny_language import TINY

import memory_assets
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.history.bundle import AuditBundle
from memory_assets.records.prepared import PreparedTexts
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import language as audit
from memory_assets.workflows import language_pool, shadows
from tests.workflows.formula_keys import Asked, Made, wrong

READS = {
    "texts": (),
    "pairs": (),
    "pool": ("pairs",),
    "signals": ("pool", "pairs"),
    "answers": ("pairs",),
    "attacks": ("signals", "answers"),
    "memorization": ("signals",),
    "findings": ("texts",),
    "audit": ("attacks", "memorization", "findings"),
}
WITHOUT_SHADOWS = {"texts": (), "findings": ("texts",), "audit": ("findings",)}
PROBES = {"prefix": 8, "suffix": 8, "references": 100, "generated": 2, "control_texts": 10}
NOW = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("language formulas")]


@dataclass(frozen=True)
class Audits:
    root: Path
    shadows: bool

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root / "home")

    @property
    def versions(self) -> dict[str, Path]:
        return {"v1": self.root / "models" / "v1"}

    @cached_property
    def subject(self) -> LanguageModelSubject:
        recipe = asdict(TINY.of_model) | {"tokenizer": "tokenizer", "epochs": 1}
        secrets = {"manifest": "canaries.json", "recipe": recipe, "attacks": "thorough"}
        return LanguageModelSubject.model_validate(
            {
                "subject": "tiny",
                "members": {"path": "members.jsonl", "id": "id"},
                "held_out": {"path": "held_out.jsonl", "id": "id"},
                "checkpoints": "models",
                "probes": PROBES,
                "gate": {"extraction_rate": 0.05},
                **(secrets | {"pool": {"models": 8}} if self.shadows else {}),
            }
        )

    @cached_property
    def prepared(self) -> PreparedTexts:
        """The audit set; its key asks for the version of the formula each time."""
        texts = audit.prepare_texts(self.subject, self.root, self.store)
        return PreparedTexts.load(audit.prepare_pairs(self.subject, texts.path, self.store).path)

    def audit(self, store: ArtifactStore) -> Made:
        """Version v1 from its texts to its verdict."""
        made, subject, root = Made(), self.subject, self.root
        texts = made.stage("texts", audit.prepare_texts, subject, root, store)
        given = [subject, root, texts.path, self.versions, "v1", store]
        found, weights = made.stage("findings", audit.language_findings, *given)
        evidence = self._shadows(made, store) if self.shadows else None
        files = [texts.path, found.path, NOW, store, evidence]
        made.stage("audit", audit.conclude_language, subject, "v1", weights, *files)
        return made

    def _shadows(self, made: Made, store: ArtifactStore) -> language_pool.ShadowEvidence:
        subject, root, prepared = self.subject, self.root, self.prepared
        stored = audit.prepare_texts(subject, root, self.store)
        made.stage("pairs", audit.prepare_pairs, subject, stored.path, store)
        plan = shadows.plan_pool(subject, root, prepared)
        for number in range(len(plan.blocks)):
            made.stage("pool", shadows.train_block, subject, root, prepared, number, store)
        made.keys["pool"] = plan.key
        pool = made.stage("signals", shadows.shadow_signals, subject, root, prepared, store)
        asked = [subject, root, prepared, self.versions, "v1", store]
        target, _ = made.stage("answers", shadows.target_signals, *asked)
        read = [subject, prepared, pool.path, target.path, store]
        attacks = made.stage("attacks", shadows.attack_scores, *read)
        memorization = made.stage(
            "memorization", language_pool.text_memorization, prepared, pool.path, store
        )
        files = [pool.path, target.path, attacks.path, memorization.path]
        return language_pool.ShadowEvidence(plan.key, prepared, *files)


@pytest.fixture(scope="module", params=[True, False], ids=["shadows", "alone"])
def audits(trained, tmp_path_factory, request) -> Audits:
    root = tmp_path_factory.mktemp("formulas")
    trained.members.write(root / "members.jsonl")
    trained.held_out.write(root / "held_out.jsonl")
    trained.manifest.write(root / "canaries.json")
    shutil.copytree(trained.folder, root / "models" / "v1")
    weights = shutil.ignore_patterns("*.safetensors", "config.json", "generation_config.json")
    shutil.copytree(trained.folder, root / "tokenizer", ignore=weights)
    return Audits(root, request.param)


@pytest.fixture(scope="module")
def made(audits: Audits) -> Made:
    """The steps as they really ran."""
    return audits.audit(audits.store)


def test_steps_name_the_formulas_that_they_call_and_no_others(made: Made):
    assert made.used == made.allowed


def test_a_version_of_a_formula_changes_what_it_computes_and_what_reads_that(
    audits: Audits, made: Made
):
    reads = READS if audits.shadows else WITHOUT_SHADOWS
    assert wrong(made, reads, lambda: audits.audit(Asked(audits.store.root))) == {}


def test_a_new_release_computes_nothing_anew(audits: Audits, made: Made, monkeypatch):
    monkeypatch.setattr(memory_assets, "__version__", "99.0.0")
    assert audits.audit(Asked(audits.store.root)).keys == made.keys


def test_an_audit_says_by_which_formulas_its_figures_were_computed(audits: Audits, made: Made):
    said = AuditBundle.read(audits.store.path("audit", made.keys["audit"])).audit.code_version
    called = Counter({f"{f.name} {f.number}" for stage in made.used.values() for f in stage})
    assert set(called) == set(re.findall(r"(?<=[:,] )[^,;]+", said))
