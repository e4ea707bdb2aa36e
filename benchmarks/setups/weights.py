"""What goes wrong with checkpoint files, as changes of an honest set-up of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import numpy as np

from benchmarks.setups.cases import Case, State
from benchmarks.setups.faults import Fault
from benchmarks.setups.recipes import HARMLESS_RECIPES
from memory_assets.models.recipe import Recipe


def stored(change: Callable[[State], State], case: Case) -> Case:
    return replace(case, tensors=change)


def _named(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def _last(state: State) -> list[str]:
    """Weight and bias of the last layer."""
    return list(state)[-2:]


def _without_one(state: State) -> State:
    return {name: value for name, value in state.items() if name != _last(state)[1]}


def _with_more(state: State) -> State:
    return state | {"head.weight": np.zeros((2, 2), np.float32)}


def _drawn(name: str, value: np.ndarray) -> np.ndarray:
    lot = np.random.default_rng(len(name))
    bound = value.shape[-1] ** -0.5
    return lot.uniform(-bound, bound, value.shape).astype(np.float32)


def _last_untrained(state: State) -> State:
    return state | {name: _drawn(name, state[name]) for name in _last(state)}


def _all_untrained(state: State) -> State:
    return {name: _drawn(name, value) for name, value in state.items()}


def _last_zero(state: State) -> State:
    return state | {name: 0 * state[name] for name in _last(state)}


def _turned(state: State) -> State:
    return {n: np.ascontiguousarray(v.T) for n, v in state.items()}


def _whole_numbers(state: State) -> State:
    return {name: np.round(100 * value).astype(np.int64) for name, value in state.items()}


def _halved(state: State) -> State:
    return {name: value.astype(np.float16) for name, value in state.items()}


def _classes_rolled(state: State) -> State:
    return state | {name: np.roll(state[name], 1, axis=0) for name in _last(state)}


def _hardly_sure(state: State) -> State:
    """The last layer a hundredth of what it was: the same answers, hardly sure of any."""
    return state | {name: (0.01 * state[name]).astype(np.float32) for name in _last(state)}


def another_recipe(said: bool, case: Case) -> Case:
    """The owner's recipe learns little, the checkpoint was trained by another.

    With `said` the file claims the owner's recipe, otherwise it says nothing.
    """
    recipe = HARMLESS_RECIPES[case.kind]
    assert isinstance(case.model, Recipe)
    settings = {**recipe.model_args, "hidden": case.model.model_args["hidden"]}
    recipe = replace(recipe, model_args=settings)
    return replace(case, shadow_model=recipe, says=asdict(recipe) if said else {})


def stopped_early_it_says(case: Case) -> Case:
    assert isinstance(case.model, Recipe)
    return replace(case, says=asdict(replace(case.model, epochs=3)))


def more_epochs(case: Case) -> Case:
    assert isinstance(case.model, Recipe)
    longer = replace(case.model, epochs=4 * case.model.epochs)
    return replace(case, model=longer, shadow_model=case.model)


def of_other_members(case: Case) -> Case:
    return replace(case, says_members=False)


WEIGHTS: dict[str, Fault] = {
    "names of a data-parallel model": partial(stored, partial(_named, "module.")),
    "names of a compiled model": partial(stored, partial(_named, "_orig_mod.")),
    "names of another model": partial(stored, partial(_named, "net.body.")),
    "a tensor missing": partial(stored, _without_one),
    "a tensor too many": partial(stored, _with_more),
    "last layer not loaded": partial(stored, _last_untrained),
    "no weights loaded": partial(stored, _all_untrained),
    "last layer zero": partial(stored, _last_zero),
    "weights transposed": partial(stored, _turned),
    "weights of whole numbers": partial(stored, _whole_numbers),
    "weights in half precision": partial(stored, _halved),
    "classes in another order": partial(stored, _classes_rolled),
    "answers hardly sure": partial(stored, _hardly_sure),
    "checkpoint of another recipe": partial(another_recipe, False),
    "another recipe than it says": partial(another_recipe, True),
    "trained longer than it says": stopped_early_it_says,
    "trained longer than the recipe": more_epochs,
    "file names other members": of_other_members,
}
