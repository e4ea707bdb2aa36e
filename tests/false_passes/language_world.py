"""Made-up prose, a tiny recipe of a language model, and versions that say how they were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from reciting_model import sentences

from benchmarks.setups.audits import audit_language, pool_of
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.examples.notes import NotesRecipe, train, train_tokenizer
from memory_assets.history.bundle import AuditBundle
from memory_assets.language.recipe import LanguageRecipe
from memory_assets.models.checkpoints import Manifest, add_manifest
from memory_assets.records.prepared import PreparedTexts, members_digest
from memory_assets.records.texts import Texts
from memory_assets.results.estimate import Control
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows import language
from memory_assets.workflows.released import Released
from memory_assets.workflows.version_pool import VersionPool

TRAINING = NotesRecipe(
    vocabulary=300, layers=1, width=32, heads=2, window=64, batch_tokens=512, lr=1e-2, epochs=24
)
RECIPE = TRAINING.of_model
MODELS = 8
PROBES = {"prefix": 4, "suffix": 4, "generated": 0, "control_texts": 50, "attacks": ["loss"]}


@dataclass(frozen=True)
class World:
    root: Path
    members: Texts
    held_out: Texts

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root / "home", "world")

    @property
    def versions(self) -> Mapping[str, Path]:
        """Where each version lies now, oldest first."""
        return Released(self.store.root).of(self.subject(), self.root)

    def subject(self, recipe: LanguageRecipe = RECIPE, **attributes: Any) -> LanguageModelSubject:
        base = {
            "subject": "world",
            "members": {"path": "members.jsonl", "id": "id"},
            "held_out": {"path": "held_out.jsonl", "id": "id"},
            "checkpoints": "versions",
            "recipe": {**asdict(recipe), "tokenizer": "tokenizer"},
            "pool": {"models": MODELS},
            "probes": PROBES,
            "gate": {"tpr_at_fpr_0.1": 0.6},
        }
        return LanguageModelSubject.model_validate(base | attributes)

    def release(
        self,
        version: str,
        says: dict[str, Any] | None = None,
        texts: Texts | None = None,
        **trained: Any,
    ) -> None:
        """A version trained as `TRAINING` but for `trained`, whose weights say what `says` does."""
        folder = self.root / "versions" / version
        folder.mkdir(parents=True)
        texts = texts or self.members
        train(texts, self.root / "tokenizer", replace(TRAINING, **trained), folder)
        if says is not None:
            manifest = Manifest(says, members_digest(np.array(texts.ids)), texts.digest)
            add_manifest(folder / "model.safetensors", manifest)

    def pool(self, subject: LanguageModelSubject, version: str) -> VersionPool:
        """The subject's pool, and then the one that this version is compared with."""
        texts = language.prepare_texts(subject, self.root, self.store).path
        prepared = PreparedTexts.load(language.prepare_pairs(subject, texts, self.store).path)
        return pool_of(subject, self.root, prepared, version, self.store)

    def alone(self, **attributes: Any) -> LanguageModelSubject:
        """The subject without a recipe, so without shadow models."""
        mine = self.subject().model_dump(exclude={"recipe", "pool", "attacks", "attacker"})
        return LanguageModelSubject.model_validate(mine | attributes)

    def audit_alone(self, version: str, **attributes: Any) -> AuditBundle:
        """All the steps of an audit without shadow models."""
        return self.audit(version, self.alone(**attributes))

    def audit(self, version: str, subject: LanguageModelSubject | None = None) -> AuditBundle:
        """All the steps of an audit, one after the other, as the lineage graph runs them."""
        return audit_language(subject or self.subject(), self.root, version, self.store)


def make_world(root: Path, members: int = 60, held_out: int = 110) -> World:
    world = World(root, sentences("m", members, 1), sentences("h", held_out, 2))
    world.members.write(root / "members.jsonl")
    world.held_out.write(root / "held_out.jsonl")
    (root / "tokenizer").mkdir()
    train_tokenizer(list(sentences("t", 200, 4).texts), TRAINING, root / "tokenizer")
    return world


def control(bundle: AuditBundle, name: str) -> Control:
    return next(c for c in bundle.controls if c.control == name)


def failed(bundle: AuditBundle) -> set[str]:
    return {c.control for c in bundle.controls if not c.passed}
