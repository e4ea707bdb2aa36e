from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from memory_assets.digest import digest
from memory_assets.errors import InputError
from memory_assets.models.cnn import small_cnn
from memory_assets.models.mlp import mlp
from memory_assets.models.privacy import privacy_spent
from memory_assets.models.recipe import DpSgd, Recipe

RECIPE = Recipe("memory_assets.models.mlp:mlp", epochs=20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "no_colon"}, "recipe.model"),
        ({"model": "os;system:x"}, "recipe.model"),
        ({"optimizer": "lion"}, "one of sgd, adam, adamw"),
        ({"schedule": "step"}, "recipe.schedule"),
        ({"precision": "float16"}, "recipe.precision"),
        ({"lr": 0}, "recipe.lr: 0; expected a number above 0"),
        ({"lr": math.nan}, "recipe.lr"),
        ({"lr": math.inf}, "recipe.lr"),
        ({"momentum": 1.0}, "below 1"),
        ({"weight_decay": -1}, "at least 0"),
        ({"epochs": 0}, "whole number, at least 1"),
        ({"epochs": 1.5}, "whole number"),
        ({"batch_size": True}, "whole number"),
        ({"label_noise": 1}, "below 1"),
        ({"seed": -1}, "recipe.seed"),
        ({"dp": DpSgd(max_grad_norm=0)}, "dp.max_grad_norm"),
        ({"dp": DpSgd(noise_multiplier=-1)}, "dp.noise_multiplier"),
    ],
)
def test_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(RECIPE, **changes)


def test_factory_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"recipe\.model"):
        replace(RECIPE, model="no_such_package:f").build_model()
    with pytest.raises(InputError, match="nothing"):
        replace(RECIPE, model="memory_assets.models.mlp:nothing").build_model()


def test_mitigations_change_what_they_say_and_the_digest() -> None:
    changed = {
        "early-stop": RECIPE.with_options("early-stop", {"epochs": 8}),
        "weight-decay": RECIPE.with_options("weight-decay", {"weight_decay": 0.1}),
        "label-smoothing": RECIPE.with_options("label-smoothing"),
        "deduplicate": RECIPE.with_options("deduplicate"),
        "dp": RECIPE.with_options("dp", {"noise_multiplier": 2.0, "epochs": 5}),
    }
    assert changed["early-stop"] == replace(RECIPE, epochs=8)
    assert RECIPE.with_options("early-stop").epochs == 5
    assert changed["weight-decay"].weight_decay == 0.1
    assert changed["label-smoothing"].label_smoothing == 0.1
    assert changed["dp"] == replace(RECIPE, dp=DpSgd(2.0, 1.0), epochs=5)
    assert len({digest(r) for r in [RECIPE, *changed.values()]}) == 6


def test_mitigation_errors() -> None:
    with pytest.raises(InputError, match="one of deduplicate, dp, early-stop"):
        RECIPE.with_options("prayer")
    with pytest.raises(InputError, match="only epochs"):
        RECIPE.with_options("early-stop", {"epoch": 3})
    with pytest.raises(InputError, match=r"recipe\.epochs"):
        RECIPE.with_options("early-stop", {"epochs": 0})


def test_shipped_models_have_the_stated_shapes() -> None:
    x = torch.zeros(3, 64)
    assert mlp()(x).shape == (3, 10)
    assert mlp(hidden=[32, 16], classes=4, dropout=0.1)(x).shape == (3, 4)
    assert small_cnn(batch_norm=True)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_epsilon_of_one_full_batch_step_is_that_of_the_gaussian_mechanism() -> None:
    """Without subsampling, Renyi epsilon of order a is a / (2 s^2), and the best order is known."""
    pytest.importorskip("opacus")
    sigma, delta = 2.0, 1e-5
    recipe = replace(RECIPE, epochs=1, batch_size=100, dp=DpSgd(sigma))
    spent = privacy_spent(recipe, 100, delta)
    classic = 1 / (2 * sigma**2) + math.sqrt(2 * math.log(1 / delta)) / sigma
    assert spent.sampling_rate == 1.0
    assert spent.steps == 1
    # The conversion that is used is a little tighter than the classic one (Canonne et al. 2020).
    assert 0.8 * classic < spent.epsilon <= classic * 1.001


def test_more_noise_less_epsilon() -> None:
    pytest.importorskip("opacus")
    recipes = [replace(RECIPE, dp=DpSgd(sigma)) for sigma in (0.7, 1.0, 3.0)]
    epsilons = [privacy_spent(recipe, 1000).epsilon for recipe in recipes]
    assert epsilons == sorted(epsilons, reverse=True)


def test_epsilon_without_privacy() -> None:
    with pytest.raises(InputError, match="not set"):
        privacy_spent(RECIPE, 100)
    assert privacy_spent(replace(RECIPE, dp=DpSgd(0.0)), 100).epsilon == math.inf
