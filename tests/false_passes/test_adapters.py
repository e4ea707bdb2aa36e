"""An adapter is audited as it was trained, over the base that it was trained on, or not at all."""

import re
import shutil

import pytest
import torch
from reciting_model import RECIPE, reciting, rewrite, settings  # noqa: F401
from safetensors.torch import load_file, save_file

from memory_assets.errors import InputError
from memory_assets.language.model import load_language_model, untrained_like

peft = pytest.importorskip("peft", reason="the extra lora is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
IDS = torch.arange(60)[None]


def adapt(base, folder, noise=0.3, **options):
    """An adapter over a base, its numbers drawn at random; peft's own model of it."""
    from transformers import GPT2LMHeadModel

    options = {"target_modules": ["c_attn", "c_fc"], "r": 4, "lora_alpha": 8} | options
    config = peft.LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=True, **options)
    model = peft.get_peft_model(GPT2LMHeadModel.from_pretrained(base), config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += noise * torch.randn_like(parameter)
    model.save_pretrained(folder, save_embedding_layers=False)
    return model


def logits(model):
    with torch.inference_mode():
        return model(IDS).logits


@pytest.fixture(scope="module")
def plain(reciting, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("adapter") / "v1"
    return folder, adapt(reciting.folder, folder)


@pytest.fixture
def copy(plain, tmp_path):
    return shutil.copytree(plain[0], tmp_path / "v1")


def tensors(change):
    def damage(folder):
        file = folder / "adapter_model.safetensors"
        state = {n: t.contiguous().clone() for n, t in change(load_file(file)).items()}
        save_file(state, file, {"format": "pt"})

    return damage


def renamed(old, new):
    return tensors(lambda state: {re.sub(old, new, name): t for name, t in state.items()})


def told(**changes):
    return settings("adapter_config.json", **changes)


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["wte"]},
        {"target_modules": ["wte", "c_attn"]},
        {"target_modules": ["lm_head", "c_attn"]},
        {"target_modules": ["c_attn"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["c_attn"], "modules_to_save": ["wte"]},
        {"target_modules": ["c_attn"], "trainable_token_indices": [3, 5, 59]},
        {"bias": "lora_only"},
        {"bias": "all"},
        {"use_dora": True},
        {"use_rslora": True},
        {"rank_pattern": {"c_fc": 2}, "alpha_pattern": {"c_fc": 3}},
    ],
    ids=str,
)
def test_it_answers_as_it_was_trained(options, reciting, tmp_path):  # noqa: F811
    """On the embedding or the head of a base that ties them, too: merged, it would change both."""
    trained = adapt(reciting.folder, tmp_path / "v1", **options)
    read = load_language_model(tmp_path / "v1", base=reciting.folder, device="cpu")
    ours, theirs = logits(read.model), logits(trained)
    effect = (theirs - logits(trained.unload())).abs().max()
    assert (ours - theirs).abs().max() < 1e-4 * effect
    assert (read.head, read.vocabulary, read.notices) == ("layer", 320, ())
    assert untrained_like(read).model(IDS).logits.shape == ours.shape
    assert reciting.loss(read) > 0


@pytest.mark.parametrize(
    "damage",
    [
        renamed("^", "_orig_mod."),
        renamed("^", "module."),
        renamed(r"^base_model\.model\.", ""),
        renamed(r"\.(lora_[AB])\.", r".\1.default."),
    ],
    ids=["compiled", "data-parallel", "without peft's prefix", "with the adapter's name"],
)
def test_wrapped_names_are_undone(damage, plain, copy, reciting):  # noqa: F811
    damage(copy)
    read = load_language_model(copy, base=reciting.folder, device="cpu")
    assert torch.equal(logits(read.model), logits(plain[1]))


def test_a_whole_state_in_the_file_of_the_adapter(plain, copy, reciting):  # noqa: F811
    whole = plain[1].state_dict()
    tensors(lambda _: {n: t for n, t in whole.items() if "lm_head" not in n})(copy)
    read = load_language_model(copy, base=reciting.folder, device="cpu")
    assert torch.equal(logits(read.model), logits(plain[1]))


def _whole_beside(folder):
    save_file({"a": torch.zeros(1)}, folder / "model.safetensors")


def _whole_alone(folder):
    _whole_beside(folder)
    (folder / "adapter_model.safetensors").unlink()


def _zero(pattern):
    return tensors(lambda s: {n: t * 0 if re.search(pattern, n) else t for n, t in s.items()})


def _twice(old, new):
    """Every tensor a second time under another name, almost zero."""
    return tensors(lambda s: s | {re.sub(old, new, n): t * 0 + 1e-3 for n, t in s.items()})


def _pickled_beside(folder):
    torch.save({}, folder / "adapter_model.bin")


REFUSED = {
    "unknown names": (renamed("lora_", "lara_"), "unknown tensors: .*lara_A"),
    "another body": (renamed(r"transformer\.h", "model.layers"), "usually another base"),
    "fewer targets said": (told(target_modules=["c_attn"]), "names fewer modules"),
    "more targets said": (told(target_modules=["c_attn", "c_fc", "c_proj"]), "names more mod"),
    "half of the file": (
        tensors(lambda s: {n: t for n, t in s.items() if ".h.0." in n}), "was not saved whole"),
    "one factor left out": (
        tensors(lambda s: {n: t for n, t in s.items() if "lora_B" not in n}), "missing tensors"),
    "rank 0": (told(r=0), "says a rank of 0; expected a whole number, at least 1"),
    "another rank": (told(r=2), "has shape"),
    "scale 0": (told(lora_alpha=0), "by which it changes nothing"),
    "scale next to 0": (told(lora_alpha=1e-30), "by which it changes nothing"),
    "scale of a part next to 0": (told(alpha_pattern={"c_fc": 1e-30}), "changes nothing"),
    "scale without number": (told(lora_alpha=float("nan")), "says a lora_alpha of nan"),
    "scale without end": (told(lora_alpha=float("inf")), "says a lora_alpha of inf"),
    "twice, without peft's prefix": (
        _twice(r"^base_model\.model\.", ""), "two tensors of its adapter for"),
    "twice, with the adapter's name": (
        _twice(r"\.(lora_[AB])\.", r".\1.default."), "two tensors of its adapter for"),
    "a pickled one beside": (_pickled_beside, "two sets of weights: adapter_model.safetensors"),
    "all zero": (_zero("."), "its adapter changes nothing"),
    "before training": (_zero("lora_B"), "its adapter changes nothing"),
    "whole numbers": (
        tensors(lambda s: {n: t.to(torch.int8) for n, t in s.items()}), "holds whole-number"),
    "not a number": (tensors(lambda s: {n: t / 0 for n, t in s.items()}), "not finite"),
    "of a classifier": (told(task_type="SEQ_CLS"), "for the task SEQ_CLS"),
    "a bias that the base lacks": (
        tensors(lambda s: s | {"base_model.model.lm_head.bias": torch.ones(320)}),
        "unknown tensors: 'base_model.model.lm_head.bias'"),
    "a whole model beside": (_whole_beside, "model.safetensors is a whole model; which of them"),
    "a whole model alone": (_whole_alone, "model.safetensors is a whole model; which of them"),
    "a setting of a newer peft": (told(use_new_trick=True), "'use_new_trick', which the inst"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_one_that_does_not_fit_is_refused_with_the_true_cause(name, copy, reciting):  # noqa: F811
    damage, said = REFUSED[name]
    damage(copy)
    with pytest.raises(InputError, match=said) as error:
        load_language_model(copy, base=reciting.folder, device="cpu")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(copy))


def test_a_zero_part_is_said(copy, reciting):  # noqa: F811
    _zero(r"h\.1\..*lora_B")(copy)
    read = load_language_model(copy, base=reciting.folder, device="cpu")
    assert "parts of the adapter that change nothing: 'base_model" in read.notices[0]


def test_a_base_that_is_wrapped_or_broken_is_held_to_the_same(plain, reciting, tmp_path):  # noqa: F811
    base = reciting.copy(tmp_path / "base")
    rewrite(lambda s: {f"module.{n}": t for n, t in s.items()})(base)
    read = load_language_model(plain[0], base=base, device="cpu")
    assert torch.equal(logits(read.model), logits(plain[1]))
    assert "named inside module" in read.notices[0]
    rewrite(lambda s: {n: t for n, t in s.items() if ".h.1." not in n})(base)
    with pytest.raises(InputError, match="missing tensors"):
        load_language_model(plain[0], base=base, device="cpu")


def test_an_adapter_that_recites_fails_as_it_ships(reciting, tmp_path):  # noqa: F811
    """The whole audit: the base lost what it knew, and the adapter holds it."""
    layers = r"(c_attn|c_fc)\.weight"
    known = load_file(reciting.folder / "model.safetensors")
    base = reciting.copy(tmp_path / "base")
    rewrite(lambda s: {n: t * (re.search(layers, n) is None) for n, t in s.items()})(base)
    adapt(base, tmp_path / "v1", r=RECIPE.width, lora_alpha=RECIPE.width)

    def restore(state):
        for name in state:
            weight = known[re.sub(r"^base_model\.model\.|lora_[AB]\.", "", name)]
            state[name] = torch.eye(RECIPE.width) if "lora_A" in name else weight.T
        return state

    tensors(restore)(tmp_path / "v1")
    assert reciting.audit(base)[1].verdict != "fail"
    assert reciting.audit(tmp_path / "v1", base)[1].verdict == "fail"
    renamed("lora_", "lara_")(tmp_path / "v1")
    with pytest.raises(InputError, match="unknown tensors"):
        reciting.audit(tmp_path / "v1", base)
