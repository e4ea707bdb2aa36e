"""Open a causal language model from outside: safetensors only, no code of its own, local first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language.adapters import open_adapter
from memory_assets.language.folders import base_of, folder_digest, has_tokenizer, locate
from memory_assets.language.heads import Head, find_head, through_layer, through_model
from memory_assets.language.kinds import check_causal
from memory_assets.language.safe_loading import open_model, quietly
from memory_assets.language.settings import (
    check_config,
    check_files,
    check_length,
    check_tokenizer,
)
from memory_assets.language.token_ids import asks_for_file, check_ids
from memory_assets.store.digest import digest

if TYPE_CHECKING:
    import torch

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class LanguageModel:
    """A causal model with its tokenizer, in evaluation mode on one device.

    `context` is the longest sequence that it reads, in tokens; `start` the token that its own
    tokenizer puts before every text, if any; `digest` identifies weights, configuration and
    tokenizer by content. `head` says how logits come of its last hidden states (found by trying):
    unless it is "whole", they can be made a few positions at a time.
    """

    name: str
    model: Any
    tokenizer: Any
    device: str
    digest: str
    context: int
    start: int | None
    head: Head
    notices: tuple[str, ...] = ()

    @property
    def vocabulary(self) -> int:
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def room(self) -> int:
        """Tokens of a text that it reads at once: the context, less the start token."""
        return self.context - (self.start is not None)

    @property
    def filler(self) -> int:
        """A token to fill up batches with; never the padding token, which models warn about."""
        return 1 if self.model.config.get_text_config().pad_token_id == 0 else 0

    def encode(self, text: str) -> Ids:
        """The tokens of a text, without any special token."""
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return np.asarray(ids, dtype=np.int64)

    def encode_all(self, texts: list[str]) -> list[Ids]:
        """The tokens of many texts."""
        if not texts:
            return []
        rows = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return [np.asarray(ids, dtype=np.int64) for ids in rows]

    def spans(self, text: str) -> Ids | None:
        """Where in the text each of its tokens begins and ends, `[T, 2]` in characters; None where
        the tokenizer does not know."""
        if not self.tokenizer.is_fast:
            return None
        read = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return np.asarray(read["offset_mapping"], dtype=np.int64).reshape(-1, 2)

    def reads_back(self, text: str, ids: Ids) -> bool:
        """Whether the tokenizer gives a text of these tokens back unchanged: else it cannot be
        recited."""
        return self.decode(ids) == text

    def decode(self, ids: Ids) -> str:
        """The text of these tokens."""
        return self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """Last hidden states `[batch, length, width]`; for models whose head is not "whole"."""
        return self.model.base_model(ids, use_cache=False).last_hidden_state

    def logits_of(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits `[P, V]` of last hidden states `[P, width]`, float32."""
        way = through_layer if self.head == "layer" else through_model
        return way(self.model, hidden).float()


def default_device() -> str:
    """The GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_language_model(
    name: str | Path,
    revision: str | None = None,
    *,
    base: str | Path | None = None,
    device: str | None = None,
) -> LanguageModel:
    """Open a model folder (or hub id) in float32, or a LoRA adapter over its base.

    `base` overrides the base model that an adapter names, which is looked for in the current folder
    and in the local cache of the hub only.

    Raises:
        InputError: no such model; pickled weights only; code of its own; weights that do not fit
            its settings; no causal model; no tokenizer; a tokenizer larger than the model; an
            adapter that is no LoRA, without its base or without the package peft; damaged files.
    """
    folder = locate(name, revision)
    device = device or default_device()
    under = base_of(folder, base)
    if under is None:
        opened, tokens = open_model(folder), folder
    else:
        opened, tokens = open_adapter(folder, under), under
    tokenizer = load_tokenizer(folder if has_tokenizer(folder) else tokens)
    model = opened.model.to(device).eval()
    rows = model.get_input_embeddings().weight.shape[0]
    if (most := max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=0))) > rows:
        raise InputError(
            f"{folder}: its tokenizer has {most} tokens, its model {rows}; "
            "give the tokenizer that the model was trained with"
        )
    sources = [tokens] if tokens == folder else [tokens, folder]
    identity = digest([folder_digest(source) for source in sources])
    try:
        check_causal(model, folder, device)
        found = as_language_model(model, tokenizer, str(name), device, identity)
        return replace(found, notices=opened.notices)
    except InputError:
        raise
    except Exception as error:  # settings that nobody looks at until the model is asked
        raise InputError(
            f"{folder}: opens, but answers nothing ({type(error).__name__}); save it anew"
        ) from error


def as_language_model(
    model: Any, tokenizer: Any, name: str, device: str, identity: str = ""
) -> LanguageModel:
    """A model that is in memory, on `device` and in evaluation mode; `identity` is its digest."""
    return LanguageModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        device=device,
        digest=identity,
        context=_context(model, tokenizer, name),
        start=_start(tokenizer),
        head=find_head(model, device),
    )


def untrained_like(target: LanguageModel, seed: int = 0) -> LanguageModel:
    """The same architecture with random weights: what a model says that never saw anything."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = type(target.model)(target.model.config).float().to(target.device).eval()
    return LanguageModel(
        name=f"untrained {target.name}",
        model=model,
        tokenizer=target.tokenizer,
        device=target.device,
        digest=digest("untrained", target.digest, seed),
        context=target.context,
        start=target.start,
        head=target.head,
    )


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder.

    Raises:
        InputError: there is none, it cannot be read, or it gives other ids than its tokenizer.json.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if not has_tokenizer(folder):
        raise InputError(
            f"{folder}: no tokenizer (such as tokenizer.json); save it beside the model with "
            "tokenizer.save_pretrained"
        )
    check_files(folder)
    check_tokenizer(folder)
    if (folder / "config.json").is_file():  # says which tokenizer, where nothing else does
        check_config(folder)
    try:
        # Of some architectures AutoTokenizer takes their own class, whatever is asked for.
        maker = PreTrainedTokenizerFast if asks_for_file(folder) else AutoTokenizer
        with quietly():
            tokenizer = maker.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
        check_ids(folder, tokenizer)
        return tokenizer
    except InputError:
        raise
    except Exception as error:  # tokenizers raise bare Exception on damaged files
        raise InputError(
            f"{folder}: its tokenizer cannot be read ({type(error).__name__})"
        ) from error


def _context(model: Any, tokenizer: Any, name: str) -> int:
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    check_length(positions, f"{name}: max_position_embeddings")
    limits = [n for n in (positions, tokenizer.model_max_length) if n and n < 1_000_000_000]
    return int(min(limits)) if limits else 2048


def _start(tokenizer: Any) -> int | None:
    ids = tokenizer("a", verbose=False)["input_ids"]
    begin = tokenizer.bos_token_id
    return int(begin) if begin is not None and len(ids) and ids[0] == begin else None
