import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch

from memory_assets.errors import InputError
from memory_assets.language.model import load_language_model, untrained_like
from memory_assets.language.signals import token_signals


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained.folder, tmp_path / "copy")


def test_opens_a_folder(trained):
    model = trained.model
    assert (model.context, model.start, model.head) == (96, None, "layer")
    text = "Support note: 123456"
    assert model.reads_back(text, model.encode(text))
    assert load_language_model(trained.folder).digest == model.digest


def test_the_digest_follows_the_weights(trained, folder):
    model = load_language_model(folder)
    assert model.digest == trained.model.digest
    with torch.no_grad():
        model.model.transformer.ln_f.bias[0] += 1
    model.model.save_pretrained(folder)
    assert load_language_model(folder).digest != trained.model.digest


def _remove(name):
    return lambda folder: (folder / name).unlink()


def _pickle_only(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _own_code(folder):
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))


def _no_tokenizer(folder):
    for file in folder.glob("*token*"):
        file.unlink()


def _truncate(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def _unknown(folder):
    (folder / "config.json").write_text('{"model_type": "no-such-model"}')


def _small_vocabulary(folder):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=50, n_embd=8, n_layer=1, n_head=1, n_positions=16)
    GPT2LMHeadModel(config).save_pretrained(folder)


def _adapter(folder, **settings):
    settings = {"base_model_name_or_path": str(folder)} | settings
    (folder / "adapter_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_remove("config.json"), "no config.json"),
        (_remove("model.safetensors"), "no weights"),
        (_pickle_only, "only pickled weights (pytorch_model.bin)"),
        (_own_code, "run code of its own"),
        (_no_tokenizer, "no tokenizer"),
        (_truncate, "cannot be opened as a causal language model"),
        (_unknown, "cannot be opened as a causal language model"),
        (_small_vocabulary, "its tokenizer has 384 tokens, its model 50"),
        (partial(_adapter, base_model_name_or_path=None), "names no base model"),
        (_adapter, "is an adapter itself"),
    ],
)
def test_bad_folders_are_one_clear_line(folder, damage, said, monkeypatch):
    monkeypatch.chdir(folder.parent)
    damage(folder)
    with pytest.raises(InputError) as error:
        load_language_model(folder)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_language_model(tmp_path / "none")


def test_an_untrained_twin_has_the_shape_and_none_of_the_knowledge(trained):
    blank = untrained_like(trained.model)
    rows = trained.model.encode_all(list(trained.members.texts[:5]))
    assert token_signals(blank, rows).log_p.mean() < token_signals(trained.model, rows).log_p.mean()
    again = untrained_like(trained.model)
    assert torch.equal(blank.model.lm_head.weight, again.model.lm_head.weight)
    assert np.isclose(token_signals(blank, rows).log_p.mean(), -np.log(384), atol=0.3)
