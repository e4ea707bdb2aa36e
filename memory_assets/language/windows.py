"""From texts to what a model reads: windows of tokens that belong to documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language.model import Ids, LanguageModel
from memory_assets.language.signals import TokenSignals
from memory_assets.records.overlap import LEAST, Overlap, firsts, measure_overlap, none_of
from memory_assets.records.secrets import Secret
from memory_assets.records.texts import Texts

_SHOWN = 3


@dataclass(frozen=True)
class Windows:
    """The windows of some texts in order; `document` `[windows]` says which text each is cut from.

    Each is read on its own. Its first `lead` tokens are given only: a prompt, or tokens that the
    window before has scored. So a text's scored tokens are those of its windows, each once; every
    text has at least one. `start` is the place of a window in the text's own `tokens`, and probes
    begin after its first `after` tokens (-1: after a prefix).
    """

    texts: Texts
    sequences: tuple[Ids, ...]
    document: NDArray[np.int64]
    lead: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    start: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    after: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    tokens: tuple[Ids, ...] = ()

    def __post_init__(self) -> None:
        for name, unset in (("lead", 0), ("start", 0), ("after", -1)):
            if not getattr(self, name).size:
                object.__setattr__(self, name, np.full(len(self.sequences), unset, np.int64))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each window."""
        return np.array([len(ids) for ids in self.sequences], dtype=np.int64)

    @property
    def answers(self) -> NDArray[np.int64]:
        """Tokens of each text that are its own and not its prompt's, `[texts]`."""
        own = np.bincount(self.document, self.sizes - self.lead, minlength=len(self.texts))
        return own.astype(np.int64)

    def places(self, prefix: int, suffix: int, least: int) -> int:
        """Where a text may be asked to go on: all of `probed`, of whole texts."""
        if self.texts.prompts:
            asked = self.answers[self.answers >= least]
            return int((asked - np.minimum(asked, suffix) + 1).sum())
        return sum(max(0, len(ids) - prefix - suffix + 1) for ids in self.tokens)

    def by_text(self, signals: TokenSignals) -> TokenSignals:
        """The signals of the windows as those of whole texts."""
        lengths = np.bincount(self.document, weights=signals.lengths, minlength=len(self.texts))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return replace(signals, offsets=offsets)

    def probed(self, prefix: int, suffix: int, least: int) -> tuple[NDArray, NDArray, NDArray]:
        """Where each window is asked to go on: the tokens given before its first probe, the tokens
        that a probe must recite, and how many probes there are, one token after the other.

        A text is asked for `suffix` tokens after `prefix`; an answer for as many, or for all of a
        shorter one, from its beginning on; for one of fewer than `least` tokens not at all.
        """
        after = np.where(self.after < 0, prefix, self.after)
        asked = np.full(len(self.sequences), suffix, dtype=np.int64)
        if self.texts.prompts:
            # A piece that was cut otherwise holds an answer by itself.
            answers = self.answers[self.document] if self.tokens else self.sizes - self.lead
            asked = np.where(answers < least, np.iinfo(np.int32).max, np.minimum(suffix, answers))
        return after, asked, np.maximum(self.sizes - after - asked + 1, 0)


@dataclass(frozen=True)
class Sides:
    """Members and held-out texts that may be compared; `overlap` speaks of these members.

    `near_duplicates` of `held_out_before` held-out texts were left out, since they stand among the
    members; `held_out` is None where nothing is left.
    """

    members: Texts
    held_out: Texts | None
    repetitions: NDArray[np.int64]
    near_duplicates: int
    held_out_before: int
    notices: tuple[str, ...]


def name_some(ids: Iterable[str]) -> str:
    """The first ids of a list, and how many more there are."""
    names = list(ids)
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _sample(rows: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def choose_texts(
    members: Texts, held_out: Texts | None, secrets: tuple[Secret, ...], most: int, seed: int
) -> Sides:
    """De-duplicate both sides and draw at most `most` texts of each.

    Exact copies of a member count as its repetitions and are scored once. Planted lines are the
    secrets' own matter. Held-out texts that share half of their runs with members are left out.

    Raises:
        InputError: no member is left.
    """
    overlap: Overlap = measure_overlap(members, held_out)
    own = none_of(members.whole, [secret.text for secret in secrets])
    kept = np.flatnonzero(overlap.first & own)
    if not kept.size:
        raise InputError(f"{members.source}: nothing but planted secrets; give member texts too")
    notices = [*members.notices]
    if overlap.sampled < 1:
        notices.append(
            f"so much text that near-copies were looked for by {overlap.sampled:.2g} of the runs "
            f"of characters of each text (at least {LEAST} runs)"
        )
    copies = int((~overlap.first & own).sum())
    if copies:
        notices.append(f"members: {copies} exact copies are scored once, as repetitions")
    kept = _sample(kept, most, seed)
    chosen = None
    before = near = 0
    if held_out is not None:
        notices.extend(held_out.notices)
        first = firsts(held_out)
        before, near = int(first.sum()), int((first & overlap.near).sum())
        rows = np.flatnonzero(first & ~overlap.near)
        if near:
            names = name_some(held_out.ids[i] for i in np.flatnonzero(first & overlap.near))
            notices.append(f"held-out texts that stand among the members, left out: {names}")
        if rows.size:
            chosen = held_out.take(_sample(rows, most, seed + 1))
    return Sides(
        members.take(kept), chosen, overlap.repetitions[kept], near, before, tuple(notices)
    )


_Cut = tuple[int, int, int]
"""Of a window: where it starts, how many of its tokens are given only, and `Windows.after`."""


def _cut_text(tokens: int, window: int) -> list[_Cut]:
    return [(s, 0, -1) for s in range(0, tokens, window) if tokens - s >= 2]


def _cut_answer(tokens: int, prompt: int, window: int) -> list[_Cut]:
    """A prompt of `prompt` tokens with its answer. One that does not fit loses the beginning of its
    prompt, up to half a window; what the answer has left is read behind the half before it."""
    kept = min(prompt, max(window // 2, window - (tokens - prompt)))
    cuts = [(prompt - kept, kept, kept)]
    at = prompt - kept + window
    while at < tokens:
        cuts.append((at - window // 2, window // 2, -1))
        at += window - window // 2
    return cuts


def _prompt_tokens(model: LanguageModel, whole: Ids, prompt: Ids) -> int:
    """How many tokens of prompt and answer, read as one text, are the prompt's alone."""
    most = min(len(prompt), len(whole) - 1)
    same = whole[:most] == prompt[:most]
    agreed = most if same.all() else int(same.argmin())
    return max(agreed, 0 if model.start is not None else 1)


def cut_windows(
    model: LanguageModel, texts: Texts, window: int
) -> tuple[Windows | None, NDArray[np.intp], tuple[str, ...]]:
    """Cut texts into windows of at most `window` tokens.

    Returns the windows (None where no text has two tokens), the rows of the texts that have any,
    and what was left out.
    """
    tokens: list[Ids] = []
    cuts: list[list[_Cut]] = []
    rows: list[int] = []
    prompts = model.encode_all(list(texts.before)) if texts.prompts else None
    for i, ids in enumerate(model.encode_all(list(texts.whole))):
        if len(ids) < 2:
            continue
        tokens.append(ids)
        if prompts is None:
            cuts.append(_cut_text(len(ids), window))
        else:
            given = _prompt_tokens(model, ids, prompts[i])
            cuts.append(_cut_answer(len(ids), given, window))
        rows.append(i)
    short = sorted(set(range(len(texts))) - set(rows))
    notices = (
        (f"texts of fewer than two tokens, left out: {name_some(texts.ids[i] for i in short)}",)
        if short
        else ()
    )
    kept = np.array(rows, dtype=np.intp)
    if not rows:
        return None, kept, notices
    start, lead, after = np.array([cut for each in cuts for cut in each], np.int64).T
    document = np.repeat(np.arange(len(rows)), [len(each) for each in cuts])
    sequences = tuple(tokens[i][s : s + window] for i, s in zip(document, start, strict=True))
    found = Windows(texts.take(kept), sequences, document, lead, start, after, tokens=tuple(tokens))
    return found, kept, notices


def cut_seams(
    windows: Windows, window: int, prefix: int, suffix: int, stride: int
) -> Windows | None:
    """What no window shows whole: passages over the border of two, and in the tail of a text.

    Pieces of the same texts that are read for probes alone. With them every place of a text that
    has `prefix` tokens before it and `suffix` from it on is probed; where a piece of `window`
    tokens has room for few probes, at least every `stride`-th. None where there is no such place.
    """
    room = window - prefix - suffix + 1  # probes of one piece
    found: list[tuple[int, int, Ids]] = []
    if room < 1 or windows.texts.prompts:
        return None
    for text, ids in enumerate(windows.tokens):
        for border in range(window, len(ids), window):
            first = max(prefix, border - suffix + 1)
            last = min(len(ids) - suffix, border + prefix - 1)
            for place in range(first, last + 1, max(room, stride)):
                stop = min(place + room - 1, last) + suffix
                found.append((text, place - prefix, ids[place - prefix : stop]))
    if not found:
        return None
    document, start, pieces = zip(*found, strict=True)
    return Windows(windows.texts, pieces, np.array(document), start=np.array(start))


def cut_otherwise(model: LanguageModel, windows: Windows, window: int) -> Windows | None:
    """Answers as other trainers part them from their prompts; read for probes alone.

    Where a token would hold the end of a prompt and the beginning of its answer, some encode the
    two one by one, and some leave out of the loss as many tokens as the prompt alone has; and what
    stands before the answer may be another text (`Texts.also`). None where all ways give the same
    tokens.
    """
    if not windows.texts.prompts:
        return None
    found: list[tuple[int, int, Ids]] = []
    prompts = model.encode_all(list(windows.texts.before))
    answers = model.encode_all(list(windows.texts.texts))
    given = np.array([len(ids) for ids in windows.tokens]) - windows.answers
    for text, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        whole, size = windows.tokens[text], len(prompt)
        for ids in (np.concatenate([prompt, answer]), whole):
            usual = size == given[text] and np.array_equal(ids, whole)
            kept = min(size, window - (len(ids) - size))
            if not usual and kept > 0 and size < len(ids):
                found.append((text, kept, ids[size - kept :]))
    for way in windows.texts.also:
        befores = model.encode_all(list(way))
        wholes = model.encode_all([a + b for a, b in zip(way, windows.texts.texts, strict=True)])
        for text, (before, whole) in enumerate(zip(befores, wholes, strict=True)):
            apart = np.concatenate([before, answers[text]])
            ways = {tuple(apart): len(before), tuple(whole): _prompt_tokens(model, whole, before)}
            for tokens, size in ways.items():
                ids = np.array(tokens, dtype=np.int64)
                kept = min(size, window - (len(ids) - size))
                if kept > 0 and size < len(ids):
                    found.append((text, kept, ids[size - kept :]))
    if not found:
        return None
    document, lead, pieces = zip(*found, strict=True)
    before = np.array(lead, np.int64)
    return Windows(windows.texts, pieces, np.array(document), lead=before, after=before)


def not_probed(windows: Windows, prefix: int, suffix: int, least: int) -> list[str]:
    """One line about the texts that are too short for a probe; none if there are none."""
    asked = windows.probed(prefix, suffix, least)[2] > 0
    long = set(windows.document[asked].tolist())
    short = [name for i, name in enumerate(windows.texts.ids) if i not in long]
    if not short:
        return []
    what = f"texts shorter than prefix plus suffix ({prefix + suffix} tokens)"
    if windows.texts.prompts:
        what = f"answers of fewer than {least} tokens"
    return [f"{what}, not probed for extraction: {name_some(short)}"]
