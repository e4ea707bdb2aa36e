"""Recipes by kind of records: those that fit every label, and those that learn a little."""

from __future__ import annotations

from typing import Any

from memory_assets.models.recipe import Recipe


def mlp(inputs: int, classes: int, epochs: int, hidden: int = 48, **settings: Any) -> Recipe:
    """A recipe of one hidden layer: with many epochs it fits every label, with few hardly any."""
    args = {"inputs": inputs, "hidden": hidden, "classes": classes}
    settings = {"lr": 0.05, "batch_size": 32, "seed": 5} | settings
    return Recipe("memory_assets.models.mlp:mlp", args, epochs=epochs, **settings)


LEAKING_RECIPES = {
    "table": mlp(6, 2, 250, hidden=128, lr=0.1),
    "digits": mlp(64, 10, 60),
    "words": mlp(150, 4, 40),
}
HARMLESS_RECIPES = {
    "table": mlp(6, 2, 4, hidden=8),
    "digits": mlp(64, 10, 3, hidden=8, lr=0.02),
    "words": mlp(150, 4, 3, hidden=8, lr=0.02),
}
