"""A recipe of a causal language model: how it is built and trained, as plain data with a digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from memory_assets.errors import InputError
from memory_assets.models.recipe import Factory, Whole
from memory_assets.records.dataset import import_attribute
from memory_assets.spec import Settings, SpecData

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LanguageRecipe(SpecData):
    """How the model was trained; the shadow models are trained the same way.

    Everything that decides a training run except the texts, the tokenizer and the random draw.
    `model` returns an untrained causal model in Hugging Face form; it is called with `vocabulary`
    (tokens), `window` (the longest sequence) and `model_args`. Texts are cut into windows; a batch
    holds windows of like length. AdamW with a one-cycle schedule up to `lr`, gradients clipped to
    norm 1.

    Raises:
        InputError: a field outside its range.
    """

    written_as: ClassVar[str] = "recipe"

    model: Annotated[
        Factory, Field(description="factory package.module:function of an untrained causal model")
    ]
    model_args: Annotated[
        Settings, Field(description="keyword arguments of the factory, besides its own")
    ] = field(default_factory=dict)
    window: Annotated[int, Field(ge=2, description="tokens of a piece that it trained on")] = 128
    batch_tokens: Annotated[int, Field(ge=2, description="tokens of a batch, about")] = 1024
    lr: Annotated[float, Field(gt=0, description="peak learning rate")] = 3e-3
    weight_decay: Annotated[float, Field(ge=0, description="weight decay of AdamW")] = 0.01
    epochs: Annotated[int, Field(ge=1, description="passes over the training texts")] = 10
    seed: Annotated[
        Whole, Field(description="each model's own is derived from it and its number in the pool")
    ] = 0

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
