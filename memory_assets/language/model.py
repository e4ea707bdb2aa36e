"""Open a causal language model from outside: safetensors only, no code of its own, local first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.digest import digest
from memory_assets.errors import InputError
from memory_assets.language.folders import (
    ADAPTER,
    base_of,
    folder_digest,
    has_tokenizer,
    locate,
    read_json,
)
from memory_assets.language.heads import Head, find_head, through_layer, through_model
from memory_assets.records.budget import afford

if TYPE_CHECKING:
    import torch

Ids = NDArray[np.int64]
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_LOADS_MORE = ("megatron_config", "corda_config", "arrow_config", "eva_config")
"""Settings of an adapter that name modules or further files."""
_SAFE = "export it with save_pretrained (safetensors); pickled weights can run code"


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
        return self.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text

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

    `base` overrides the base model that an adapter names.

    Raises:
        InputError: no such model; pickled weights only; code of its own; no tokenizer; a tokenizer
            larger than the model; an adapter that is no LoRA, without its base or without the
            package peft; damaged files.
    """
    folder = locate(name, revision)
    device = device or default_device()
    under = base_of(folder, base)
    if under is None:
        model, tokens = _load_model(folder), folder
    else:
        model, tokens = _load_adapter(folder, under), under
    tokenizer = load_tokenizer(folder if has_tokenizer(folder) else tokens)
    model = model.to(device).eval()
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(
            f"{folder}: its tokenizer has {len(tokenizer)} tokens, its model {rows}; "
            "give the tokenizer that the model was trained with"
        )
    sources = [tokens] if tokens == folder else [tokens, folder]
    identity = digest([folder_digest(source) for source in sources])
    return as_language_model(model, tokenizer, str(name), device, identity)


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
        context=_context(model, tokenizer),
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


@contextmanager
def no_bars() -> Iterator[None]:
    """Reading a file takes seconds, and its bar would cross whatever the caller shows."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _load_model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no config.json; expected a Hugging Face model folder")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
        what = f"only pickled weights ({pickles[0]})" if pickles else "no weights"
        raise InputError(f"{folder}: {what}; {_SAFE}")
    if "auto_map" in read_json(folder / "config.json"):
        raise InputError(
            f"{folder}: its config.json wants to run code of its own (auto_map), which is never "
            "done; convert it to an architecture that transformers knows"
        )
    try:
        import torch

        _check_size(folder)
        with no_bars():
            return AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
    except InputError:
        raise
    except Exception as error:  # unknown architectures, truncated files and wrong shapes all differ
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{folder}: cannot be opened as a causal language model ({reason[0][:200]})"
        ) from error


def _check_size(folder: Path) -> None:
    """Refuse a configuration that describes far more than its files hold, before it is built."""
    import torch
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    files = sorted(folder.glob("*.safetensors"))
    stored = sum(len(safe_open(file, framework="pt").keys()) for file in files)
    size = sum(file.stat().st_size for file in files)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if layers > stored:
        raise InputError(
            f"{folder}: config.json says {layers} layers; its files hold {stored} tensors"
        )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    described = sum(parameter.numel() for parameter in model.parameters())
    if described > 4 * size:  # no format stores four weights in a byte
        raise InputError(
            f"{folder}: config.json describes {described:,} weights; its files hold {size:,} bytes"
        )
    afford(8 * described, folder, "its weights")


def _load_adapter(folder: Path, base: Path) -> Any:
    """The base with a LoRA adapter merged into it."""
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError(f"{folder}: no adapter_model.safetensors; {_SAFE}")
    settings = read_json(folder / ADAPTER)
    if settings.get("peft_type") != "LORA":
        raise InputError(
            f"{folder}: an adapter of the type {settings.get('peft_type')}; expected LORA, or "
            "merge it into its base and give that folder"
        )
    if more := [name for name in _LOADS_MORE if settings.get(name)]:
        raise InputError(f"{folder}: its adapter sets {more[0]}, which loads more than weights")
    try:
        from peft import PeftModel  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"{folder}: a LoRA adapter needs the package peft; pip install 'memory-assets[lora]', "
            "or merge the adapter into its base and give that folder"
        ) from error
    model = _load_model(base)
    try:
        adapted = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
        return adapted.merge_and_unload()
    except Exception as error:  # unknown settings, damaged files and wrong shapes all differ
        raise InputError(
            f"{folder}: does not fit its base {base} ({type(error).__name__}); give the base that "
            "it was trained on under base"
        ) from error


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    if not has_tokenizer(folder):
        raise InputError(
            f"{folder}: no tokenizer (such as tokenizer.json); save it beside the model with "
            "tokenizer.save_pretrained"
        )
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # tokenizers raise bare Exception on damaged files
        raise InputError(
            f"{folder}: its tokenizer cannot be read ({type(error).__name__})"
        ) from error


def _context(model: Any, tokenizer: Any) -> int:
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limits = [n for n in (positions, tokenizer.model_max_length) if n and n < 1_000_000_000]
    return int(min(limits)) if limits else 2048


def _start(tokenizer: Any) -> int | None:
    ids = tokenizer("a", verbose=False)["input_ids"]
    begin = tokenizer.bos_token_id
    return int(begin) if begin is not None and len(ids) and ids[0] == begin else None
