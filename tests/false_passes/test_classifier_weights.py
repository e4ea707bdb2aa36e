"""A classifier is audited with the weights that it ships with, or not at all."""

import logging

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from memory_assets.errors import InputError
from memory_assets.models.checkpoints import load_checkpoint
from memory_assets.models.recipe import Recipe

RECIPE = Recipe(
    model="memory_assets.models.mlp:mlp", model_args={"inputs": 4, "hidden": 3, "classes": 2}
)


@pytest.fixture
def state():
    torch.manual_seed(0)
    return dict(RECIPE.build_model().state_dict())


def same(path, state):
    read = load_checkpoint(path, RECIPE)
    return read.keys() == state.keys() and all(
        np.array_equal(read[name], tensor.numpy()) for name, tensor in state.items()
    )


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "module.", "_orig_mod.module.", "model.", "model._orig_mod."]
)
def test_prefixes_are_undone_and_said(prefix, state, tmp_path, caplog):
    path = tmp_path / "v1.safetensors"
    save_file({prefix + name: tensor for name, tensor in state.items()}, path)
    with caplog.at_level(logging.WARNING):
        assert same(path, state)
    assert "its tensors are named inside " in caplog.text


def _trained():
    """What an optimizer holds: tensors by name too, and none of a model."""
    moments = {"exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}
    return {"state": {0: moments}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s},
        lambda s: {"model": s, "optimizer": _trained(), "epoch": 3},
        lambda s: {"model_state_dict": s, "opt": _trained(), "loss": 0.5},
        lambda s: {"state_dict": {f"model.{n}": t for n, t in s.items()}, "global_step": 9},
        lambda s: {"model": {"state_dict": s}, "optimizer_states": [_trained()]},
    ],
)
def test_training_states_are_undone_and_said(wrap, state, tmp_path, caplog):
    torch.save(wrap(state), tmp_path / "v1.pt")
    with caplog.at_level(logging.WARNING):
        assert same(tmp_path / "v1.pt", state)
    assert "its weights lie under" in caplog.text


def test_two_sets_of_weights_in_one_file_are_refused(state, tmp_path):
    torch.save({"model": state, "model_ema": state}, tmp_path / "v1.pt")
    with pytest.raises(InputError, match="holds 2 sets of weights \\('model', 'model_ema'\\)"):
        load_checkpoint(tmp_path / "v1.pt", RECIPE)


@pytest.mark.parametrize(
    "beside",
    [
        lambda s: {"ema": {"decay": 0.9, "shadow_params": list(s.values())}},
        lambda s: {"ema_params": tuple(s.values())[1:]},
        lambda s: {"model_ema": s | {"step": 4}},
        lambda s: {"emas": [s]},
        lambda s: {"callbacks": {"EMA": {"state": {"inner": {"weights": s}}}}},
        lambda s: {1: s},
    ],
)
def test_an_average_of_the_weights_beside_them_is_refused(beside, state, tmp_path):
    """Whichever shape a training program gives it: the average may be what ships."""
    average = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"model": state} | beside(average), tmp_path / "v1.pt")
    with pytest.raises(InputError, match="holds 2 sets of weights \\('model', '"):
        load_checkpoint(tmp_path / "v1.pt", RECIPE)


def test_other_tensors_beside_the_weights_are_no_second_set(state, tmp_path):
    others = {"rng": [torch.ones(5)], "loss": {"weights": torch.ones(2), "epoch": 3}}
    torch.save({"model": state, "optimizer": _trained()} | others, tmp_path / "v1.pt")
    assert same(tmp_path / "v1.pt", state)


def test_an_optimizer_alone_is_no_model(tmp_path):
    torch.save({"optimizer": _trained()}, tmp_path / "v1.pt")
    with pytest.raises(InputError, match="not a state dict of tensors"):
        load_checkpoint(tmp_path / "v1.pt", RECIPE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: {f"x.{n}": t for n, t in s.items()},
            "missing tensors: .*; unknown tensors: 'x.",
        ),
        (
            lambda s: {f"module.{n}" if i else n: t for i, (n, t) in enumerate(s.items())},
            "unknown tensors: 'module.",
        ),
        (
            lambda s: s | {f"module.{n}": t.clone() for n, t in s.items()},
            "unknown tensors: 'module",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, said, state, tmp_path):
    save_file(change(state), tmp_path / "v1.safetensors")
    with pytest.raises(InputError, match=said):
        load_checkpoint(tmp_path / "v1.safetensors", RECIPE)


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.int64, torch.uint8, torch.bool, torch.complex64]
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("every", [True, False])
def test_numbers_of_another_kind_are_refused(dtype, suffix, every, state, tmp_path):
    chosen = list(state) if every else list(state)[:1]
    odd = {n: t.to(dtype) if n in chosen else t for n, t in state.items()}
    path = tmp_path / f"v1{suffix}"
    save_file(odd, path) if suffix == ".safetensors" else torch.save(odd, path)
    with pytest.raises(InputError, match=r"holds (whole-number|boolean|complex) numbers"):
        load_checkpoint(path, RECIPE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e5m2])
def test_other_precisions_are_read_right(dtype, state, tmp_path):
    path = tmp_path / "v1.safetensors"
    save_file({n: t.to(dtype) for n, t in state.items()}, path)
    assert same(path, {n: t.to(dtype).float() for n, t in state.items()})


def test_a_number_that_the_model_cannot_hold_is_refused(state, tmp_path):
    name = next(iter(state))
    huge = state | {name: torch.full(state[name].shape, 1e300, dtype=torch.float64)}
    save_file(huge, tmp_path / "v1.safetensors")
    with pytest.raises(InputError, match="not finite"):
        load_checkpoint(tmp_path / "v1.safetensors", RECIPE)
