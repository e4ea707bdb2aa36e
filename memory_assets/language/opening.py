"""Weights from outside: safetensors only, of the size that is said, and no code of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memory_assets.errors import InputError
from memory_assets.language.settings import check_adapter, check_config, check_files
from memory_assets.records.budget import afford

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_SAFE = "export it with save_pretrained (safetensors); pickled weights can run code"


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


def open_model(folder: Path) -> Any:
    """A causal model in float32.

    Raises:
        InputError: no weights, pickled weights, code of its own, settings that lead elsewhere or
            describe more than the files hold, damaged files.
    """
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no config.json; expected a Hugging Face model folder")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
        what = f"only pickled weights ({pickles[0]})" if pickles else "no weights"
        raise InputError(f"{folder}: {what}; {_SAFE}")
    check_files(folder)
    check_config(folder)
    try:
        import torch

        config = _sized_config(folder)
        with no_bars():
            return AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
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


def _sized_config(folder: Path) -> Any:
    """The configuration of a model, if it describes no more than its files hold.

    How attention is computed is not for it to choose: some ways are code on the hub.
    """
    import torch
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    files = sorted(folder.glob("*.safetensors"))
    stored = sum(len(safe_open(file, framework="pt").keys()) for file in files)
    size = sum(file.stat().st_size for file in files)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    config._attn_implementation = None
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
    return config


def open_adapter(folder: Path, base: Path) -> Any:
    """The base with a LoRA adapter merged into it.

    Raises:
        InputError: no LoRA adapter, more than one, no package peft, or one that does not fit.
    """
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError(f"{folder}: no adapter_model.safetensors; {_SAFE}")
    check_files(folder)
    check_adapter(folder)
    try:
        from peft import PeftModel  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"{folder}: a LoRA adapter needs the package peft; pip install 'memory-assets[lora]', "
            "or merge the adapter into its base and give that folder"
        ) from error
    model = open_model(base)
    try:
        adapted = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
        return adapted.merge_and_unload()
    except Exception as error:  # unknown settings, damaged files and wrong shapes all differ
        raise InputError(
            f"{folder}: does not fit its base {base} ({type(error).__name__}); give the base that "
            "it was trained on under base"
        ) from error
