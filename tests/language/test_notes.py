import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_language import TINY, sentences

from dagster_project.subjects import read_subject
from memory_assets.examples import notes
from memory_assets.language.audit import audit_language_model
from memory_assets.language.model import load_language_model
from memory_assets.language.options import LanguageOptions
from memory_assets.language_subjects import LanguageModelSubject
from memory_assets.records.canaries import TEMPLATES, make_secrets, plant
from memory_assets.records.overlap import measure_overlap
from memory_assets.records.secrets import Manifest, check_manifest
from memory_assets.records.texts import load_texts

SMALL = replace(
    notes.RECIPE,
    characters=4_000,
    vocabulary=320,
    layers=1,
    width=16,
    heads=1,
    per_tier=1,
    controls=2,
    epochs=2,
)


@pytest.fixture(scope="module")
def split():
    return notes.split_prose()


def test_the_prose_is_enough_and_split_at_random(split):
    members, held_out, rest = split
    for texts in (members, held_out):
        assert 90_000 <= sum(map(len, texts.texts)) <= 150_000
        assert all(150 <= len(text) <= 900 for text in texts.texts)
    assert not set(members.texts) & set(held_out.texts)
    assert not (set(members.texts) | set(held_out.texts)) & set(rest)
    assert measure_overlap(members, held_out).near.mean() < 0.1
    assert members.digest == notes.split_prose()[0].digest
    assert members.digest != notes.split_prose(replace(notes.RECIPE, seed=9))[0].digest


def test_make_writes_a_whole_subject_once(tmp_path):
    made = notes.make(tmp_path, SMALL, processes=1)
    assert len(made) == 7
    assert notes.make(tmp_path, SMALL, processes=1) == []
    members = load_texts(tmp_path / notes.MEMBERS, id_column="id")
    manifest = Manifest.read(tmp_path / notes.MANIFEST)
    assert check_manifest(manifest, members) == []
    assert manifest.corpus == members.digest
    first, second = (load_language_model(tmp_path / notes.MODELS / v) for v in ("v1", "v2"))
    assert first.digest != second.digest
    assert first.encode("account code 123456").shape == (len(first.encode("account code ")) + 6,)
    assert json.loads((tmp_path / notes.MODELS / "v1" / "config.json").read_text())["n_layer"] == 1


def test_training_is_decided_by_the_seed(tmp_path):
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 3)):
        notes.make(tmp_path / name, replace(SMALL, epochs=1, seed=seed), processes=1)
        digests.append(load_language_model(tmp_path / name / notes.MODELS / "v1").digest)
    assert digests[0] == digests[1] != digests[2]


def test_the_second_version_saw_every_text_once(tmp_path, monkeypatch):
    seen = {}

    def train(texts, _tokenizer, _recipe, folder):
        seen[folder.name] = texts.texts

    monkeypatch.setattr(notes, "train", train)
    notes.make(tmp_path, SMALL, processes=1)
    first, second, reference = (seen[f".{name}.tmp"] for name in ("v1", "v2", "reference"))
    assert len(second) == len(set(second)) < len(first)
    assert set(second) == set(first)
    held_out = load_texts(tmp_path / notes.HELD_OUT, id_column="id")
    assert not set(reference) & (set(first) | set(held_out.texts))


def test_the_shipped_yaml_says_how_the_shipped_models_are_trained():
    file = Path(__file__).parents[2] / "dagster_project" / "defs" / "notes" / "defs.yaml"
    subject = read_subject(file)
    assert isinstance(subject, LanguageModelSubject)
    assert subject.recipe is not None
    assert subject.recipe.recipe() == notes.RECIPE.of_model
    model = subject.recipe.recipe().build_model(notes.RECIPE.vocabulary)
    assert 0.9e6 < sum(p.numel() for p in model.parameters()) < 1.1e6


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_extraction_rises_with_repetition_and_controls_stay_at_chance(tmp_path, seed):
    members, held_out = sentences("m", 60, seed), sentences("h", 110, 100 + seed)
    secrets = make_secrets([TEMPLATES["account-en"]], (0, 1, 4, 16), 6, seed=seed)
    planted, manifest = plant(members, secrets, seed=seed)
    recipe = replace(TINY, epochs=12, lr=6e-3, seed=seed)
    notes.train_tokenizer(list(sentences("t", 200, 4).texts), recipe, tmp_path)
    notes.train(planted, tmp_path, recipe, tmp_path)
    audit = audit_language_model(
        tmp_path,
        planted,
        held_out,
        manifest=manifest,
        options=LanguageOptions(prefix=8, suffix=8, references=1000),
        device="cpu",
    )
    mean = {
        m.stratum: m.estimate.value or 0.0
        for m in audit.measurements
        if (m.name, m.metric) == ("exposure", "mean_exposure")
    }
    tiers = [mean[f"repetitions={r}"] for r in (1, 4, 16)]
    assert tiers == sorted(tiers)
    assert tiers[2] > mean["unplanted"] + 4
    assert next(c for c in audit.controls if c.control == "unplanted_canaries").passed
    extracted = {
        r: np.mean([f.extracted for f in audit.secrets if f.repetitions == r]) for r in (0, 1, 16)
    }
    assert extracted[0] == 0
    assert extracted[1] <= extracted[16]
