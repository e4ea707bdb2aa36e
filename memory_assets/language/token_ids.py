"""The ids that a tokenizer gives, held against its tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memory_assets.errors import InputError
from memory_assets.language.folders import read_json

FILE = "tokenizer.json"
_AS_FILE = ("PreTrainedTokenizerFast", "TokenizersBackend")
_TEXTS = (
    "The quick brown fox's 2nd jump: it wasn't 12,345.67 (or 90%)?",
    "  two  spaces,\ttabs\n\nand lines \n  indented = {'a': [1, 2]};  // code",
    "MiXeD CASE, naïve café, Zürich, cafe\u0301, ﬁne, №5, ½ and x²",
    "東京都の2024年の顧客番号は1234です。カタカナ、ｶﾀｶﾅ、ＦＵＬＬ　width！",
    "user@example.org https://example.org/a_b?c=d#e +81-3-1234-5678 🙂👍🏽 Привет مرحبا",
)
_DRAWN, _LENGTH, _SEED = 200, 12, 0
"""Texts made of the tokenizer's own tokens besides: how many, and of how many tokens each."""


def asks_for_file(folder: Path) -> bool:
    """Whether tokenizer_config.json names the class that does what tokenizer.json says."""
    settings = folder / "tokenizer_config.json"
    if not (folder / FILE).is_file() or not settings.is_file():
        return False
    return read_json(settings).get("tokenizer_class") in _AS_FILE


def check_ids(folder: Path, tokenizer: Any) -> None:
    """Refuse a tokenizer whose class gives other ids than the file beside the model says.

    A class named in tokenizer_config.json may build its own rules in place of those in
    tokenizer.json; the model then reads other tokens than it was trained on.

    Raises:
        InputError: the ids of a text differ.
    """
    if not (folder / FILE).is_file():
        return
    from tokenizers import Tokenizer

    said = Tokenizer.from_file(str(folder / FILE))
    said.no_truncation()
    said.no_padding()
    size = said.get_vocab_size()
    rng = np.random.default_rng(_SEED)
    drawn = [said.decode(rng.integers(0, size, _LENGTH).tolist()) for _ in range(_DRAWN)]
    for text in (*_TEXTS, *drawn):
        theirs = said.encode(text, add_special_tokens=False).ids
        ours = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if list(ours) != list(theirs):
            raise InputError(
                f"{folder}: its tokenizer ({type(tokenizer).__name__}) gives other ids than {FILE} "
                f"says ({len(ours)} and {len(theirs)} tokens for {text[:20]!r}); if the model was "
                "trained with the ids of the file, set tokenizer_class to PreTrainedTokenizerFast "
                "in tokenizer_config.json, else save the tokenizer anew with save_pretrained"
            )
