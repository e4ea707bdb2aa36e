from __future__ import annotations

import math
import warnings
from dataclasses import replace

import pytest
import torch

from memory_assets.errors import InputError
from memory_assets.models.cnn import small_cnn
from memory_assets.models.mlp import mlp
from memory_assets.models.privacy import privacy_spent, replace_one_spent
from memory_assets.models.recipe import DpSgd, Recipe
from memory_assets.store.digest import digest

RECIPE = Recipe("memory_assets.models.mlp:mlp", epochs=20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "no_colon"}, "recipe.model"),
        ({"model": "os;system:x"}, "recipe.model"),
        (
            {"optimizer": "lion"},
            "recipe.optimizer: 'lion'; input should be 'sgd', 'adam' or 'adamw'",
        ),
        ({"schedule": "step"}, "recipe.schedule"),
        ({"precision": "float16"}, "recipe.precision"),
        ({"lr": 0}, "recipe.lr: 0; input should be greater than 0"),
        ({"lr": math.nan}, "recipe.lr"),
        ({"lr": math.inf}, "recipe.lr"),
        ({"momentum": 1.0}, "recipe.momentum: 1.0; input should be less than 1"),
        ({"weight_decay": -1}, "recipe.weight_decay: -1; input should be greater"),
        ({"epochs": 0}, "recipe.epochs: 0; input should be greater than or equal to 1"),
        ({"epochs": 1.5}, "recipe.epochs: 1.5; input should be a valid integer"),
        ({"batch_size": True}, "recipe.batch_size: True; input should be a valid integer"),
        ({"label_noise": 1}, "recipe.label_noise: 1; input should be less than 1"),
        ({"seed": -1}, "recipe.seed"),
        ({"dp": {"max_grad_norm": 0}}, "recipe.dp"),
    ],
)
def test_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(RECIPE, **changes)


def test_privacy_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"recipe\.dp\.max_grad_norm: 0; input should be greater"):
        DpSgd(max_grad_norm=0)
    with pytest.raises(InputError, match=r"recipe\.dp\.noise_multiplier: -1; input should be"):
        DpSgd(noise_multiplier=-1)


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


@pytest.mark.parametrize("sigma", [0.05, 0.5, 1.0, 4.0])
def test_epsilon_is_that_of_opacus(sigma: float) -> None:
    accountants = pytest.importorskip("opacus.accountants")
    opacus = accountants.RDPAccountant()
    spent = privacy_spent(replace(RECIPE, dp=DpSgd(sigma)), 1000)
    opacus.history = [(sigma, spent.sampling_rate, spent.steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the best order is the last of its list
        assert spent.epsilon == pytest.approx(opacus.get_epsilon(delta=1e-5), rel=1e-12)


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0, 4.0])
def test_replacing_a_record_is_accounted_at_the_stated_delta(sigma: float) -> None:
    """Group privacy gives (2 e, (1 + exp(e)) d): at d = delta / (1 + exp(e)) all of it is delta."""
    pytest.importorskip("opacus")
    recipe = replace(RECIPE, dp=DpSgd(sigma))
    one, both = privacy_spent(recipe, 1000), replace_one_spent(recipe, 1000)
    e = both.epsilon / 2
    assert both.delta == 1e-5
    assert e > one.epsilon  # twice the epsilon at 1e-5 would hold at (1 + exp(e)) 1e-5 only
    if e < 600:  # where exp(e) and the smaller delta are floats
        share = 1e-5 / (1 + math.exp(e))
        assert privacy_spent(recipe, 1000, share).epsilon == pytest.approx(e, rel=1e-6)
        assert privacy_spent(recipe, 1000, share).epsilon <= e
        looser = privacy_spent(recipe, 1000, 1e-5 / (1 + math.exp(0.99 * e))).epsilon
        assert looser > 0.99 * e  # a smaller e is not granted at its own share


def test_replacing_a_record_in_one_full_batch_by_hand() -> None:
    """One step, no subsampling: a / (2 s^2) + log((a - 1) / a) - (log d + log a) / (a - 1)."""
    pytest.importorskip("opacus")
    sigma, delta = 2.0, 1e-5
    recipe = replace(RECIPE, epochs=1, batch_size=100, dp=DpSgd(sigma))
    e = replace_one_spent(recipe, 100, delta).epsilon / 2
    d = delta / (1 + math.exp(e))
    tenths = [a / 10 for a in range(11, 110)]
    by_hand = min(
        a / (2 * sigma**2) + math.log((a - 1) / a) - (math.log(d) + math.log(a)) / (a - 1)
        for a in (*tenths, *range(12, 64))
    )
    assert e == pytest.approx(by_hand, rel=1e-6)


def test_epsilon_without_privacy() -> None:
    with pytest.raises(InputError, match="not set"):
        privacy_spent(RECIPE, 100)
    for spent in (privacy_spent, replace_one_spent):
        assert spent(replace(RECIPE, dp=DpSgd(0.0)), 100).epsilon == math.inf
