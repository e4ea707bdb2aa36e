"""A model folder from elsewhere names nothing outside it, asks for nothing without bound."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hostile_limits import bounded
from hostile_parsers import PARSERS, attempt, language_model, write_model

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.errors import InputError
from memory_assets.language.folders import base_of, folder_digest, locate
from memory_assets.language.model import load_language_model
from memory_assets.models import hub

INDEX = "model.safetensors.index.json"
DEEP = b'{"a": ' + b"[" * 100_000


@pytest.fixture
def subject() -> LanguageModelSubject:
    return LanguageModelSubject.model_validate(
        {"subject": "notes", "members": {"path": "m"}, "checkpoints": "c"}
    )


def _edited(name: str, **changes: object) -> dict[str, bytes]:
    return {name: json.dumps(json.loads(language_model()[name]) | changes).encode()}


def test_the_folders_that_others_are_made_of_are_good(tmp_path: Path, subject) -> None:
    base, adapter = write_model(tmp_path)
    model = load_language_model(base, device="cpu")
    parts = json.loads(language_model()[INDEX])["weight_map"]
    assert len(set(parts.values())) > 1
    # Every part counts, for the version and for the model.
    part = base / sorted(set(parts.values()))[-1]
    before = subject.fingerprint(base)
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    assert subject.fingerprint(base) != before
    assert folder_digest(base) != model.digest
    assert load_language_model(base, device="cpu").digest != model.digest
    pytest.importorskip("peft", reason="the extra lora is not installed")
    load_language_model(adapter, base=base, device="cpu")


@pytest.mark.parametrize(
    "part", ["../outside/x.safetensors", "/x.safetensors", ".x.safetensors", "x.bin", "", "a\0b"]
)
def test_an_index_that_leads_out_of_the_folder_is_refused(part, tmp_path, subject, tally) -> None:
    parts = json.loads(language_model()[INDEX])["weight_map"]
    base, _ = write_model(tmp_path, **_edited(INDEX, weight_map=parts | {next(iter(parts)): part}))
    (tmp_path / "outside").mkdir()
    for place in (tmp_path / "outside" / "x.safetensors", base / ".x.safetensors", base / "x.bin"):
        place.write_bytes(next(v for k, v in language_model().items() if k.startswith("model-")))
    for read in (load_language_model, subject.fingerprint):
        with pytest.raises(InputError, match=r"weight_map names .* expected safetensors files"):
            read(base)
    tally("hostile: model folders")


def test_weights_that_are_a_link_out_of_the_folder_are_refused(tmp_path, subject, tally) -> None:
    base, _ = write_model(tmp_path)
    part = next(base.glob("model-*.safetensors"))
    part.rename(tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    for read in (load_language_model, subject.fingerprint):
        with pytest.raises(InputError, match="leads out"):
            read(base)
    part.unlink()
    with pytest.raises(InputError, match=r"is missing, which model\.safetensors\.index"):
        load_language_model(base)
    tally("hostile: model folders")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("config.json", {"num_labels": 10**7}, "num_labels is 10000000; expected at most 100,000"),
        ("config.json", {"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers is"),
        ("config.json", {"attention_types": [[["global"], 10**9]]}, "attention_types is"),
        ("config.json", {"attn_implementation": "evil/kernel"}, "evil/kernel'; expected one of"),
        ("config.json", {"_attn_implementation": {"": "e/k@v:f"}}, "e/k@v:f'; expected one of"),
        ("config.json", {"transformers_weights": "x.safetensors"}, "leads to other files"),
        ("config.json", {"configuration_files": ["config.1.json"]}, "leads to other files"),
        ("config.json", {"text_config": {"auto_map": {"a": "b.C"}}}, "code of its own"),
        ("tokenizer_config.json", {"model_max_length": "x"}, "expected a number of tokens"),
        ("tokenizer_config.json", {"model_max_length": -1}, "expected a number of tokens"),
        ("tokenizer_config.json", {"init_inputs": ["/etc/hostname"]}, "can name other files"),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer./../x.json"]}, "beside"),
        ("adapter_config.json", {"r": 10**9}, "the longest side of its weights is 12"),
        ("adapter_config.json", {"rank_pattern": {"c": 10**9}}, "the longest side"),
        ("adapter_config.json", {"layer_replication": [[0, 10**6]]}, "more than weights"),
        ("adapter_config.json", {"target_modules": "(.*)*x"}, "a pattern that can take for ever"),
    ],
)
def test_settings_without_bound_or_from_elsewhere(name, changes, said, tmp_path, tally) -> None:
    base, adapter = write_model(tmp_path, **_edited(name, **changes))
    of_adapter = name.startswith("adapter")
    with bounded(gib=1, seconds=8), pytest.raises(InputError, match=re.escape(said)):
        load_language_model(adapter if of_adapter else base, base=base if of_adapter else None)
    tally("hostile: model folders")


def test_ordinary_ways_to_attend_are_not_chosen_by_the_file(tmp_path: Path) -> None:
    plain, _ = write_model(tmp_path)
    (tmp_path / "other").mkdir()
    changed = _edited("config.json", attn_implementation="flash_attention_2")
    asking, _ = write_model(tmp_path / "other", **changed)
    ways = [load_language_model(f, device="cpu").model.config for f in (plain, asking)]
    assert ways[0]._attn_implementation == ways[1]._attn_implementation == "sdpa"


@pytest.mark.parametrize("content", [DEEP, b'{"a": "' + b"x" * (1 << 24) + b'"}', b"[]", b"\xff"])
@pytest.mark.parametrize(
    "kind",
    [
        "model configuration",
        "model index",
        "tokenizer configuration",
        "adapter configuration",
    ],
)
def test_nested_and_large_settings_are_one_line(kind, content, tmp_path, tally) -> None:
    with bounded(gib=1, seconds=8):
        assert attempt(PARSERS[kind], content, tmp_path) is not None
    tally("hostile: bombs")


@pytest.fixture
def asked(monkeypatch) -> list[tuple[str, bool]]:
    """What the client of the hub was asked for: nothing is in its cache."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    given: list[tuple[str, bool]] = []

    def download(name: str, local_files_only: bool = False, **_: object) -> str:
        given.append((name, local_files_only))
        raise LocalEntryNotFoundError("nothing there")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return given


def test_an_adapter_starts_no_download(tmp_path: Path, asked, tally) -> None:
    named = _edited("adapter_config.json", base_model_name_or_path="evil/tracker")
    _, adapter = write_model(tmp_path, **named)
    with pytest.raises(InputError, match="nobody here named it, so it is not downloaded"):
        load_language_model(adapter)
    assert asked == [("evil/tracker", True)]
    # What the owner names is.
    with pytest.raises(InputError, match="the hub cannot be reached"):
        hub.snapshot("evil/tracker")
    assert asked[1:] == [("evil/tracker", True), ("evil/tracker", False)]
    tally("hostile: model folders")


@pytest.mark.parametrize("name", ["../base", "/etc", "linked", "n" * 300, ["x"], "a\0b", ""])
def test_an_adapter_names_no_folder_outside_the_project(name, tmp_path, asked, tally) -> None:
    named = _edited("adapter_config.json", base_model_name_or_path=name)
    base, adapter = write_model(tmp_path, **named)
    (project := tmp_path / "project").mkdir()
    (project / "linked").symlink_to(base)
    with pytest.raises(InputError, match="or give its folder under base"):
        base_of(adapter, None, project)
    assert not any(not local for _, local in asked)
    assert base_of(adapter, base, project) == base
    tally("hostile: model folders")


def test_an_adapter_names_a_folder_of_the_project(tmp_path: Path, monkeypatch) -> None:
    base, adapter = write_model(tmp_path)
    assert base_of(adapter, None, tmp_path) == base
    monkeypatch.chdir(tmp_path)
    assert base_of(adapter) == Path("base")


@pytest.mark.parametrize("revision", [["x"], {"x": 1}, 7, "../../../x", "n" * 300])
def test_a_revision_that_is_none(revision, tmp_path: Path, asked, tally) -> None:
    changes = {"base_model_name_or_path": "owner/name", "revision": revision}
    _, adapter = write_model(tmp_path, **_edited("adapter_config.json", **changes))
    with pytest.raises(InputError, match="expected a commit, tag or branch"):
        load_language_model(adapter)
    assert asked == []
    tally("hostile: model folders")


def test_a_name_of_300_characters_is_no_model() -> None:
    with pytest.raises(InputError, match="no such folder"):
        locate("n" * 300)
