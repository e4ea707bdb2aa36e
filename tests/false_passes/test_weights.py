"""A language model is audited with the weights that it ships with, or not at all.

Each damaged copy of a model that recites its members gives the figures of the good copy, or is
refused in one line that names what does not fit. None is audited with other weights.
"""

import json
import re
import shutil

import pytest
import torch
from reciting_model import both, reciting, rewrite, sentences, settings  # noqa: F401
from safetensors.torch import load_file, save_file

from memory_assets.errors import InputError
from memory_assets.examples.notes import train, train_tokenizer
from memory_assets.language.model import load_language_model

pytestmark = pytest.mark.slow

HEAD, EMBEDDING = "lm_head.weight", "transformer.wte.weight"


def renamed(old, new):
    return rewrite(lambda state: {re.sub(old, new, name): t for name, t in state.items()})


def typed(dtype):
    return rewrite(lambda state: {name: t.to(dtype) for name, t in state.items()})


def add(name, tensor):
    return rewrite(lambda state: state | {name: tensor})


def other_head(state):
    return state | {HEAD: torch.randn_like(state[EMBEDDING])}


def same_head(state):
    return state | {HEAD: state[EMBEDDING]}


def drop(pattern):
    return rewrite(lambda s: {name: t for name, t in s.items() if not re.search(pattern, name)})


def poke(value):
    def change(state):
        state["transformer.h.1.mlp.c_fc.weight"][0, 0] = value

    return rewrite(change)


def shards(folder, *, keep=False, lost=False, stray=False):
    """The same weights in two shards with their index."""
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    parts = {n: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, n in enumerate(names)}
    for part in set(parts.values()):
        own = {n: state[n].contiguous().clone() for n in names if parts[n] == part}
        save_file(
            own | ({"stray": torch.zeros(2)} if stray and "00001" in part else {}), folder / part
        )
    if lost:
        parts["transformer.h.9.ln_1.weight"] = part
    index = {"metadata": {}, "weight_map": parts}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    if not keep:
        (folder / "model.safetensors").unlink()


def half_wrapped(state):
    return {f"module.{n}" if ".h.0." in n else n: t for n, t in state.items()}


def saved_as(kind, *, bare=False, **changes):
    """The folder of another kind of model with the same body, as its own class writes it."""

    def damage(folder):
        import transformers

        model = getattr(transformers, kind).from_pretrained(folder, **changes)
        model.save_pretrained(folder)
        if bare:
            settings(architectures=None)(folder)

    return damage


SAME = [
    ("compiled", renamed("^", "_orig_mod.")),
    ("data-parallel", renamed("^", "module.")),
    ("both", renamed("^", "_orig_mod.module.")),
    ("a compiled part", renamed(r"^transformer\.h\.", "transformer._orig_mod.h.")),
    ("merged, with the adapter's prefix", renamed("^", "base_model.model.")),
    ("inside a training framework", renamed("^", "model.")),
    ("body alone, tied", renamed(r"^transformer\.", "")),
    ("head beside a tied embedding", rewrite(same_head)),
    ("a head of its own", both(rewrite(same_head), settings(tie_word_embeddings=False))),
    ("old masks", add("transformer.h.0.attn.bias", torch.ones(1, 1, 4, 4, dtype=torch.bool))),
    ("shards", shards),
    ("wrapped shards", both(renamed("^", "module."), shards)),
]
REFUSED = [
    ("unknown names", renamed("^", "x."), "missing tensors: .* and 2[0-9] more; unknown tensors: "),
    ("half wrapped", rewrite(half_wrapped), "unknown tensors: 'module.transformer.h.0"),
    ("adapter saved whole", both(
        renamed("^", "base_model.model."),
        renamed(r"(c_attn)\.(weight|bias)", r"\1.base_layer.\2"),
        add("base_model.model.transformer.h.0.attn.c_attn.lora_A.x.weight", torch.ones(2, 32)),
    ), "usually an adapter saved whole"),
    ("a training state", renamed("^", "state_dict."), "usually a whole training state"),
    ("fewer layers said", settings(n_layer=1), "fewer layers than the weights have"),
    ("more layers said", settings(n_layer=3), r"missing tensors: 'transformer\.h\.2"),
    ("a layer left out", drop(r"\.h\.1\."), r"missing tensors: 'transformer\.h\.1"),
    ("one tensor left out", drop(r"h\.1\.ln_1\.bias"), r"'transformer\.h\.1\.ln_1\.bias'"),
    ("the embedding left out", drop("wte"), "missing tensors: "),
    ("no head, not tied", settings(tie_word_embeddings=False), "a head that was left out"),
    ("another head, tied", rewrite(other_head), "ties 'lm_head.weight' to"),
    ("another width said", settings(n_inner=48), r"has shape \[.*; config.json describes \["),
    ("two of one", rewrite(lambda s: s | {"h.0.ln_1.weight": torch.zeros(32)}), "two tensors for"),
    ("whole numbers", typed(torch.int8), "holds whole-number numbers"),
    ("some whole numbers", rewrite(
        lambda s: s | {"transformer.h.0.mlp.c_fc.weight": torch.ones(32, 128, dtype=torch.int8)}
    ), r"'transformer\.h\.0\.mlp\.c_fc\.weight' holds whole-number numbers \(I8\)"),
    ("boolean", typed(torch.bool), "holds boolean numbers"),
    ("complex", typed(torch.complex64), "holds complex numbers"),
    ("quantized", add("transformer.h.0.mlp.c_fc.weight_scale", torch.ones(1)), "quantized weights"),
    ("not a number", poke(float("nan")), "not finite"),
    ("infinite", poke(float("inf")), "not finite"),
    ("new shards beside", lambda f: shards(f, keep=True), "two sets of weights"),
    ("a second file", lambda f: shutil.copy(
        f / "model.safetensors", f / "model.fp16.safetensors"), "two sets of weights"),
    ("a pickle beside", lambda f: (f / "pytorch_model.bin").write_bytes(b"x"),
     "two sets of weights"),
    ("index names more", lambda f: shards(f, lost=True), "tensors that its files do not hold"),
    ("shards hold more", lambda f: shards(f, stray=True), "hold tensors that .* does not name"),
    ("a classifier", saved_as("GPT2ForSequenceClassification"), "is a classifier of texts"),
    ("a classifier that does not say so", saved_as("GPT2ForSequenceClassification", bare=True),
     "unknown tensors: 'score.weight'; this is usually a model with a head of another kind"),
    ("an encoder-decoder said", settings(is_encoder_decoder=True), "is_encoder_decoder"),
]  # fmt: skip


def by_name(cases):
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


def test_the_good_copy_fails(reciting):  # noqa: F811
    found, decision = reciting.audit(reciting.folder)
    assert decision.verdict == "fail"
    assert [c.control for c in found.controls if not c.passed] == []
    assert found.notices == ()


def test_a_wrapped_copy_has_the_figures_of_the_good_one_and_says_so(reciting, tmp_path):  # noqa: F811
    folder = reciting.copy(tmp_path / "v1")
    renamed("^", "_orig_mod.module.")(folder)
    good, wrapped = reciting.audit(reciting.folder), reciting.audit(folder)
    assert wrapped[0].measurements == good[0].measurements
    assert wrapped[1].verdict == good[1].verdict == "fail"
    (said,) = wrapped[0].notices
    assert re.search("named inside _orig_mod .* then module .* taken off", said)


@pytest.mark.parametrize("damage", by_name(SAME))
def test_what_is_read_is_what_the_good_copy_holds(damage, reciting, tmp_path):  # noqa: F811
    folder = reciting.copy(tmp_path / "v1")
    damage(folder)
    good, read = (load_language_model(f, device="cpu") for f in (reciting.folder, folder))
    ids = torch.arange(60)[None]
    with torch.inference_mode():
        assert torch.equal(good.model(ids).logits, read.model(ids).logits)


@pytest.mark.parametrize(
    ("dtype", "near"),
    [(torch.float64, 1e-6), (torch.float16, 1e-2), (torch.bfloat16, 0.1), (torch.float8_e4m3fn, 2)],
)
def test_weights_of_another_precision_are_read_right(dtype, near, reciting, tmp_path):  # noqa: F811
    folder = reciting.copy(tmp_path / "v1")
    typed(dtype)(folder)
    good, read = (load_language_model(f, device="cpu") for f in (reciting.folder, folder))
    assert reciting.loss(good) < 0.8
    assert reciting.loss(read) == pytest.approx(reciting.loss(good), abs=near)


@pytest.mark.parametrize(("damage", "said"), by_name(REFUSED))
def test_a_copy_that_does_not_fit_is_refused_by_name(damage, said, reciting, tmp_path):  # noqa: F811
    folder = reciting.copy(tmp_path / "v1")
    damage(folder)
    with pytest.raises(InputError, match=said) as error:
        load_language_model(folder, device="cpu")
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(str(folder))
    assert len(line) < 900


def test_a_reference_is_held_to_the_same(reciting, tmp_path):  # noqa: F811
    from memory_assets.language.audit import audit_language_model

    reference = reciting.copy(tmp_path / "reference")
    drop(r"\.h\.1\.")(reference)
    with pytest.raises(InputError, match="missing tensors"):
        audit_language_model(
            reciting.folder, reciting.members, reciting.held_out, reference=reference, device="cpu"
        )


@pytest.mark.parametrize("named", [True, False])
def test_a_masked_model_is_refused_by_kind(named, reciting, tmp_path):  # noqa: F811
    from transformers import BertConfig, BertForMaskedLM

    folder = reciting.copy(tmp_path / "v1")
    small = BertConfig(vocab_size=320, hidden_size=16, num_hidden_layers=1, num_attention_heads=1)
    BertForMaskedLM(small).save_pretrained(folder)
    if not named:
        settings(architectures=None)(folder)
    with pytest.raises(InputError, match="masked model"):
        load_language_model(folder, device="cpu")


def test_an_encoder_decoder_is_refused_by_kind(reciting, tmp_path):  # noqa: F811
    from transformers import BartConfig, BartForConditionalGeneration

    folder = reciting.copy(tmp_path / "v1")
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 320}
    heads = {"encoder_attention_heads": 1, "decoder_attention_heads": 1}
    BartForConditionalGeneration(BartConfig(**sizes, **heads)).save_pretrained(folder)
    with pytest.raises(InputError, match="is an encoder-decoder"):
        load_language_model(folder, device="cpu")


def _family(name, **changes):
    import transformers

    sizes = {
        "vocab_size": 320, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
        "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": None,
        "pad_token_id": None,
    }  # fmt: skip
    config = getattr(transformers, f"{name}Config")(**sizes | changes)
    torch.manual_seed(0)
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("Llama", {"tie_word_embeddings": False}),
        ("Llama", {"tie_word_embeddings": True}),
        ("Qwen2", {"tie_word_embeddings": True}),
        ("Qwen3", {"tie_word_embeddings": False}),
        ("Gemma2", {}),
        ("Mixtral", {"num_local_experts": 2}),
        ("Phi3", {}),
        ("GPTNeoX", {}),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("size", ["1GB", "6KB"])
def test_known_families_stay_accepted(family, changes, wrapped, size, reciting, tmp_path):  # noqa: F811
    """Tied or not, in shards or not; Mixtral's experts are joined on opening by the library."""
    model = _family(family, **changes)
    model.save_pretrained(tmp_path, max_shard_size=size)
    for file in reciting.folder.glob("token*"):
        shutil.copy(file, tmp_path)
    if wrapped:
        for file in tmp_path.glob("*.safetensors"):
            save_file({f"module.{n}": t for n, t in load_file(file).items()}, file)
        if (index := tmp_path / "model.safetensors.index.json").is_file():
            parts = json.loads(index.read_text())["weight_map"]
            index.write_text(
                json.dumps(
                    {"metadata": {}, "weight_map": {f"module.{n}": p for n, p in parts.items()}}
                )
            )
    read = load_language_model(tmp_path, device="cpu").model
    ids = torch.arange(60)[None]
    with torch.inference_mode():
        torch.testing.assert_close(read(ids).logits, model(ids).logits)


@pytest.mark.parametrize("pattern", [r"experts\.1\.w2", "gate"])
def test_a_part_of_what_the_library_joins_may_not_lack(pattern, reciting, tmp_path):  # noqa: F811
    _family("Mixtral", num_local_experts=2).save_pretrained(tmp_path)
    for file in reciting.folder.glob("token*"):
        shutil.copy(file, tmp_path)
    drop(pattern)(tmp_path)
    with pytest.raises(InputError, match=r"missing tensors|has shape"):
        load_language_model(tmp_path, device="cpu")


def test_an_old_and_a_new_name_for_one_tensor(reciting, tmp_path):  # noqa: F811
    _family("Mixtral", num_local_experts=2).save_pretrained(tmp_path)
    for file in reciting.folder.glob("token*"):
        shutil.copy(file, tmp_path)
    add("model.layers.0.mlp.gate.weight", torch.ones(2, 16))(tmp_path)
    with pytest.raises(InputError, match="under an old and a new name"):
        load_language_model(tmp_path, device="cpu")


def test_random_weights_under_the_right_names_have_no_verdict(reciting, tmp_path):  # noqa: F811
    folder = reciting.copy(tmp_path / "v1")
    rewrite(lambda state: {n: 0.02 * torch.randn_like(t) for n, t in state.items()})(folder)
    found, decision = reciting.audit(folder)
    control = next(c for c in found.controls if c.control == "beats_chance")
    assert not control.passed
    assert decision.verdict == "insufficient evidence"
    assert "knows no more of these texts than word frequencies" in control.detail


def test_an_embedding_in_another_order_has_no_verdict(reciting, tmp_path):  # noqa: F811
    """As with the tokenizer of another model: every tensor fits, and nothing is read right."""
    folder = reciting.copy(tmp_path / "v1")
    rewrite(lambda s: s | {EMBEDDING: s[EMBEDDING][torch.randperm(len(s[EMBEDDING]))]})(folder)
    _, decision = reciting.audit(folder)
    assert decision.verdict == "insufficient evidence"
    assert "beats_chance" in decision.reason


def test_a_tokenizer_with_more_ids_than_the_embedding_is_refused(reciting, tmp_path):  # noqa: F811
    folder = reciting.copy(tmp_path / "v1")
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.get)
    vocabulary[last] = 5000  # as many tokens as before
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="its tokenizer has 5001 tokens, its model 320"):
        load_language_model(folder, device="cpu")


def test_a_tokenizer_class_that_gives_other_ids_than_its_file_is_refused(reciting, tmp_path):  # noqa: F811
    folder = reciting.copy(tmp_path / "v1")
    settings("tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")(folder)
    with pytest.raises(InputError, match=r"gives other ids than tokenizer\.json says"):
        load_language_model(folder, device="cpu")


def test_a_tokenizer_of_another_vocabulary_has_no_verdict(reciting, tmp_path):  # noqa: F811
    from dataclasses import replace

    from reciting_model import RECIPE

    folder = reciting.copy(tmp_path / "v1")
    for file in folder.glob("token*"):
        file.unlink()
    train_tokenizer(list(sentences("o", 50, 77).texts), replace(RECIPE, vocabulary=310), folder)
    _, decision = reciting.audit(folder)
    assert decision.verdict != "pass"


def test_a_model_that_learned_little_beats_chance_on_other_texts(reciting, tmp_path):  # noqa: F811
    from dataclasses import replace

    from reciting_model import RECIPE

    folder = tmp_path / "v2"
    shutil.copytree(reciting.folder, folder)
    train(sentences("x", 600, 9), folder, replace(RECIPE, epochs=4), folder)
    found, _ = reciting.audit(folder)
    control = next(c for c in found.controls if c.control == "beats_chance")
    assert control.passed
    assert "held-out texts: the model gives" in control.detail
