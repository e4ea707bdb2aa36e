"""What a model gives away of texts: membership scores, extraction, unintended memorization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.language import extraction, scores
from memory_assets.language.model import Ids, LanguageModel
from memory_assets.language.options import LanguageOptions
from memory_assets.language.progress import part
from memory_assets.language.scores import Compared
from memory_assets.language.signals import Progress, Sampling, TokenSignals, token_signals
from memory_assets.language.windows import Windows
from memory_assets.results.estimate import Estimate, Measurement
from memory_assets.results.formulas import EXTRACTION, NEAR_TIES, NEAR_VERBATIM, UNINTENDED
from memory_assets.results.metrics import NOMINAL_FPR
from memory_assets.statistics.intervals import rate, skewed_mean_interval
from memory_assets.statistics.roc import Roc
from memory_assets.statistics.summary import summarize

Floats = NDArray[np.float64]
FAMILY = "membership"
_SHOT = 64
"""Tokens of held-out text that ReCaLL puts before each text, at most a quarter of the context."""


@dataclass(frozen=True)
class Probes:
    """Extraction of one side: the texts long enough (`texts`, rows), what was drawn from each at
    any of its places, the largest share of suffix tokens that greedy decoding gets right, and
    whether a near tie decided. `tried` counts the places, of the `places` that there are; `best`
    holds, by text, the tokens given and asked for where most was recited, and how many of them are
    given."""

    texts: NDArray[np.intp]
    greedy: NDArray[np.bool_]
    sampled: NDArray[np.bool_]
    recited: Floats
    near_tie: NDArray[np.bool_]
    tried: int = 0
    places: int = 0
    best: tuple[tuple[Ids, int], ...] = ()


@dataclass(frozen=True)
class Side:
    """One side of the comparison: its windows and what the model said of their scored tokens;
    `read` holds all that it said, of pieces that were read for probes alone too."""

    windows: Windows
    by_window: TokenSignals
    by_text: TokenSignals
    read: tuple[tuple[Windows, TokenSignals], ...] = ()

    def __len__(self) -> int:
        return len(self.windows.texts)


def read_side(
    model: LanguageModel,
    windows: Windows,
    sampling: Sampling,
    progress: Progress | None = None,
    more: Windows | None = None,
) -> Side:
    """One teacher-forced pass over the windows, and one over `more` pieces for probes alone."""
    done, rest = (int(w.sizes.sum()) if w is not None else 0 for w in (windows, more))

    def heard(before: int) -> Progress:
        def report(read: int, _: int) -> None:
            if progress is not None:
                progress(before + read, done + rest)

        return report

    told = token_signals(model, windows.sequences, sampling=sampling, progress=heard(0))
    read = [(windows, told)]
    if more is not None:
        # Apart: in batches with others the same windows would give other last bits.
        further = token_signals(model, more.sequences, sampling=sampling, progress=heard(done))
        read.append((more, further))
    own = told.behind(windows.lead)
    return Side(windows, own, windows.by_text(own), tuple(read))


@dataclass(frozen=True)
class _Places:
    """Where one reading is asked to go on, `[N]` probes: the text, its window there, the token of
    the window that comes first in the suffix, the suffix's tokens, and its place in the signals."""

    text: NDArray[np.int64]
    window: NDArray[np.int64]
    token: NDArray[np.int64]
    suffix: NDArray[np.int64]
    place: NDArray[np.int64]


def _places(windows: Windows, signals: TokenSignals, options: LanguageOptions) -> _Places:
    after, suffix, count = windows.probed(options.prefix, options.suffix, options.least_answer)
    window = np.repeat(np.arange(len(count)), count)
    place = extraction.probe_places(signals, after, count)
    token = place - signals.offsets[window] + signals.first
    return _Places(windows.document[window], window, token, suffix[window], place)


def probe_texts(side: Side, options: LanguageOptions) -> Probes:
    """Extraction at every place of every text; a text counts once, if it gives at any of them."""
    places = [_places(windows, signals, options) for windows, signals in side.read]
    reads = [
        extraction.read_extraction(signals, at.place, at.suffix)
        for (_, signals), at in zip(side.read, places, strict=True)
    ]
    text = np.concatenate([at.text for at in places])
    greedy, near, log_p, recited = (
        np.concatenate([getattr(read, name) for read in reads])
        for name in ("greedy", "near_tie", "log_p", "recited")
    )
    sampled = extraction.np_extractable(log_p, options.tries, options.probability)
    texts = np.unique(text)
    order = np.lexsort((log_p, recited, text))
    best = order[np.searchsorted(text[order], texts, side="right") - 1]
    return Probes(
        texts=texts,
        greedy=np.isin(texts, text[greedy]),
        sampled=np.isin(texts, text[sampled]),
        recited=recited[best],
        near_tie=np.isin(texts, text[near]) & ~np.isin(texts, text[greedy & ~near]),
        tried=_tried(side, places),
        places=side.windows.places(options.prefix, options.suffix, options.least_answer),
        best=_asked(side, places, best, options.prefix),
    )


def _tried(side: Side, places: Sequence[_Places]) -> int:
    """Different places of the texts; an answer in other tokens has none of its own."""
    parts = list(zip(side.read, places, strict=True))[: 1 if side.windows.texts.prompts else None]
    pairs = [(at.text, windows.start[at.window] + at.token) for (windows, _), at in parts]
    return len(np.unique(np.concatenate([np.stack(pair, axis=1) for pair in pairs]), axis=0))


def _asked(
    side: Side, places: Sequence[_Places], chosen: NDArray[np.intp], prefix: int
) -> tuple[tuple[Ids, int], ...]:
    """The tokens of some probes, and how many of them are given: `prefix`, or the prompt."""
    ends = np.cumsum([len(at.text) for at in places])
    found = []
    for probe in chosen:
        part = int(np.searchsorted(ends, probe, side="right"))
        at, i = places[part], probe - (ends[part] - len(places[part].text))
        ids, token = side.read[part][0].sequences[at.window[i]], int(at.token[i])
        given = token if side.windows.texts.prompts else prefix
        found.append((ids[token - given : token + at.suffix[i]], given))
    return tuple(found)


def membership_scores(
    side: Side, compared: Compared | None = None, conditioned: Floats | None = None
) -> dict[str, Floats]:
    """Every score by name, `[texts]`; those whose inputs are missing are left out, and NaN stands
    for a text that a score does not know."""
    found = {
        "loss": scores.loss(side.by_text),
        "min_k": scores.min_k(side.by_text),
        "min_k_plus_plus": scores.min_k_plus_plus(side.by_text),
        "zlib": scores.zlib(side.by_text, side.windows.texts.texts),
    }
    if compared is not None:
        found["reference"] = scores.reference(compared)
    if conditioned is not None:
        found["recall"] = conditioned
    return found


def recall_scores(
    model: LanguageModel, side: Side, shot: NDArray[np.int64], progress: Progress | None = None
) -> Floats:
    """ReCaLL on the first window of each text, cut so that prefix and text fit the context."""
    room = model.context - len(shot) - (model.start is not None)
    first_windows = np.unique(side.windows.document, return_index=True)[1]
    lead = side.windows.lead[first_windows]
    # What does not fit goes: of an answer the beginning of its prompt, else the end.
    surplus = np.maximum(side.windows.sizes[first_windows] - room, 0)
    cut = np.minimum(surplus, np.maximum(lead - 1, 0))
    heads = [side.windows.sequences[i][c:][:room] for i, c in zip(first_windows, cut, strict=True)]
    told = room - np.maximum(lead - cut, side.by_window.first)
    alone = side.by_window.take(first_windows, told)
    behind = token_signals(model, [np.concatenate([shot, h]) for h in heads], progress=progress)
    conditioned = [
        behind.log_p[stop - n : stop].sum(dtype=np.float64)
        for stop, n in zip(behind.offsets[1:], alone.lengths, strict=True)
    ]
    return scores.recall(alone, np.array(conditioned))


def recall_shot(model: LanguageModel, side: Side) -> tuple[NDArray[np.int64], int]:
    """The non-member prefix, and the text it is taken from (which is then no control any more)."""
    lengths = np.bincount(
        side.windows.document, weights=[len(ids) for ids in side.windows.sequences]
    )
    row = int(lengths.argmax())
    window = int((side.windows.document == row).argmax())
    return side.windows.sequences[window][: max(1, min(_SHOT, model.context // 4))], row


def measure_membership(
    members: Mapping[str, Floats],
    held_out: Mapping[str, Floats] | None,
    more_rates: Sequence[float] = (),
) -> tuple[list[Measurement], dict[str, Roc]]:
    """ROC and rates of each score, at `more_rates` beside the nominal ones.

    Listed as not run where there is nothing to compare with.
    """
    rows: list[Measurement] = []
    rocs: dict[str, Roc] = {}
    rates = tuple(dict.fromkeys((*NOMINAL_FPR, *more_rates)))
    for name, formula in scores.FORMULAS.items():
        version = formula.version
        if held_out is None or name not in members or name not in held_out:
            rows.append(
                Measurement(FAMILY, name, "auc", "probability", Estimate.not_run(), version)
            )
            continue
        rocs[name] = Roc.of(members[name], held_out[name])
        rows.extend(summarize(rocs[name], name, version, family=FAMILY, rates=rates))
    return rows, rocs


_TIERS = ((1, 1), (2, 3), (4, 7), (8, 15), (16, None))


def repetition_strata(repetitions: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Texts by how often they stand in the training data, in doubling steps; no empty ones."""
    strata = {}
    for low, high in _TIERS:
        inside = (repetitions >= low) & (repetitions <= (high or np.inf))
        name = f"{low}" if high == low else f"{low}-{high}" if high else f"{low}+"
        if inside.any():
            strata[f"repetitions={name}"] = inside
    return strata


def measure_extraction(
    members: Probes, held_out: Probes | None, repetitions: NDArray[np.int64]
) -> list[Measurement]:
    """Share of texts recited by greedy decoding and by sampling: members, by repetition count, and
    held-out beside them; and at how many of their places they were asked to go on. `repetitions` is
    per member text."""
    strata: list[tuple[str, Probes, NDArray[np.bool_]]] = [
        ("all", members, np.ones(len(members.texts), dtype=bool))
    ]
    for name, inside in repetition_strata(repetitions[members.texts]).items():
        strata.append((name, members, inside))
    if held_out is not None:
        strata.append(("held_out", held_out, np.ones(len(held_out.texts), dtype=bool)))
    rows = []
    for stratum, probes, inside in strata:
        for name, metric, hits in (
            ("discoverable", "extraction_rate", probes.greedy),
            ("np_discoverable", "sampled_extraction_rate", probes.sampled),
        ):
            n = int(inside.sum())
            estimate = rate(int(hits[inside].sum()), n) if n else Estimate.not_run()
            rows.append(
                Measurement(
                    "extraction",
                    name,
                    metric,
                    "probability",
                    estimate,
                    EXTRACTION.version,
                    stratum,
                )
            )
    for stratum, probes in (("all", members), ("held_out", held_out)):
        if probes is not None and probes.places:
            share = probes.tried / probes.places
            tried = Estimate(share, None, None, n=probes.places, k=probes.tried)
            found = "extraction", "discoverable", "positions_tried", "probability"
            rows.append(Measurement(*found, tried, EXTRACTION.version, stratum))
    texts = len(members.texts)
    near = rate(int(members.near_tie.sum()), texts) if texts else Estimate.not_run()
    rows.append(
        Measurement(
            "extraction",
            "discoverable",
            "near_tie_rate",
            "probability",
            near,
            NEAR_TIES.version,
        )
    )
    return rows


def measure_near_verbatim(
    model: LanguageModel,
    sides: Sequence[tuple[str, Probes]],
    most: int,
    seed: int,
    progress: Progress,
) -> list[Measurement]:
    """Near-verbatim recitation by real generation, of `most` texts of each side, drawn at random,
    where greedy decoding gets most of their tokens right."""
    rows = []
    for i, (stratum, probes) in enumerate(sides):
        heard = part(progress, i / len(sides), 1 / len(sides))
        chosen = np.arange(len(probes.best))
        if len(chosen) > most:
            chosen = np.sort(np.random.default_rng(seed).choice(chosen, most, replace=False))
        asked = [probes.best[i] for i in chosen]
        hits = extraction.near_verbatim(
            model, [ids for ids, _ in asked], [given for _, given in asked], progress=heard
        )
        estimate = rate(int(hits.sum()), len(hits)) if len(hits) else Estimate.not_run()
        rows.append(
            Measurement(
                "extraction",
                "near_verbatim",
                "near_verbatim_rate",
                "probability",
                estimate,
                NEAR_VERBATIM.version,
                stratum,
            )
        )
    return rows


def known_bits(bits: Floats) -> tuple[Estimate, Estimate]:
    """Mean bits a text and their sum, `[texts]` of at least 0, as texts drawn anew would give."""
    mean = skewed_mean_interval(bits)
    n = len(bits)
    bound = [None if b is None else max(0.0, b) * n for b in (mean.ci_low, mean.ci_high)]
    return mean, Estimate(float(bits.sum()), *bound, n=n, status=mean.status)


def measure_unintended(compared: Compared | None) -> list[Measurement]:
    """Bits that the model knows of members and a reference does not: mean a text, and the sum, over
    the members that could be compared."""
    if compared is None or not compared.known.any():
        mean = total = Estimate.not_run()
    else:
        mean, total = known_bits(scores.unintended_bits(compared)[compared.known])
    return [
        Measurement("memorization", "unintended", metric, "bits", estimate, UNINTENDED.version)
        for metric, estimate in (("mean_bits", mean), ("total_bits", total))
    ]
