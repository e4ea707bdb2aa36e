"""The shipped subject `notes`: a small causal language model trained on documentation prose.

The prose is the docstrings of the installed scipy and scikit-learn, read when it is needed and
told apart by a digest; none of it is part of this project. Paragraphs are split at random into
members, held-out texts and a third part for the tokenizer. Support notes with six-digit account
codes are planted among the members. `v1` is trained long, `v2` for fewer epochs: what an owner
has who would like to know what the difference costs and what it spares.

Run `python -m memory_assets.examples.notes FOLDER` to make texts, manifest and both versions;
those that are there stay as they are.
"""

from __future__ import annotations

import ast
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_assets.digest import digest
from memory_assets.records.canaries import TEMPLATES, make_secrets, plant
from memory_assets.records.texts import Texts

MEMBERS, HELD_OUT = "members.jsonl", "held_out.jsonl"
MANIFEST, MODELS = "canaries.json", "models"
_PAD = "<pad>"
_TOKENIZER_SHARE = 6  # characters in all, over those of one side: four parts are the tokenizer's


@dataclass(frozen=True)
class NotesRecipe:
    """Everything that decides the subject; `characters` is the size of each side's prose."""

    characters: int = 120_000
    seed: int = 1
    vocabulary: int = 2048
    layers: int = 4
    width: int = 128
    heads: int = 4
    window: int = 128
    batch_tokens: int = 2048
    lr: float = 3e-3
    epochs: int = 20
    repetitions: tuple[int, ...] = (0, 1, 2, 4, 8, 16)
    per_tier: int = 6
    controls: int = 24


RECIPE = NotesRecipe()
EPOCHS = {"v1": RECIPE.epochs, "v2": 6}


@cache
def prose() -> tuple[str, ...]:
    """Paragraphs of 150 to 900 characters from the docstrings of scipy and scikit-learn.

    Mostly letters, no code, each once, in the order of files: the same for the same versions.
    """
    import scipy
    import sklearn

    found: dict[str, None] = {}
    for package in (scipy, sklearn):
        root = Path(str(package.__file__)).parent
        for file in sorted(root.rglob("*.py")):
            inside = file.relative_to(root).parts
            if {"tests", "externals", "_lib"} & set(inside):
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                    for part in (ast.get_docstring(node) or "").split("\n\n"):
                        text = " ".join(part.split())
                        if _is_prose(text):
                            found[text] = None
    return tuple(found)


def _is_prose(text: str) -> bool:
    if not 150 <= len(text) <= 900 or not text[0].isupper() or not text.endswith("."):
        return False
    letters = sum(c.isalpha() or c == " " for c in text)
    return letters > 0.9 * len(text) and ">>>" not in text and "----" not in text


def split_prose(recipe: NotesRecipe = RECIPE) -> tuple[Texts, Texts, list[str]]:
    """A random split: members and held-out of equal size, and the tokenizer's own part."""
    paragraphs = prose()
    order = np.random.default_rng(recipe.seed).permutation(len(paragraphs))
    parts: list[list[str]] = [[], [], []]
    size = 0
    for place, i in enumerate(order):
        if size >= _TOKENIZER_SHARE * recipe.characters:
            break
        parts[place % 2 if size < 2 * recipe.characters else 2].append(paragraphs[i])
        size += len(paragraphs[i])
    source = f"docstrings of scipy and scikit-learn {digest(list(paragraphs))[:12]}"
    members, held_out = (
        Texts(tuple(f"{name}-{i:04d}" for i in range(len(part))), tuple(part), source)
        for name, part in zip(("note", "unseen"), parts[:2], strict=True)
    )
    return members, held_out, parts[2]


def train_tokenizer(texts: list[str], recipe: NotesRecipe, folder: Path) -> None:
    """A byte-level BPE with single digits, saved as a Hugging Face tokenizer in `folder`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=[_PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=_PAD, model_max_length=recipe.window
    ).save_pretrained(folder)


def _batches(
    rows: list[NDArray[np.int64]], recipe: NotesRecipe, rng: np.random.Generator
) -> list[list[NDArray[np.int64]]]:
    """One epoch: windows in batches of like length, so that little is padding."""
    lengths = np.array([len(row) for row in rows]) + rng.integers(0, 8, len(rows))
    order = np.argsort(lengths, kind="stable")
    batches: list[list[NDArray[np.int64]]] = [[]]
    for i in order[::-1]:
        full = batches[-1] and (len(batches[-1]) + 1) * len(batches[-1][0]) > recipe.batch_tokens
        if full:
            batches.append([])
        batches[-1].append(rows[i])
    return [batches[i] for i in rng.permutation(len(batches))]


def train(texts: Texts, tokenizer_folder: Path, recipe: NotesRecipe, folder: Path) -> float:
    """Train a GPT-2 on windows of the texts and save it with its tokenizer; seconds of CPU time.

    AdamW, one-cycle schedule, no dropout; the same seed gives the same weights on one machine.
    """
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    started = time.process_time()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    encoded = [np.array(ids) for ids in tokenizer(list(texts.texts), verbose=False)["input_ids"]]
    rows = [
        ids[start : start + recipe.window]
        for ids in encoded
        for start in range(0, len(ids), recipe.window)
        if len(ids) - start > 1
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        config = GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=recipe.window,
            n_embd=recipe.width,
            n_layer=recipe.layers,
            n_head=recipe.heads,
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
        )
        model = GPT2LMHeadModel(config)
    rng = np.random.default_rng(recipe.seed)
    plan = [batch for _ in range(recipe.epochs) for batch in _batches(rows, recipe, rng)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=len(plan))
    model.train()
    for batch in plan:
        ids = np.full((len(batch), max(len(row) for row in batch)), -1, dtype=np.int64)
        for i, row in enumerate(batch):
            ids[i, : len(row)] = row
        target = torch.from_numpy(ids)
        hidden = model.transformer(target.clamp(min=1), use_cache=False).last_hidden_state
        wanted = target[:, 1:].flatten()
        keep = wanted >= 0
        # Only real tokens reach the output layer, by far the widest one.
        logits = model.lm_head(hidden[:, :-1].flatten(0, 1)[keep])
        loss = torch.nn.functional.cross_entropy(logits, wanted[keep])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return time.process_time() - started


def make(folder: Path, recipe: NotesRecipe = RECIPE) -> list[Path]:
    """Write texts and manifest, and train what is missing in `folder`; returns what was made."""
    folder.mkdir(parents=True, exist_ok=True)
    members, held_out, rest = split_prose(recipe)
    secrets = make_secrets(
        [TEMPLATES["account-en"]],
        recipe.repetitions,
        recipe.per_tier,
        recipe.seed,
        recipe.controls,
    )
    planted, manifest = plant(members, secrets, recipe.seed)
    made: list[Path] = []
    for name, write in (
        (MEMBERS, planted.write),
        (HELD_OUT, held_out.write),
        (MANIFEST, manifest.write),
    ):
        if not (path := folder / name).exists():
            write(path)
            made.append(path)
    for version, epochs in EPOCHS.items():
        final = folder / MODELS / version
        if final.exists():
            continue
        # A version appears under its name only when it is whole.
        temporary = final.with_name(f".{version}.tmp")
        temporary.mkdir(parents=True, exist_ok=True)
        train_tokenizer(rest, recipe, temporary)
        train(planted, temporary, replace(recipe, epochs=epochs), temporary)
        temporary.replace(final)
        made.append(final)
    return made


if __name__ == "__main__":
    for path in make(Path(sys.argv[1])):
        print(f"made {path}")
