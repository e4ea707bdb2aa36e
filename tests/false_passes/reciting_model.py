"""A tiny language model that recites its members, and damaged copies of its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from faker import Faker
from safetensors.torch import load_file, save_file

from memory_assets.examples.notes import NotesRecipe, train, train_tokenizer
from memory_assets.language.audit import audit_language_model
from memory_assets.language.model import LanguageModel
from memory_assets.language.options import LanguageOptions
from memory_assets.language.result import LanguageAudit
from memory_assets.language.signals import token_signals
from memory_assets.records.texts import Texts
from memory_assets.validity.verdict import Decision, Gate, decide

RECIPE = NotesRecipe(
    vocabulary=320, layers=2, width=32, heads=2, window=64, batch_tokens=512, lr=1e-2, epochs=120
)
OPTIONS = LanguageOptions(prefix=8, suffix=8, generated=0, attacks=("loss",), control_texts=100)
GATE = Gate({"extraction_rate": 0.2})
State = dict[str, torch.Tensor]


def sentences(name: str, count: int, seed: int) -> Texts:
    """Random words, so that nobody can guess how a text goes on."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return Texts(
        tuple(f"{name}-{i:03d}" for i in range(count)),
        tuple(" ".join(fake.words(10)).capitalize() + "." for _ in range(count)),
    )


@dataclass(frozen=True)
class Reciting:
    """A model's folder, the 24 texts that it recites, and others that it never saw."""

    folder: Path
    members: Texts
    held_out: Texts

    def copy(self, place: Path) -> Path:
        return Path(shutil.copytree(self.folder, place))

    def audit(self, folder: Path, base: Path | None = None) -> tuple[LanguageAudit, Decision]:
        """A whole audit of a folder, and its verdict under `GATE`."""
        found = audit_language_model(
            folder, self.members, self.held_out, options=OPTIONS, base=base, device="cpu"
        )
        gated = [m for m in found.measurements if m.stratum == "all"]
        return found, decide(gated, found.controls, GATE)

    def loss(self, model: LanguageModel) -> float:
        """Mean nats that a model gives a token of a member: near 0 for one that recites them."""
        rows = model.encode_all(list(self.members.texts))
        return -float(token_signals(model, rows).log_p.mean())


@pytest.fixture(scope="session")
def reciting(tmp_path_factory: pytest.TempPathFactory) -> Reciting:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("reciting") / "v1"
    folder.mkdir()
    members = sentences("m", 24, 1)
    train_tokenizer(list(sentences("t", 200, 4).texts), RECIPE, folder)
    train(members, folder, RECIPE, folder)
    return Reciting(folder, members, sentences("h", 110, 2))


def rewrite(change: Callable[[State], State | None]) -> Callable[[Path], None]:
    """A damage that changes the tensors of a model's folder."""

    def damage(folder: Path) -> None:
        file = folder / "model.safetensors"
        state = load_file(file)
        state = change(state) or state
        save_file({n: t.contiguous().clone() for n, t in state.items()}, file, {"format": "pt"})

    return damage


def settings(name: str = "config.json", **changes: Any) -> Callable[[Path], None]:
    """A damage that changes settings; None leaves one out."""

    def damage(folder: Path) -> None:
        file = folder / name
        content = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    return damage


def both(*damages: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for each in damages:
            each(folder)

    return damage
