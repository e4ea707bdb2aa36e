"""One small language model as its owner brings it, and what went wrong on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from faker import Faker

from benchmarks.setups.audits import audit_language
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.examples.notes import NotesRecipe, train, train_tokenizer
from memory_assets.history.bundle import AuditBundle
from memory_assets.records.texts import Texts
from memory_assets.statistics import power
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.store.digest import digest

RECIPE = NotesRecipe(
    vocabulary=320, layers=1, width=64, heads=2, window=64, batch_tokens=512, lr=2e-2, epochs=100
)
"""It recites 24 texts after so many epochs."""
REMEMBERING = replace(RECIPE, batch_tokens=1024, epochs=60)
"""It tells its 60 members from others and recites none of them."""
CAUTIOUS = replace(RECIPE, lr=7e-3, epochs=3)
SHADOWS = 4
RECITED, REMEMBERED, HONEST = 24, 60, 240
"""Members of the models that leak, and of those that do not."""
HELD_OUT = 110

Damage = Callable[[Path], None]
_known: dict[str, Path] = {}


def limits(members: int, others: int, far: float = 2) -> dict[str, float]:
    """So many times as far from guessing as the least that a model without a leak passes; and next
    to nothing recited."""
    least = power.passable_auc(members, others)
    assert least is not None
    return {"auc": round(0.5 + far * (least - 0.5), 3), "extraction_rate": 0.2}


@cache
def sentences(name: str, count: int, seed: int) -> Texts:
    """Random words, so that nobody can guess how a text goes on."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return named(name, [" ".join(fake.words(10)).capitalize() + "." for _ in range(count)])


def named(name: str, texts: list[str] | tuple[str, ...]) -> Texts:
    return Texts(tuple(f"{name}-{i:03d}" for i in range(len(texts))), tuple(texts))


@cache
def tokenizer() -> Path:
    folder = Path(mkdtemp(prefix="verdicts-"))
    train_tokenizer(list(sentences("t", 200, 4).texts), RECIPE, folder)
    return folder


def trained(texts: tuple[str, ...], recipe: NotesRecipe) -> Path:
    """The folder of a model that was trained on these texts, once a process."""
    key = digest(list(texts), recipe)
    if key not in _known:
        folder = Path(mkdtemp(prefix="verdicts-"))
        train(named("x", texts), tokenizer(), recipe, folder)
        _known[key] = folder
    return _known[key]


def forget() -> None:
    """Remove what was trained."""
    for folder in _known.values():
        shutil.rmtree(folder)
    _known.clear()
    if tokenizer.cache_info().currsize:
        shutil.rmtree(tokenizer())
        tokenizer.cache_clear()


@dataclass(frozen=True)
class TextCase:
    """What the model read, `members` and `held_out` as the owner lists them, and how it is brought.

    `read` are the texts of the training, those of the members without it; `damage` is done to the
    model's folder; `shadow_recipe` makes the shadow models, if there are any.
    """

    members: Texts
    held_out: Texts
    recipe: NotesRecipe = RECIPE
    read: tuple[str, ...] | None = None
    shadow_recipe: NotesRecipe | None = None
    declared: bool = False
    damage: Damage = lambda _: None
    gate: Mapping[str, float] = field(default_factory=lambda: limits(RECITED, HELD_OUT))

    def audit(self, root: Path, store: ArtifactStore) -> AuditBundle:
        """Write it all to the empty folder `root`, and audit it.

        Raises:
            InputError: the program refuses it.
        """
        self.members.write(root / "members.jsonl")
        self.held_out.write(root / "held_out.jsonl")
        shutil.copytree(tokenizer(), root / "tokenizer")
        (root / "versions").mkdir()
        model = trained(self.members.texts if self.read is None else self.read, self.recipe)
        shutil.copytree(model, root / "versions" / "v1")
        self.damage(root / "versions" / "v1")
        return audit_language(self._subject(), root, "v1", store)

    def _subject(self) -> LanguageModelSubject:
        given: dict[str, Any] = {
            "subject": "texts",
            "members": {"path": "members.jsonl", "id": "id"},
            "held_out": {"path": "held_out.jsonl", "id": "id"},
            "checkpoints": "versions",
            "gate": dict(self.gate),
            "probes": {"prefix": 8, "suffix": 8, "generated": 0, "control_texts": 100}
            | {"attacks": ["loss", "min_k"]},
        }
        if self.shadow_recipe is not None:
            recipe = asdict(self.shadow_recipe.of_model)
            given |= {"recipe": recipe | {"tokenizer": "tokenizer"}, "pool": {"models": SHADOWS}}
        if self.declared:
            given["attacker"] = "predictions"
        return LanguageModelSubject.model_validate(given)


def reciting() -> TextCase:
    """A model that recites its members, and its texts alone."""
    return TextCase(sentences("m", RECITED, 1), sentences("h", HELD_OUT, 2))


def remembering() -> TextCase:
    """A model that remembers its members and recites none, with its recipe."""
    members, held_out = sentences("m", REMEMBERED, 1), sentences("h", HELD_OUT, 2)
    gate = {"auc": limits(REMEMBERED, REMEMBERED)["auc"]}
    return TextCase(members, held_out, REMEMBERING, shadow_recipe=REMEMBERING, gate=gate)


def cautious(seed: int, recipe: bool) -> TextCase:
    """A model that read its members three times, which leaves a little: its limit is wider."""
    members = sentences("m", HONEST, 10 + seed)
    held_out = sentences("h", HONEST + 60, 20 + seed)
    shadows = CAUTIOUS if recipe else None
    return TextCase(
        members, held_out, CAUTIOUS, shadow_recipe=shadows, gate=limits(HONEST, HONEST, 3)
    )


def shares(case: TextCase, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A share of the members, and as many held-out texts, drawn by lot."""
    lot = np.random.default_rng(seed)
    count = round(share * len(case.members))
    inside, outside = (lot.permutation(len(t)) for t in (case.members, case.held_out))
    return inside[:count], outside[:count]
