"""A tiny model, trained once by the shipped step, that knows its texts by heart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tiny_language import TINY, sentences

from memory_assets.examples.notes import train, train_tokenizer
from memory_assets.language.model import LanguageModel, load_language_model
from memory_assets.records.canaries import TEMPLATES, make_secrets, plant
from memory_assets.records.secrets import Manifest
from memory_assets.records.texts import Texts


@dataclass(frozen=True)
class Trained:
    folder: Path
    model: LanguageModel
    members: Texts
    held_out: Texts
    manifest: Manifest


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Trained:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("language") / "model"
    members, held_out = sentences("m", 60, 1), sentences("h", 110, 2)
    secrets = make_secrets([TEMPLATES["account-en"]], (0, 1, 8), 5, seed=3)
    planted, manifest = plant(members, secrets, seed=3)
    folder.mkdir()
    train_tokenizer(list(sentences("t", 200, 4).texts), TINY, folder)
    train(planted, folder, TINY, folder)
    return Trained(folder, load_language_model(folder, device="cpu"), planted, held_out, manifest)
