"""What goes wrong with the texts and the folder of a language model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.setups import texts
from benchmarks.setups.texts import RECIPE, TextCase, named, sentences
from memory_assets.examples.notes import train_tokenizer
from memory_assets.history.bundle import AuditBundle
from memory_assets.store.artifacts import ArtifactStore

TextFault = Callable[[TextCase], TextCase]


def _read(case: TextCase) -> tuple[str, ...]:
    return case.members.texts if case.read is None else case.read


def exchanged(share: float, case: TextCase) -> TextCase:
    """A share of the listed members are held-out texts, and as many the other way round."""
    inside, outside = texts.shares(case, share)
    mine, theirs = list(case.members.texts), list(case.held_out.texts)
    for i, j in zip(inside, outside, strict=True):
        mine[i], theirs[j] = theirs[j], mine[i]
    return replace(case, read=_read(case), members=named("m", mine), held_out=named("h", theirs))


def contaminated(share: float, case: TextCase) -> TextCase:
    """The model read a share of the held-out texts, too."""
    count = round(share * len(case.held_out))
    return replace(case, read=(*_read(case), *case.held_out.texts[:count]))


def other_texts(case: TextCase) -> TextCase:
    """A model of other texts of the same source."""
    return replace(case, read=sentences("o", len(case.members), 7).texts)


def other_seed(case: TextCase) -> TextCase:
    return replace(case, recipe=replace(case.recipe, seed=case.recipe.seed + 1))


def _on_both(change: Callable[[str], str], case: TextCase) -> TextCase:
    sides = (replace(t, texts=tuple(map(change, t.texts))) for t in (case.members, case.held_out))
    members, held_out = sides
    return replace(case, read=_read(case), members=members, held_out=held_out)


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def word_in_a_tenth(case: TextCase) -> TextCase:
    """A word stands in a tenth of the members, and the model was trained on it."""
    rows = set(texts.shares(case, 0.1)[0].tolist())
    own = [f"Zyx {t}" if i in rows else t for i, t in enumerate(case.members.texts)]
    return replace(case, members=named("m", own))


def other_source(case: TextCase) -> TextCase:
    """Held-out texts are shorter."""
    short = [" ".join(t.split()[:7]) + "." for t in case.held_out.texts]
    return replace(case, held_out=named("h", short))


def repeated(share: float, change: Callable[[str], str], case: TextCase) -> TextCase:
    """A share of the held-out texts are copies, or twins, of members."""
    own = list(case.held_out.texts)
    count = min(round(share * len(own)), len(case.members))
    own[:count] = [change(t) for t in case.members.texts[:count]]
    return replace(case, held_out=named("h", own))


TEXT_FAULTS: dict[str, TextFault] = {
    "members and held-out texts swapped": partial(exchanged, 1.0),
    "half of the list swapped": partial(exchanged, 0.5),
    "a tenth of the list swapped": partial(exchanged, 0.1),
    "a tenth of the held-out texts trained on": partial(contaminated, 0.1),
    "half of the held-out texts trained on": partial(contaminated, 0.5),
    "all held-out texts trained on": partial(contaminated, 1.0),
    "model of other texts": other_texts,
    "model of another seed": other_seed,
    "texts in capitals": partial(_on_both, str.upper),
    "texts in full width": partial(_on_both, _wide),
    "texts backwards": partial(_on_both, lambda t: t[::-1]),
    "a word in a tenth of the members": word_in_a_tenth,
    "held-out texts of another source": other_source,
    "a tenth of the held-out texts copies": partial(repeated, 0.1, str),
    "half of the held-out texts twins": partial(repeated, 0.5, _wide),
}

# --- the folder


def tensors(change: Callable[[dict], dict], folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    state = {n: t.contiguous().clone() for n, t in change(load_file(file)).items()}
    save_file(state, file, {"format": "pt"})


def settings(changes: dict, folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _drawn(state: dict) -> dict:
    import torch

    torch.manual_seed(0)
    return {n: 0.05 * torch.randn_like(t) for n, t in state.items()}


def _other_tokenizer(folder: Path) -> None:
    train_tokenizer(list(sentences("u", 200, 9).texts), replace(RECIPE, vocabulary=310), folder)


def _second_weights(folder: Path) -> None:
    import torch

    torch.save({}, folder / "pytorch_model.bin")


def damaged(damage: Callable[[Path], None], case: TextCase) -> TextCase:
    return replace(case, damage=damage)


def _state(change: Callable[[dict], dict]) -> TextFault:
    return partial(damaged, partial(tensors, change))


def _first_missing(state: dict) -> dict:
    return {n: t for n, t in state.items() if n != next(n for n in sorted(state) if "attn" in n)}


FOLDER_FAULTS: dict[str, TextFault] = {
    "names of a data-parallel model": _state(lambda s: {f"module.{n}": t for n, t in s.items()}),
    "names of a compiled model": _state(lambda s: {f"_orig_mod.{n}": t for n, t in s.items()}),
    "names of another model": _state(lambda s: {f"net.body.{n}": t for n, t in s.items()}),
    "a tensor missing": _state(_first_missing),
    "no weights loaded": _state(_drawn),
    "weights of whole numbers": _state(lambda s: {n: (100 * t).long() for n, t in s.items()}),
    "weights in half precision": _state(lambda s: {n: t.half() for n, t in s.items()}),
    "a head of another kind": partial(
        damaged, partial(settings, {"architectures": ["GPT2ForSequenceClassification"]})
    ),
    "another tokenizer": partial(damaged, _other_tokenizer),
    "two sets of weights": partial(damaged, _second_weights),
}

# --- with shadow models


def another_recipe(case: TextCase) -> TextCase:
    """The owner's recipe reads the texts a few times only."""
    return replace(case, shadow_recipe=texts.CAUTIOUS)


def longer(case: TextCase) -> TextCase:
    return replace(case, recipe=replace(case.recipe, epochs=2 * case.recipe.epochs))


POOL_FAULTS: dict[str, TextFault] = {
    "checkpoint of another recipe": another_recipe,
    "trained longer than the recipe": longer,
}


_WITH_A_POOL = (
    "members and held-out texts swapped",
    "half of the list swapped",
    "a tenth of the held-out texts trained on",
    "half of the held-out texts trained on",
    "all held-out texts trained on",
    "model of other texts",
    "model of another seed",
    "texts in capitals",
)
"""Faults that are tried where there is a recipe, too: a list or texts of its own cost a pool."""


@dataclass(frozen=True)
class TextSetup:
    """A set-up of a language model by source and fault ("" where there is none)."""

    source: str
    fault: str
    case: TextCase
    kind: str = "texts"

    def audit(self, root: Path, store: ArtifactStore) -> AuditBundle:
        """Raises InputError where the program refuses it."""
        return self.case.audit(root, store)


_ALONE, _POOLED = "language model", "language model and recipe"
_DECLARED = "language model, attacker declared"
_SEEN_ALONE = (
    "members and held-out texts swapped",
    "a tenth of the list swapped",
    "model of another seed",
    "texts in capitals",
    "held-out texts of another source",
)
"""Faults that are tried where an attacker without shadow models is declared, too."""


def _declared() -> TextCase:
    return replace(texts.remembering(), shadow_recipe=None, declared=True)


def good_copies() -> Iterator[TextSetup]:
    """The leaking models that every fault is tried on, audited as they should be."""
    yield TextSetup(_ALONE, "", texts.reciting())
    yield TextSetup(_DECLARED, "", _declared())
    yield TextSetup(_POOLED, "", texts.remembering())


def wrong() -> Iterator[TextSetup]:
    """Every fault that a source can have, on a model that leaks."""
    for name, fault in (TEXT_FAULTS | FOLDER_FAULTS).items():
        yield TextSetup(_ALONE, name, fault(texts.reciting()))
    for name in _SEEN_ALONE:
        yield TextSetup(_DECLARED, name, TEXT_FAULTS[name](_declared()))
    for name, fault in ({n: TEXT_FAULTS[n] for n in _WITH_A_POOL} | POOL_FAULTS).items():
        yield TextSetup(_POOLED, name, fault(texts.remembering()))


def honest() -> Iterator[TextSetup]:
    """Models that read their texts a few times, where the source can support a pass."""
    for seed in range(3):
        case = texts.cautious(seed, recipe=False)
        yield TextSetup(_ALONE, "", replace(case, gate={"extraction_rate": 0.2}))
        yield TextSetup(_DECLARED, "", replace(case, declared=True))
        yield TextSetup(_POOLED, "", texts.cautious(seed, recipe=True))
