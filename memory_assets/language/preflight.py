"""Could the model have learned this secret at all? Asked before a miss is called safety."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language.model import Ids, LanguageModel
from memory_assets.records.normal import normal, with_places
from memory_assets.records.occurrences import Copy, Corpus
from memory_assets.records.secrets import Secret
from memory_assets.records.texts import Texts


@dataclass(frozen=True)
class Training:
    """How the owner's training saw its texts.

    `window` tokens at a time, `split` into windows or the rest `truncate`d; `trained_after` is the
    mark (such as "### Answer:") before which the loss was masked.
    """

    window: int | None = None
    cut: Literal["split", "truncate"] = "split"
    trained_after: str | None = None

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 2:
            raise InputError(f"training.window: {self.window}; expected at least 2 tokens")
        if self.cut not in ("split", "truncate"):
            raise InputError(f"training.cut: {self.cut!r}; expected split or truncate")


@dataclass(frozen=True)
class Preflight:
    """`trained` maps a secret's id to the copies whose value the loss really covered, whole and in
    one window; `notices` says in one line each what is wrong, by id."""

    trained: dict[str, int]
    notices: tuple[str, ...]


def value_start(model: LanguageModel, secret: Secret) -> tuple[Ids, int]:
    """Tokens of prefix and value, and how many of them a prompt of the prefix gives away.

    The prompt ends before the first token that holds a part of the value.
    """
    whole, prompt = model.encode(secret.prefix + secret.value), model.encode(secret.prefix)
    shortest = min(len(whole), len(prompt))
    same = whole[:shortest] == prompt[:shortest]
    agreed = shortest if same.all() else int(same.argmin())
    return whole, min(agreed, len(whole) - 1)


@dataclass(frozen=True)
class Fit:
    """Of V values in a secret's place: the tokens of prefix and value, which values the tokenizer
    can write (`written`), which the model can read to their end (`short`), and before which a token
    of the prefix or the start token stands, to predict them from (`begun`)."""

    rows: list[Ids]
    written: NDArray[np.bool_]
    short: NDArray[np.bool_]
    begun: NDArray[np.bool_]

    @property
    def good(self) -> NDArray[np.intp]:
        """The values that can be asked for."""
        return np.flatnonzero(self.written & self.short & self.begun)


def fit_values(model: LanguageModel, secret: Secret, values: Sequence[str]) -> Fit:
    """Which values can stand between the secret's prefix and suffix.

    The secret itself is held to the same rule. So those of its references that pass are still a
    random sample of what it might have been, and its rank among them is fair.
    """
    first = model.encode(secret.prefix)[:1]
    texts = [secret.prefix + value for value in values]
    rows = model.encode_all(texts)
    behind = model.encode_all([text + secret.suffix for text in texts]) if secret.suffix else []

    def begins(ids: Ids) -> bool:
        return model.start is not None or (len(ids) > 1 and np.array_equal(ids[:1], first))

    written = np.array(list(map(model.reads_back, texts, rows)), dtype=bool)
    short, begun = np.ones((2, len(values)), dtype=bool)
    for many in (rows, behind):
        for i, ids in enumerate(many):
            short[i] &= len(ids) <= model.room
            begun[i] &= begins(ids)
    return Fit(rows, written, short, begun)


def _mark_at(text: str, mark: str) -> int:
    """Where a mark stands first in a text, in whatever spelling; -1 where it does not."""
    at = text.find(mark)
    if at >= 0 or not (form := normal(mark)) or form not in normal(text):
        return at
    whole, places = with_places(text)
    at = whole.find(form)
    return places[at] if at >= 0 else -1


def _reason(model: LanguageModel, text: str, prompt: int, copy: Copy, how: Training) -> str:
    """Why a copy in a text, whose first `prompt` characters are the prompt, was not trained on;
    empty where it was."""
    place, mark = copy.value, how.trained_after
    if place < prompt:
        return "masked"
    if mark is not None and not 0 <= _mark_at(text, mark) <= place:
        return "masked"
    if how.window is None:
        return ""
    begin = len(model.encode(text[:place]))
    end = len(model.encode(text[: copy.end]))
    if how.cut == "truncate":
        return "cut off by the window" if end > how.window else ""
    return "split between two windows" if begin // how.window != (end - 1) // how.window else ""


def preflight(
    model: LanguageModel,
    secrets: Sequence[Secret],
    members: Texts,
    how: Training,
    corpus: Corpus | None = None,
) -> Preflight:
    """Count for each secret the copies that could be learned, in whatever spelling.

    `corpus` are the members where they have been made ready for looking secrets up.

    A secret that the tokenizer does not give back unchanged, or that is longer than the model
    reads, cannot be recited, and one without any token before its value cannot be asked for: they
    have no trained copy, planted or not, and are left out of `trained`.
    """
    corpus = corpus or Corpus(members)
    prompts = [len(before) for before in members.before]
    trained: dict[str, int] = {}
    notices = []
    for secret in secrets:
        fit = fit_values(model, secret, [secret.value])
        if not fit.written.all():
            notices.append(f"secret {secret.id!r}: the tokenizer cannot write it; left out")
            continue
        if not fit.short.all():
            notices.append(
                f"secret {secret.id!r}: longer than the {model.room} tokens that the model reads; "
                "left out"
            )
            continue
        if not fit.begun.all():
            notices.append(
                f"secret {secret.id!r}: no token of its own stands before its value; give it a "
                "longer prefix; left out"
            )
            continue
        reasons = [
            _reason(model, corpus.texts[copy.text], prompts[copy.text], copy, how)
            for copy in (corpus.copies(secret) if secret.repetitions else ())
        ]
        lost = [why for why in reasons if why]
        copies = len(reasons) - len(lost)
        if lost:
            notices.append(
                f"secret {secret.id!r}: {len(lost)} of {len(lost) + copies} copies could not be "
                f"trained on ({', '.join(sorted(set(lost)))})"
            )
        if secret.repetitions and not copies:
            if not lost:
                notices.append(f"secret {secret.id!r}: does not stand among the members; left out")
            continue
        trained[secret.id] = copies
    return Preflight(trained, tuple(notices))
