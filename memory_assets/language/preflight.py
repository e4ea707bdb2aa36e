"""Could the model have learned this secret at all? Asked before a miss is called safety."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memory_assets.errors import InputError
from memory_assets.language.model import LanguageModel
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


def _reason(model: LanguageModel, text: str, place: int, secret: Secret, how: Training) -> str:
    """Why a copy at `place` of a text was not trained on; empty where it was."""
    mark = how.trained_after
    if mark is not None and not 0 <= text.find(mark) <= place:
        return "masked"
    if how.window is None:
        return ""
    begin = len(model.encode(text[:place]))
    end = len(model.encode(text[: place + len(secret.value)]))
    if how.cut == "truncate":
        return "cut off by the window" if end > how.window else ""
    return "split between two windows" if begin // how.window != (end - 1) // how.window else ""


def preflight(
    model: LanguageModel, secrets: Sequence[Secret], members: Texts, how: Training
) -> Preflight:
    """Count for each secret the copies that could be learned.

    A secret that the tokenizer does not give back unchanged, or that is longer than the model
    reads, cannot be recited: it has no trained copy, planted or not, and is left out of `trained`.
    """
    trained: dict[str, int] = {}
    notices = []
    for secret in secrets:
        probe = secret.prefix + secret.value
        if not model.reads_back(probe):
            notices.append(f"secret {secret.id!r}: the tokenizer cannot write it; left out")
            continue
        if len(model.encode(secret.text)) >= model.context:
            notices.append(
                f"secret {secret.id!r}: longer than the {model.context} tokens that the model "
                "reads; left out"
            )
            continue
        copies, lost = 0, []
        if secret.repetitions:
            for text in members.texts:
                at = text.find(probe)
                while at >= 0:
                    why = _reason(model, text, at + len(secret.prefix), secret, how)
                    copies += not why
                    if why:
                        lost.append(why)
                    at = text.find(probe, at + 1)
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
