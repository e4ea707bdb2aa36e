"""A recipe of a causal language model: how it is built and trained, as plain data with a digest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memory_assets.errors import InputError
from memory_assets.models.recipe import check_factory, check_range, check_whole
from memory_assets.records.dataset import import_attribute

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LanguageRecipe:
    """Everything that decides a training run except the texts, the tokenizer and the random draw.

    `model` names a factory `package.module:function` of an untrained causal model in Hugging Face
    form; it is called with `vocabulary` (tokens), `window` (the longest sequence) and `model_args`.
    Texts are cut into windows of `window` tokens; a batch holds windows of like length, about
    `batch_tokens` tokens. AdamW with a one-cycle schedule up to `lr`, gradients clipped to norm 1.

    Raises:
        InputError: a field outside its range.
    """

    model: str
    model_args: dict[str, Any] = field(default_factory=dict)
    window: int = 128
    batch_tokens: int = 1024
    lr: float = 3e-3
    weight_decay: float = 0.01
    epochs: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        check_factory("model", self.model)
        check_range("lr", self.lr, 0, math.inf, open_low=True)
        check_range("weight_decay", self.weight_decay, 0, math.inf)
        check_whole("window", self.window, 2)
        check_whole("batch_tokens", self.batch_tokens, 2)
        check_whole("epochs", self.epochs, 1)
        check_whole("seed", self.seed, 0)

    def build_model(self, vocabulary: int) -> PreTrainedModel:
        """An untrained model, its weights drawn from torch's global generator.

        Raises:
            InputError: no such factory, or it fails or returns something else than a causal model.
        """
        factory = import_attribute(self.model, "recipe.model")
        try:
            model = factory(vocabulary=vocabulary, window=self.window, **self.model_args)
        except (Exception, SystemExit) as error:  # the owner's factory may raise anything
            raise InputError(
                f"recipe.model_args: {self.model} failed with vocabulary, window, "
                f"{sorted(self.model_args)} ({type(error).__name__}: {error})"
            ) from error
        from transformers import PreTrainedModel

        if not isinstance(model, PreTrainedModel) or model.get_output_embeddings() is None:
            raise InputError(
                f"recipe.model: {self.model} returned {type(model).__name__}, expected a causal "
                "model of transformers"
            )
        return model
