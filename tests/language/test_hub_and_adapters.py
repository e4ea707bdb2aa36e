"""A model by hub id and revision, and a LoRA adapter over a base: as they are in the wild."""

import json
import shutil
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub import constants
from tiny_language import TINY, sentences

from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.dagster.purging import purge
from memory_assets.errors import InputError
from memory_assets.language.folders import base_of
from memory_assets.language.model import load_language_model
from memory_assets.models.checkpoints import list_versions
from memory_assets.models.hub import snapshot
from memory_assets.models.registry import Registry, folder_of, mirror
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.home import find_home
from memory_assets.workflows.language import language_findings, prepare_texts, read_notices
from memory_assets.workflows.results import AttackResults

pytestmark = pytest.mark.slow

COMMIT, OTHER = "a" * 40, "b" * 40
NAME = "some-one/notes"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's local cache, and no network: the client's own switch for that."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def put(cache, source, commit=COMMIT, branch=None):
    """Lay a model out as the hub's client does: blobs by digest, links to them by revision."""
    repository = cache / f"models--{NAME.replace('/', '--')}"
    there = repository / "snapshots" / commit
    for folder in (there, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        blob = repository / "blobs" / f"{commit[0]}{file.name}"
        shutil.copyfile(file, blob)
        (there / file.name).symlink_to(f"../../blobs/{blob.name}")
    if branch:
        (repository / "refs" / branch).write_text(commit)
    return there


@pytest.fixture(scope="module")
def adapter(trained, tmp_path_factory):
    """A LoRA adapter that learned texts its base never saw; the folder, texts and peft's model."""
    peft = pytest.importorskip("peft", reason="the extra lora is not installed")
    texts = sentences("a", 24, 9)
    base = load_language_model(trained.folder, device="cpu")
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", r=8, lora_alpha=32, target_modules=["c_attn", "c_fc", "c_proj"],
        fan_in_fan_out=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = peft.get_peft_model(base.model, config)
    rows = [ids[:40] for ids in base.encode_all(list(texts.texts)) if len(ids) >= 40]
    ids = torch.tensor(np.stack(rows))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("adapter") / "v1"
    model.eval().save_pretrained(folder)
    return folder, texts, model


def test_a_revision_is_taken_from_the_local_cache(trained, cache):
    there = put(cache, trained.folder, branch="main")
    assert snapshot(NAME, COMMIT) == snapshot(NAME, "main") == snapshot(NAME) == there
    assert load_language_model(NAME, COMMIT, device="cpu").digest == trained.model.digest


def test_what_neither_cache_nor_network_has_is_one_line(trained, cache):
    with pytest.raises(InputError) as error:
        load_language_model(NAME, "v9")
    assert str(error.value).startswith(f"{NAME} at revision v9: not in the local cache, and the")
    # A snapshot of which the weights never came is not taken for the model.
    there = put(cache, trained.folder)
    (there / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (there / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copyfile(trained.folder / "model.safetensors", there / "model-1.safetensors")
    with pytest.raises(InputError, match="no whole safetensors weights") as error:
        load_language_model(NAME, COMMIT)
    assert "\n" not in str(error.value)


def test_a_download_asks_for_the_revision_and_for_nothing_that_can_run_code(trained, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []

    def download(name, revision, allow_patterns, local_files_only=False):
        asked.append((name, revision, local_files_only))
        assert not any(p.endswith((".bin", ".py", ".pt", "*")) for p in allow_patterns)
        if local_files_only:
            raise LocalEntryNotFoundError("nothing there")
        return str(trained.folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert snapshot(NAME, "v2") == trained.folder
    assert asked == [(NAME, "v2", True), (NAME, "v2", False)]


def test_versions_on_the_hub_are_mirrored_by_name(trained, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    put(cache, trained.folder, COMMIT)
    other = put(cache, trained.folder, OTHER, branch="main")
    (other / "generation_config.json").unlink()

    def subject(name="far", **named):
        return LanguageModelSubject.model_validate(
            {
                "subject": name,
                "members": {"path": "x"},
                "checkpoints": {"hub": {"model": NAME, "versions": named}},
            }
        )

    def versions(**named):
        far = subject(**named)
        assert isinstance(far.checkpoints, Registry)
        found = list_versions(mirror(far.checkpoints, find_home().root))
        return {name: (path, [p.name for p in far.weights(path)]) for name, path in found.items()}

    first = versions(v1=COMMIT, v2="main")
    assert list(first) == ["v1", "v2"]
    assert "generation_config.json" in first["v1"][1]
    assert "generation_config.json" not in first["v2"][1]
    model = load_language_model(first["v1"][0], device="cpu")
    assert model.digest == trained.model.digest
    # The same bytes on disk, and taken once.
    weights = first["v1"][0] / "model.safetensors"
    assert weights.stat().st_nlink == 2
    before = weights.parent.stat().st_mtime_ns
    # A branch may come to mean another commit.
    (cache / f"models--{NAME.replace('/', '--')}" / "refs" / "main").write_text(COMMIT)
    assert "generation_config.json" in versions(v1=COMMIT, v2="main")["v2"][1]
    assert weights.parent.stat().st_mtime_ns == before
    # Another subject may ask for other versions; neither takes anything from the other.
    assert list(versions(v1=COMMIT)) == ["v1"]
    assert list(list_versions(weights.parents[1])) == ["v1", "v2"]
    with pytest.raises(InputError, match=f"{NAME} at revision v3: not in the local cache"):
        versions(v3="v3")
    # What was fetched before the YAML was edited goes with the subject; what others read stays.
    others = {"near": subject("near", v1=COMMIT), "far": subject(v4=COMMIT)}
    purge("far", others, find_home())
    assert not weights.exists()
    near = folder_of(others["near"].checkpoints, tmp_path, find_home().root)
    assert list(list_versions(near)) == ["v1"]


@pytest.fixture
def project(trained, monkeypatch):
    """Bases that adapters name by folder are looked for in the current one only."""
    monkeypatch.chdir(trained.folder.parents[1])


@pytest.mark.usefixtures("project")
def test_an_adapter_says_what_peft_says(trained, adapter):
    folder, texts, tuned = adapter
    merged = load_language_model(folder, base=trained.folder, device="cpu")
    ids = torch.tensor(merged.encode(texts.texts[0]))[None]
    with torch.inference_mode():
        torch.testing.assert_close(
            merged.model(ids).logits, tuned(ids).logits, rtol=1e-3, atol=1e-3
        )
    assert merged.digest != trained.model.digest
    # The adapter names its base itself, here by the folder that it was trained from.
    assert base_of(folder) == trained.folder
    assert load_language_model(folder, device="cpu").digest == merged.digest
    assert base_of(trained.folder, folder) is None


def test_an_adapter_over_a_base_on_the_hub_and_listed_secrets_are_audited_from_yaml(
    trained, adapter, cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    folder, members, _ = adapter
    base = put(cache, trained.folder)
    shutil.copytree(folder, tmp_path / "models" / "v1")
    rows = {"name": list(members.ids), "words": list(members.texts)}
    pq.write_table(pa.table(rows), tmp_path / "members.parquet")
    (tmp_path / "held_out.txt").write_text("\n\n".join(sentences("h", 110, 2).texts))
    words = members.texts[0].split(" ")
    listed = f"prefix,value\n{' '.join(words[:-1])} ,{words[-1]}\nNobody wrote ,this\n"
    (tmp_path / "secrets.csv").write_text(listed)
    on_hub = {"hub": NAME, "revision": COMMIT}
    subject = LanguageModelSubject.model_validate(
        {
            "subject": "tuned",
            "members": {"path": "members.parquet", "column": "words", "id": "name"},
            "held_out": {"path": "held_out.txt"},
            "secrets": "secrets.csv",
            "checkpoints": "models",
            "base": on_hub,
            "reference": on_hub,
            "probes": {
                "prefix": 8,
                "suffix": 8,
                "generated": 0,
                "references": 100,
                "attacks": ["loss", "reference"],
                "training": {"window": 95, "cut": "truncate"},
            },
        }
    )
    store = ArtifactStore(tmp_path / "home")
    texts = prepare_texts(subject, tmp_path, store)
    versions = list_versions(tmp_path / "models")

    def findings():
        return language_findings(subject, tmp_path, texts.path, versions, "v1", store)[0]

    first = findings()
    found = {
        (m.name, m.metric): m.estimate
        for m in AttackResults.load(first.path).measurements
        if m.stratum == "all"
    }
    # The base never saw these texts, so all that is known of them is the adapter's.
    assert found["reference", "auc"].ci_low > 0.8
    assert found["unintended", "mean_bits"].value > 20
    # A listed secret stands in one member, and the other in none, which is said.
    rates = [m for m in AttackResults.load(first.path).measurements if m.name == "secret"]
    assert {(m.stratum, m.estimate.n) for m in rates} == {("repetitions=1", 1), ("all", 1)}
    said = read_notices(first.path)
    assert any("'secret-0002': does not stand among the members" in line for line in said)
    assert findings().reused
    # Another base under the same name is another model.
    config = base / "config.json"
    changed = json.loads(config.read_text()) | {"layer_norm_epsilon": 1e-4}
    config.unlink()
    config.write_text(json.dumps(changed))
    assert not findings().reused


@pytest.mark.usefixtures("cache")
def test_an_adapter_whose_base_is_nowhere_is_one_line(adapter, tmp_path):
    folder = shutil.copytree(adapter[0], tmp_path / "adapter")
    config = folder / "adapter_config.json"
    elsewhere = {"base_model_name_or_path": NAME, "revision": "r"}
    config.write_text(json.dumps(json.loads(config.read_text()) | elsewhere))
    with pytest.raises(InputError, match=f"its base: {NAME} at revision r: not in the local") as e:
        load_language_model(folder)
    assert "or give its folder under base" in str(e.value)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"peft_type": "LOHA"}, "an adapter of the type LOHA"),
        ({"corda_config": {"cache_file": "x.pt"}}, "sets corda_config, which loads more"),
        ({"r": "x"}, "a rank of x; expected a whole number, at least 1"),
        ({"no_such_setting": 1}, "'no_such_setting', which the installed peft does not know"),
        ({"target_modules": 1}, "does not fit its base"),
    ],
)
def test_an_adapter_that_is_more_or_less_than_lora_is_refused(adapter, tmp_path, settings, said):
    folder = shutil.copytree(adapter[0], tmp_path / "adapter")
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    with pytest.raises(InputError, match=said):
        load_language_model(folder)


@pytest.mark.usefixtures("project")
def test_pickled_and_damaged_adapters_are_refused(adapter, tmp_path, monkeypatch):
    folder = shutil.copytree(adapter[0], tmp_path / "adapter")
    weights = folder / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_language_model(folder)
    weights.write_bytes(whole)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match="needs the package peft"):
        load_language_model(folder)
    weights.rename(folder / "adapter_model.bin")
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors"):
        load_language_model(folder)


def test_an_adapter_of_another_architecture_does_not_fit(adapter, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    narrow = GPT2Config(vocab_size=TINY.vocabulary, n_embd=16, n_layer=1, n_head=1, n_positions=32)
    GPT2LMHeadModel(narrow).save_pretrained(tmp_path / "narrow")
    with pytest.raises(InputError, match="does not fit its base"):
        load_language_model(adapter[0], base=tmp_path / "narrow")
