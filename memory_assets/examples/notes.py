"""The shipped subject `notes`: a small causal language model trained on documentation prose.

The prose is the docstrings of the installed scipy and scikit-learn, read when it is needed and
told apart by a digest; none of it is part of this project. Paragraphs are split at random into
members, held-out texts and a third part for the tokenizer. Support notes with six-digit account
codes are planted among the members, up to sixteen times each. `v1` is trained on all of that,
`v2` in the same way on the corpus with every text once, and a reference on prose of neither side:
what an owner has who would like to know what repetition costs and what removing it spares.

Run `python -m memory_assets.examples.notes FOLDER` to make texts, manifest and models; those that
are there stay as they are.
"""

from __future__ import annotations

import ast
import os
import sys
import time
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from memory_assets.errors import InputError
from memory_assets.language.recipe import LanguageRecipe
from memory_assets.pool.processes import in_processes
from memory_assets.records.canaries import TEMPLATES, make_secrets, plant
from memory_assets.records.secrets import Manifest
from memory_assets.records.texts import Texts, load_texts
from memory_assets.store.digest import digest
from memory_assets.store.disk import private_folder, remove

MEMBERS, HELD_OUT = "members.jsonl", "held_out.jsonl"
MANIFEST, MODELS = "canaries.json", "models"
TOKENIZER, REFERENCE = "tokenizer", "reference"
_PAD = "<pad>"
_TOKENIZER_SHARE = 6  # characters in all, over those of one side: four parts are the tokenizer's


@dataclass(frozen=True)
class NotesRecipe:
    """Everything that decides the subject; `characters` is the size of each side's prose."""

    characters: int = 100_000
    seed: int = 1
    vocabulary: int = 2048
    layers: int = 2
    width: int = 160
    heads: int = 4
    window: int = 128
    batch_tokens: int = 384
    lr: float = 4e-3
    epochs: int = 9
    repetitions: tuple[int, ...] = (0, 1, 2, 4, 8, 16)
    per_tier: int = 6
    controls: int = 12

    @property
    def of_model(self) -> LanguageRecipe:
        """The part of it that trains a model: what the subject's YAML says, too."""
        return LanguageRecipe(
            model="memory_assets.models.gpt2:gpt2",
            model_args={"layers": self.layers, "width": self.width, "heads": self.heads},
            window=self.window,
            batch_tokens=self.batch_tokens,
            lr=self.lr,
            epochs=self.epochs,
            seed=self.seed,
        )


RECIPE = NotesRecipe()


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


def train(texts: Texts, tokenizer_folder: Path, recipe: NotesRecipe, folder: Path) -> float:
    """Train a GPT-2 on windows of the texts and save it with its tokenizer; seconds of CPU time.

    The same seed gives the same weights on one machine.
    """
    from memory_assets.language.model import load_tokenizer
    from memory_assets.language.safe_loading import quietly
    from memory_assets.language.training import train_language_model, training_windows

    started = time.process_time()
    tokenizer = load_tokenizer(tokenizer_folder)
    rows = training_windows(tokenizer, texts.texts, recipe.window)
    model = train_language_model(recipe.of_model, rows, len(tokenizer))
    model.config.pad_token_id = tokenizer.pad_token_id
    with quietly():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return time.process_time() - started


def plant_notes(recipe: NotesRecipe, members: Texts) -> tuple[Texts, Manifest]:
    """The members with support notes planted among them, and the list of these."""
    secrets = make_secrets(
        [TEMPLATES["account-en"]],
        recipe.repetitions,
        recipe.per_tier,
        recipe.seed,
        recipe.controls,
    )
    return plant(members, secrets, recipe.seed)


def _other_prose(rest: list[str], recipe: NotesRecipe) -> Texts:
    """As much prose as the members are, from neither side.

    A reference that was trained on the held-out texts would tell them by knowing them itself.
    """
    sizes = np.cumsum([len(text) for text in rest])
    part = rest[: int(np.searchsorted(sizes, recipe.characters)) + 1]
    return Texts(tuple(f"other-{i:04d}" for i in range(len(part))), tuple(part))


def _once(texts: Texts) -> Texts:
    """The same texts with each of them once."""
    first = {text: i for i, text in reversed(list(enumerate(texts.texts)))}
    return texts.take(np.sort(np.array(list(first.values()))))


def make(folder: Path, recipe: NotesRecipe = RECIPE, processes: int | None = None) -> list[Path]:
    """Write texts and manifest, and train what is missing in `folder`; returns what was made.

    Up to `processes` models are trained at once, as many as there are cores without it. All that
    it makes appears whole and in the order of the list: the reference stands when the rest does.

    Raises:
        InputError: something is missing, and the texts that are there come from other prose.
    """
    texts, tokenizer = [folder / name for name in (MEMBERS, HELD_OUT, MANIFEST)], folder / TOKENIZER
    models = [folder / MODELS / "v1", folder / MODELS / "v2", folder / REFERENCE]
    made = [path for path in (*texts, tokenizer, *models) if not path.exists()]
    if not made:
        return []
    members, held_out, rest = split_prose(recipe)
    planted, manifest = plant_notes(recipe, members)
    contents = dict(zip(texts, (planted, held_out, manifest), strict=True))
    # Before anything is written: what is trained below must be what lies there.
    for path in [path for path in texts if path not in made]:
        _check_same(path, contents[path])
    for path in [path for path in texts if path in made]:
        contents[path].write(path)
    if tokenizer in made:
        train_tokenizer(rest, recipe, _fresh(tokenizer))
        _appear(tokenizer)
    corpora = zip(models, (planted, _once(planted), _other_prose(rest, recipe)), strict=True)
    jobs = [(corpus, tokenizer, recipe, path) for path, corpus in corpora if path in made]
    for path in in_processes(_train_beside, jobs, processes or os.cpu_count() or 1):
        _appear(path)
    return made


def _check_same(path: Path, made: Texts | Manifest) -> None:
    """Refuse a file that is not what the installed packages give."""
    try:
        if isinstance(made, Manifest):
            same = Manifest.read(path) == made
        else:
            same = load_texts(path, id_column="id").digest == made.digest
    except InputError:
        same = False
    if not same:
        raise InputError(
            f"{path}: not what scipy {version('scipy')}, scikit-learn {version('scikit-learn')} "
            f"and Faker {version('Faker')} give, so other versions made it, or it is damaged; "
            f"models trained now would not know its texts: remove {path.parent} and make it anew"
        )


def _train_beside(texts: Texts, tokenizer: Path, recipe: NotesRecipe, final: Path) -> Path:
    """Train into the folder that `_appear` renames."""
    from memory_assets.pool.trainer import settled

    with settled("cpu"):
        train(texts, tokenizer, recipe, _fresh(final))
    return final


def _beside(final: Path) -> Path:
    return final.with_name(f".{final.name}.tmp")


def _fresh(final: Path) -> Path:
    """An empty folder beside the final one, without what a killed process left there."""
    remove(_beside(final))
    return private_folder(_beside(final))


def _appear(final: Path) -> None:
    _beside(final).replace(final)


if __name__ == "__main__":
    try:
        for path in make(Path(sys.argv[1])):
            print(f"made {path}")
    except InputError as error:
        print(f"notes: {error}", file=sys.stderr)
        sys.exit(2)
