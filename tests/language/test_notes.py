import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.subjects import read_subject
from memory_assets.errors import InputError
from memory_assets.examples import notes
from memory_assets.language.audit import audit_language_model
from memory_assets.language.model import load_language_model
from memory_assets.language.options import LanguageOptions
from memory_assets.records.overlap import measure_overlap
from memory_assets.records.planted import check_manifest
from memory_assets.records.secrets import Manifest
from memory_assets.records.texts import load_texts

pytestmark = pytest.mark.slow

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


def test_models_are_never_trained_beside_texts_of_other_prose(tmp_path, monkeypatch):
    notes.make(tmp_path, SMALL, processes=1)
    older = notes.prose()
    monkeypatch.setattr(notes, "prose", lambda: older[1:])
    assert notes.make(tmp_path, SMALL, processes=1) == []  # what is whole stays as it is
    shutil.rmtree(tmp_path / notes.MODELS / "v1")
    (tmp_path / notes.HELD_OUT).unlink()
    with pytest.raises(InputError, match=r"members\.jsonl: not what scipy .* give.*make it anew"):
        notes.make(tmp_path, SMALL, processes=1)
    assert not (tmp_path / notes.HELD_OUT).exists()
    monkeypatch.setattr(notes, "prose", lambda: older)
    assert len(notes.make(tmp_path, SMALL, processes=1)) == 2
    (tmp_path / notes.MANIFEST).write_text("")
    shutil.rmtree(tmp_path / notes.REFERENCE)
    with pytest.raises(InputError, match=r"canaries\.json: not what scipy"):
        notes.make(tmp_path, SMALL, processes=1)


def test_what_a_kill_leaves_half_made_is_made_again(tmp_path, monkeypatch):
    def half(_texts, _recipe, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text("{")
        raise KeyboardInterrupt

    def killed(work, jobs, _processes):
        for job in jobs:
            work(*job)
        raise KeyboardInterrupt
        yield

    def kill(**ways):
        with monkeypatch.context() as patch:
            for name, way in ways.items():
                patch.setattr(notes, name, way)
            with pytest.raises(KeyboardInterrupt):
                notes.make(tmp_path, SMALL, processes=1)

    kill(train_tokenizer=half)
    assert not (tmp_path / notes.TOKENIZER).exists()
    kill(in_processes=killed, train=lambda *given: (given[-1] / "half").write_text(""))
    # The reference says that the rest is there, too, whichever was trained first.
    assert not (tmp_path / notes.REFERENCE).exists()
    made = notes.make(tmp_path, SMALL, processes=1)
    assert [path.name for path in made] == ["v1", "v2", "reference"]
    assert not list(tmp_path.rglob("half"))
    assert not list(tmp_path.rglob(".*"))


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
    # A fifth of the prose and a quarter of the weights, trained until the rates lie apart.
    recipe = replace(
        notes.RECIPE,
        characters=20_000,
        width=96,
        epochs=11,
        repetitions=(0, 1, 4, 16),
        seed=seed,
    )
    members, held_out, rest = notes.split_prose(recipe)
    planted, manifest = notes.plant_notes(recipe, members)
    notes.train_tokenizer(rest, recipe, tmp_path)
    notes.train(planted, tmp_path, recipe, tmp_path)
    audit = audit_language_model(
        tmp_path,
        planted,
        held_out,
        manifest=manifest,
        options=LanguageOptions(references=200, attacks=("loss",), generated=0),
        device="cpu",
    )
    found = {(m.name, m.metric, m.stratum): m.estimate for m in audit.measurements}
    tiers = ("unplanted", "repetitions=1", "repetitions=4", "repetitions=16")
    never, once, often, most = (
        found["secret", "secret_extraction_rate", tier].value for tier in tiers
    )
    assert never == once == 0  # of twelve, and of six
    assert often >= 0.5
    assert most == 1
    bits = [found["exposure", "mean_exposure", tier].value for tier in tiers]
    assert bits == sorted(bits)
    assert bits[1] > bits[0] + 2
    assert next(c for c in audit.controls if c.control == "unplanted_canaries").passed
