"""Weights from outside: safetensors only, of the size that is said, and no code of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory_assets.errors import InputError
from memory_assets.language.folders import read_json
from memory_assets.language.kinds import check_kind
from memory_assets.language.settings import check_config, check_files
from memory_assets.language.weights import (
    Shell,
    Stored,
    check_opened,
    match_names,
    stored_tensors,
)
from memory_assets.records.budget import afford

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SAFE = "export it with save_pretrained (safetensors); pickled weights can run code"


@dataclass(frozen=True)
class Opened:
    """A model, and in a line each what was done to read its weights."""

    model: Any
    notices: tuple[str, ...] = ()


@contextmanager
def quietly() -> Iterator[None]:
    """Without the bars and the tables of what did not fit that the library shows: bars cross
    whatever the caller shows, and what did not fit is an error here."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def open_model(folder: Path) -> Opened:
    """A causal model in float32, every tensor of its files used and every parameter from them.

    Raises:
        InputError: no weights, two sets of them, pickled weights, code of its own, a model of
            another kind, settings that lead elsewhere or describe another model than the files
            hold, damaged files.
    """
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no config.json; expected a Hugging Face model folder")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
        what = f"only pickled weights ({pickles[0]})" if pickles else "no weights"
        raise InputError(f"{folder}: {what}; {SAFE}")
    check_files(folder)
    check_config(folder)
    settings = read_json(folder / "config.json")
    check_kind(folder, settings)
    stored = stored_tensors(folder)
    try:
        import torch

        with quietly():
            config, shell = _sized(folder, stored)
            names = match_names(folder, stored, shell, bool(settings.get("quantization_config")))
            opened: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                key_mapping=dict(names.rules) or None,
                ignore_mismatched_sizes=True,  # reported, and refused below by name
                output_loading_info=True,
            )
            model, report = opened
        notices = check_opened(folder, stored, names, shell, model, report)
    except InputError:
        raise
    except Exception as error:  # unknown architectures, truncated files and wrong shapes all differ
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{folder}: cannot be opened as a causal language model ({reason[0][:200]})"
        ) from error
    if names.undone:
        notices.insert(0, f"{folder.name}: {names.said}")
    return Opened(model, tuple(notices))


def _sized(folder: Path, stored: dict[str, Stored]) -> tuple[Any, Shell]:
    """The configuration of a model, and its names, if it describes no more than its files hold.

    How attention is computed is not for it to choose: some ways are code on the hub.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    size = sum(file.stat().st_size for file in {tensor.file for tensor in stored.values()})
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    config._attn_implementation = None
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if layers > len(stored):
        raise InputError(
            f"{folder}: config.json says {layers} layers; its files hold {len(stored)} tensors"
        )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    described = sum(parameter.numel() for parameter in model.parameters())
    if described > 4 * size:  # no format stores four weights in a byte
        raise InputError(
            f"{folder}: config.json describes {described:,} weights; its files hold {size:,} bytes"
        )
    afford(8 * described, folder, "its weights")
    return config, Shell.of(model)
