"""A recipe's fields are declared once: YAML, Python, single versions and the schema follow."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.config.language_model import LanguageModelSubject
from memory_assets.config.mistakes import first_mistake
from memory_assets.config.training import VersionLanguageRecipe, VersionRecipe, VersionSettings
from memory_assets.errors import InputError
from memory_assets.language.recipe import LanguageRecipe
from memory_assets.models.recipe import DpSgd, Recipe
from memory_assets.spec import SpecData, changes_of
from memory_assets.store.digest import digest
from memory_assets.workflows.shadows import pool_version, target_version

CLASSIFIER = {"subject": "s", "checkpoints": "c", "records": {"loader": "a:b", "members": "m"}}
TEXTS = {"members": {"path": "p"}, "held_out": {"path": "q"}}
LANGUAGE = {"subject": "s", "checkpoints": "c", **TEXTS}

RECORDED: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({}, ("2ff7d1e26f01a5bb", "8a1b5b5b", "90916779")),
    (
        {"lr": 1, "epochs": "5", "dp": {"noise_multiplier": 2}},
        ("83f33bd560f10eee", "57b309c2", "90916779"),
    ),
    (
        {"model_args": {"a": [1, 2.5, None]}, "seed": 0, "momentum": 0.9},
        ("6a6aa699d4ff30f5", "f62a39aa", "1ed38372"),
    ),
]
RECORDED_LANGUAGE: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({}, ("3a3bb6df37288290", "66f3261a", "3162632d")),
    ({"lr": 1, "epochs": "5"}, ("e3fbca2acfdbe4a3", "9fe18c56", "3162632d")),
]


def classifier(**recipe: Any) -> ClassifierSubject:
    return ClassifierSubject.model_validate(CLASSIFIER | {"recipe": {"model": "x.y:z", **recipe}})


def language(**recipe: Any) -> LanguageModelSubject:
    said = {"model": "x.y:z", "tokenizer": "t", **recipe}
    return LanguageModelSubject.model_validate(LANGUAGE | {"recipe": said})


def _asked_for(subject: ClassifierSubject | LanguageModelSubject) -> tuple[str, str]:
    """What the graph remembers of a recipe, without the versions of formulas."""
    return pool_version(subject).rpartition(".")[2], target_version(subject)


@pytest.mark.parametrize(("recipe", "recorded"), RECORDED)
def test_digests_of_recipes_are_those_recorded_earlier(recipe, recorded):
    """Pools are found by them: another digest would train every shadow model anew."""
    subject = classifier(**recipe)
    assert (digest(subject.recipe)[:16], *_asked_for(subject)) == recorded


@pytest.mark.parametrize(("recipe", "recorded"), RECORDED_LANGUAGE)
def test_digests_of_recipes_of_texts_are_those_recorded_earlier(recipe, recorded):
    subject = language(**recipe)
    assert subject.recipe is not None
    assert (digest(subject.recipe.recipe())[:16], *_asked_for(subject)) == recorded


@pytest.mark.parametrize("kind", [Recipe, LanguageRecipe, DpSgd])
def test_what_yaml_takes_and_refuses_python_takes_and_refuses(kind: type):
    """The schema is made of the dataclass: each default is written there alone."""
    whole = ClassifierSubject if kind is not LanguageRecipe else LanguageModelSubject
    schema = whole.model_json_schema()["$defs"]
    name = "TokenizedRecipe" if kind is LanguageRecipe else kind.__name__
    shown = schema[name]["properties"]
    for f in fields(kind):
        default = shown[f.name].get("default")
        assert default == getattr(kind, f.name, None), f.name
    assert schema[name]["additionalProperties"] is False


def test_the_schema_keeps_descriptions_and_leaves_null_out():
    schema = ClassifierSubject.model_json_schema()
    recipe = schema["$defs"]["Recipe"]["properties"]
    assert recipe["shift"]["description"] == "pixels by which training images are shifted"
    assert recipe["lr"]["exclusiveMinimum"] == 0
    assert recipe["dp"]["$ref"].endswith("/DpSgd")
    assert "description" in recipe["dp"]
    assert schema["$defs"]["VersionRecipe"]["properties"]["lr"]["exclusiveMinimum"] == 0


def test_a_new_field_of_a_recipe_is_one_of_single_versions_at_once():
    @dataclass(frozen=True)
    class Grown(SpecData):
        written_as: ClassVar[str] = "recipe"
        model: str
        warmup: Annotated[int, Field(ge=0, description="steps of warm-up")] = 5

    said = changes_of(Grown, "VersionGrown", VersionSettings, frozenset({"model"}))
    assert said.model_validate({"warmup": 3}).changes() == {"warmup": 3}
    assert said.model_validate({}).changes() == {}
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        said.model_validate({"warmup": -1})
    with pytest.raises(InputError, match=r"^recipe\.warmup: -1; input should be"):
        Grown("m", -1)


def test_a_version_may_say_all_but_its_architecture_and_seed():
    architecture = {"model", "model_args", "seed", "window"}
    for said, kind in ((VersionRecipe, Recipe), (VersionLanguageRecipe, LanguageRecipe)):
        assert set(said.model_fields) == {f.name for f in fields(kind)} - architecture
    dp = VersionRecipe.model_validate({"dp": {"noise_multiplier": 2}}).changes()["dp"]
    assert dp == DpSgd(2.0)
    assert VersionRecipe.model_validate({"dp": None}).changes() == {"dp": None}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"recipe": {"model": "x.y:z", "lrr": 1}}, "recipe.lrr: unknown key; did you mean 'lr'"),
        ({"recipe": {"lr": 1}}, "recipe.model: missing; add it"),
        ({"recipe": {"model": "x.y"}}, "recipe.model: 'x.y'; expected package.module:function of"),
        (
            {"recipe": {"model": "x.y:z", "dp": {"noise": 1}}},
            "recipe.dp.noise: unknown key; expected one of noise_",
        ),
        (
            {"recipe": {"model": "x.y:z"}, "recipes": {"v": {"epoch": 1}}},
            "recipes.v.epoch: unknown key; did you mean 'epochs'",
        ),
        (
            {"recipe": {"model": "x.y:z"}, "recipes": {"v": {"optimizer": "lion"}}},
            "recipes.v.optimizer: 'lion'; input should be 'sgd', 'adam' or 'adamw'",
        ),
        (
            {"recipe": {"model": "x.y:z"}, "recipes": {"v": {"epochs": None}}},
            "recipes.v.epochs: no value; give one or leave it out",
        ),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line(changes, line):
    with pytest.raises(ValidationError) as refused:
        ClassifierSubject.model_validate(CLASSIFIER | changes)
    assert line in first_mistake(refused.value, ClassifierSubject)
