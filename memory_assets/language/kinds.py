"""Which kinds of model can be asked what comes next: causal ones, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memory_assets.errors import InputError

_OTHER_KINDS = (
    ("ForSequenceClassification", "a classifier of texts"),
    ("ForTokenClassification", "a classifier of tokens"),
    ("ForQuestionAnswering", "a model that marks answers"),
    ("ForMultipleChoice", "a model that chooses among answers"),
    ("ForMaskedLM", "a masked model, which fills gaps"),
    ("ForPreTraining", "a model with heads for pretraining"),
    ("ForNextSentencePrediction", "a classifier of sentences"),
    ("ForConditionalGeneration", "an encoder-decoder"),
    ("DoubleHeadsModel", "a model with two heads"),
    ("ForRewardModeling", "a reward model"),
    ("RewardModel", "a reward model"),
    ("ForImageClassification", "a classifier of images"),
)
_EXPECTED = "expected a causal language model (…ForCausalLM)"


def check_kind(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a configuration that names a model of another kind.

    Args:
        folder: the model's, to name it.
        settings: what its config.json says.

    Raises:
        InputError: an encoder-decoder, a masked model, a classifier and the like.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    given = settings.get("architectures")
    named = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    causal = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(str(settings.get("model_type")))
    for name in named:
        if name in ((causal,) if isinstance(causal, str) else causal or ()):
            continue
        for suffix, kind in _OTHER_KINDS:
            if name.endswith(suffix):
                raise InputError(f"{folder}: {name[:80]} is {kind}; {_EXPECTED}")
    if settings.get("is_encoder_decoder") is True:
        raise InputError(f"{folder}: config.json says is_encoder_decoder; {_EXPECTED}")


def check_causal(model: Any, folder: Path, device: str) -> None:
    """Refuse a model whose answer about a token hangs on what follows it, as a masked model's does.

    Raises:
        InputError: changing the last of four tokens changes what is said before it.
    """
    import torch

    ids = torch.tensor([[1, 2, 1, 3], [1, 2, 1, 2]], device=device)
    with torch.inference_mode():
        logits = model(ids, use_cache=False).logits[:, :-1].float()
    # Equal but for rounding; a masked model that barely attends differs by little more.
    if (logits[0] - logits[1]).abs().max() > 1e-5 * logits.abs().max():
        raise InputError(
            f"{folder}: it looks at the tokens that follow, so it is a masked model or the body "
            f"of a classifier; {_EXPECTED}"
        )
