import numpy as np
import pytest
import torch

from memory_assets.errors import InputError
from memory_assets.language import signals as module
from memory_assets.language.heads import Head, find_head
from memory_assets.language.model import LanguageModel
from memory_assets.language.signals import (
    Sampling,
    last_margins,
    read_signals,
    stream_signals,
    token_signals,
    write_signals,
)


def wrap(model, start=None, head: Head = "layer"):
    return LanguageModel("toy", model.eval(), None, "cpu", "", 64, start, head)


@pytest.fixture(scope="module")
def toy():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(40)  # spread the predictions out
    return model


@pytest.fixture(scope="module")
def capped():
    """Caps its logits, and looks back four tokens in every other layer."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=2, head_dim=8,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
        sliding_window=4, final_logit_softcapping=3.0,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    return model


def sequences(count=23, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(2, 101, rng.integers(2, 40)) for _ in range(count)]


def by_hand(model, ids, start, sampling):
    """Straight from whole float64 logits, one sequence at a time."""
    given = torch.tensor([([] if start is None else [start]) + list(ids)])
    with torch.no_grad():
        logits = model(given).logits[0, :-1].double()
    truth = given[0, 1:]
    log_p = logits.log_softmax(-1)
    p = log_p.exp()
    mean = (p * log_p).sum(-1)
    scaled = logits / sampling.temperature
    kept = torch.full_like(scaled, -torch.inf)
    best = scaled.topk(sampling.top_k).indices
    kept.scatter_(1, best, scaled.gather(1, best))
    pick = truth[:, None]
    return {
        "log_p": log_p.gather(1, pick)[:, 0],
        "mean": mean,
        "variance": (p * (log_p - mean[:, None]) ** 2).sum(-1),
        "rank": (logits > logits.gather(1, pick)).sum(-1),
        "agrees": logits.argmax(-1) == truth,
        "margin": logits.gather(1, pick)[:, 0] - logits.scatter(1, pick, -torch.inf).max(-1).values,
        "log_q": kept.log_softmax(-1).gather(1, pick)[:, 0],
    }


@pytest.mark.parametrize("start", [None, 1])
@pytest.mark.parametrize("head", ["layer", "model", "whole", "capped"])
def test_every_signal_agrees_with_whole_logits(toy, capped, start, head, monkeypatch):
    # Three positions of logits at a time, and blocks and batches that cut across each other.
    monkeypatch.setattr(module, "_LOGITS", 3 * 101)
    monkeypatch.setitem(module._BATCH_TOKENS, "cpu", 90)
    sampling = Sampling(temperature=0.7, top_k=5)
    rows = sequences()
    model = wrap(capped, start, "model") if head == "capped" else wrap(toy, start, head)
    parts = list(stream_signals(model, rows, sampling=sampling, block=10))
    assert [len(part) for part in parts] == [10, 10, 3]
    got = module.join(parts)
    assert got.lengths.tolist() == [len(r) - (start is None) for r in rows]
    for i, ids in enumerate(rows):
        here = slice(got.offsets[i], got.offsets[i + 1])
        for name, value in by_hand(model.model, ids, start, sampling).items():
            np.testing.assert_allclose(
                getattr(got, name)[here], value.numpy(), rtol=2e-3, atol=2e-4, err_msg=name
            )


def test_without_sampling_log_q_is_log_p(toy):
    got = token_signals(wrap(toy), sequences(3))
    np.testing.assert_array_equal(got.log_q, got.log_p)


def test_a_sampling_over_all_tokens_at_temperature_one_is_the_model(toy):
    got = token_signals(wrap(toy), sequences(3), sampling=Sampling(1.0, 0))
    np.testing.assert_allclose(got.log_q, got.log_p, atol=1e-4)


@pytest.mark.parametrize("head", ["layer", "capped"])
def test_logits_never_exist_for_more_positions_than_allowed(toy, capped, head, monkeypatch):
    monkeypatch.setattr(module, "_LOGITS", 4 * 101)
    model = wrap(toy) if head == "layer" else wrap(capped, head=find_head(capped, "cpu"))
    seen = []
    layer = model.model.get_output_embeddings()
    hook = layer.register_forward_hook(lambda _m, _i, out: seen.append(out.numel()))
    token_signals(model, sequences())
    last_margins(model, sequences(), [1] * 23)
    hook.remove()
    assert max(seen) <= 4 * 101


def test_how_logits_come_of_hidden_states_is_found_by_trying(toy, capped):
    assert find_head(toy, "cpu") == "layer"
    assert find_head(capped, "cpu") == "model"
    # Its body is its own again.
    ids = torch.tensor([[5, 6, 7]])
    assert not torch.equal(capped(ids).logits[0, 0], capped(ids).logits[0, 1])

    class Strange(torch.nn.Module):
        """No body that could be asked for hidden states."""

        def __init__(self):
            super().__init__()
            self.inner = toy

        def get_output_embeddings(self):
            return self.inner.lm_head

        def forward(self, ids, **options):
            return self.inner(ids, **options)

    assert find_head(Strange(), "cpu") == "whole"


def test_span_take_and_join(toy):
    got = token_signals(wrap(toy), [np.arange(2, 12), np.arange(5, 9)])
    np.testing.assert_array_equal(got.span(1, 3), [[0, 1], [9, 10]])
    swapped = got.take(np.array([1, 0, 1]))
    np.testing.assert_array_equal(swapped.lengths, [3, 9, 3])
    np.testing.assert_array_equal(swapped.log_p[:3], got.log_p[9:])
    for start, stop in ((0, 2), (1, 5)):
        with pytest.raises(ValueError, match="not every sequence"):
            got.span(start, stop)


def test_written_in_blocks_and_read_back(toy, tmp_path):
    rows = sequences()
    sampling = Sampling(1.0, 3)
    whole = token_signals(wrap(toy), rows, sampling=sampling)
    write_signals(stream_signals(wrap(toy), rows, sampling=sampling, block=7), tmp_path / "s.pq")
    back = read_signals(tmp_path / "s.pq")
    assert back.first == whole.first
    np.testing.assert_array_equal(back.offsets, whole.offsets)
    for name in module._ARRAYS:
        np.testing.assert_allclose(getattr(back, name), getattr(whole, name), rtol=1e-3, atol=1e-4)
    (tmp_path / "other.pq").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a file of token signals"):
        read_signals(tmp_path / "other.pq")


def test_progress_reaches_the_end(toy):
    seen = []
    rows = sequences()
    token_signals(wrap(toy), rows, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (sum(map(len, rows)),) * 2
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)


def test_what_cannot_be_scored_is_refused(toy):
    model = wrap(toy)
    with pytest.raises(InputError, match="sequence 1: 1 tokens; toy reads 2 to 64"):
        token_signals(model, [np.arange(2, 5), np.array([3])])
    with pytest.raises(InputError, match="sequence 0: 65 tokens"):
        token_signals(model, [np.full(65, 3)])
    with pytest.raises(InputError, match="1 to 63"):
        token_signals(wrap(toy, start=1), [np.full(64, 3)])
    with pytest.raises(InputError, match="no sequence"):
        token_signals(model, [])
    with pytest.raises(InputError, match="temperature"):
        Sampling(temperature=0)


def test_a_broken_model_is_refused(toy):
    import copy

    broken = copy.deepcopy(toy)
    with torch.no_grad():
        broken.model.norm.weight[0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        token_signals(wrap(broken), sequences(2))
