"""memory-assets new of a language model: what it tells apart, and what it says is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.scaffold import Written, write_subject
from memory_assets.dagster.starters.raw_inputs import RawInputs
from memory_assets.dagster.subjects import read_subject
from memory_assets.errors import InputError
from memory_assets.records.canaries import TEMPLATES, make_secrets
from memory_assets.records.secrets import Manifest

CAUSAL = {"architectures": ["GPT2LMHeadModel"]}


def put_model(folder: Path, config: dict | None = None, *, weights: str = "safetensors") -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config or CAUSAL))
    (folder / f"model.{weights}").write_bytes(b"")
    (folder / "tokenizer.json").write_text("{}")


def put_texts(path: Path, **fields: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields or {"id": "a", "text": "words"}) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two versions, texts of both sides, and canaries."""
    (tmp_path / "dagster_project" / "defs").mkdir(parents=True)
    folder = tmp_path / "support"
    for version in ("v1", "v2"):
        put_model(folder / "models" / version)
    put_texts(folder / "members.jsonl")
    put_texts(folder / "held_out.jsonl")
    secrets = make_secrets([TEMPLATES["id-en"]], (0, 2), 2, seed=0)
    Manifest(secrets).write(folder / "canaries.json")
    return folder


def new(folder: Path, **flags: str) -> tuple[LanguageModelSubject, str]:
    written: Written = write_subject(folder.parent, folder, None, RawInputs(**flags))  # type: ignore[arg-type]
    subject = read_subject(written.path)
    assert isinstance(subject, LanguageModelSubject)
    return subject, " ".join(written.missing)


def test_a_whole_folder_is_told_apart_by_name_and_content(folder: Path) -> None:
    put_model(folder / "reference")
    (folder / "README.txt").write_text("what this is")
    subject, said = new(folder)
    assert subject.members.model_dump(exclude_none=True) == {
        "path": "support/members.jsonl",
        "column": "text",
        "id": "id",
    }
    assert subject.held_out is not None
    assert subject.held_out.path == "support/held_out.jsonl"
    assert (subject.manifest, subject.secrets) == ("support/canaries.json", None)
    assert (subject.checkpoints, subject.reference) == ("support/models", "support/reference")
    assert subject.base is None
    assert said.count("No ") == 2
    assert "No recipe, so no shadow models" in said
    assert "No gate" in said


def test_what_is_missing_is_said_for_each_measurement(folder: Path) -> None:
    for name in ("held_out.jsonl", "canaries.json", "models/v1/tokenizer.json"):
        (folder / name).unlink()
    (folder / "models" / "v2" / "model.safetensors").rename(
        folder / "models" / "v2" / "pytorch_model.bin"
    )
    _, said = new(folder)
    for words in (
        "Version v1 has no tokenizer",
        "Version v2 has pickled weights only",
        "No held-out texts: membership is not measured",
        "No canaries and no secrets",
        "No reference model",
    ):
        assert words in said


def test_secrets_that_nobody_withheld_have_no_control(folder: Path) -> None:
    (folder / "canaries.json").unlink()
    (folder / "known.csv").write_text(
        "prefix,value\nThe code is ,4711\nThe word is ,\u00e9\u00e9\u00e9\n"
    )
    subject, said = new(folder)
    assert (subject.manifest, subject.secrets) == (None, "support/known.csv")
    assert "No secret that was never planted" in said
    assert "Some secrets have no pattern" in said
    assert "4711" not in said


def test_adapters_have_a_base(folder: Path) -> None:
    for version in ("v1", "v2"):
        place = folder / "models" / version
        (place / "config.json").rename(place / "adapter_config.json")
        (place / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
    _, said = new(folder)
    assert "Version v1 is an adapter whose base is no folder here" in said


@pytest.mark.parametrize(("adapters", "field"), [(True, "base"), (False, "reference")])
def test_a_base_beside_whole_models_is_a_reference(folder: Path, adapters, field) -> None:
    put_model(folder / "base-model")
    if adapters:
        place = folder / "models" / "v1"
        (place / "config.json").rename(place / "adapter_config.json")
    subject, said = new(folder)
    found = {"base": subject.base, "reference": subject.reference}
    assert found.pop(field) == "support/base-model"
    assert set(found.values()) == {None}
    assert "whose base is no folder" not in said


def test_a_recipe_takes_the_tokenizer_of_a_version(folder: Path) -> None:
    subject, said = new(folder, recipe="memory_assets.models.gpt2:gpt2")
    assert subject.recipe is not None
    assert subject.recipe.tokenizer == "support/models/v1"
    assert "default hyper-parameters" in said
    assert "No recipe" not in said


def test_texts_by_folder_and_by_flag(folder: Path) -> None:
    (folder / "members.jsonl").unlink()
    for side in ("train", "unseen"):
        (folder / "data" / side).mkdir(parents=True)
        for name in "ab":
            (folder / "data" / side / f"{name}.txt").write_text("words")
    put_texts(folder / "other.jsonl", body="words")
    subject, _ = new(folder, held_out="support/other.jsonl", text="body")
    assert subject.members.path == "support/data/train"
    assert subject.held_out is not None
    assert (subject.held_out.column, subject.held_out.id) == ("body", None)


def test_texts_before_the_first_version(folder: Path) -> None:
    for path in sorted((folder / "models").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    subject, said = new(folder, members="support/members.jsonl")
    assert subject.checkpoints == "support/versions"
    assert "support/versions holds no version yet" in said


def test_what_only_the_owner_can_say_or_move(folder: Path) -> None:
    def refused(match: str, **flags: str) -> None:
        with pytest.raises(InputError, match=match):
            new(folder, **flags)
        assert not list((folder.parent / "dagster_project" / "defs").iterdir())

    refused(r"--text is said of language models and --label of classifiers", text="t", label="l")
    refused(r"members.jsonl: no column 'body'; say with --text which of id, text", text="body")
    refused(r"no-such.jsonl: no such file", held_out="no-such.jsonl")
    refused("manifest and secrets both list secrets", manifest="support/canaries.json", secrets="x")
    put_texts(folder / "train.jsonl")
    refused(r"members.jsonl, support/train.jsonl could be it; say which with --members")
    (folder / "train.jsonl").write_text("[]\n")
    refused(r"train.jsonl: its first line is no JSON object", members="support/train.jsonl")
    (folder / "train.jsonl").unlink()
    (folder / "models" / "other").mkdir()
    (folder / "models" / "other" / "weights.npz").write_bytes(b"0")
    refused(r"support/models holds other as well")
    shutil.rmtree(folder / "models" / "other")
    put_model(folder / "old" / "v0")
    refused(r"support/models, support/old could be it; say which with --checkpoints")
    (folder / "members.jsonl").unlink()
    refused(r"no texts .* with --members", checkpoints="support/models")


def test_models_of_other_kinds_are_no_language_models(folder: Path) -> None:
    shutil.rmtree(folder / "models" / "v2")
    config = folder / "models" / "v1" / "config.json"
    config.write_text('{"architectures": ["BertForSequenceClassification"]}')
    with pytest.raises(InputError, match=r"no records .* a language model is told by its folder"):
        new(folder)
