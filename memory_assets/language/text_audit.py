"""What a model gives away of texts: membership scores, extraction, unintended memorization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_assets.formulas import EXTRACTION, NEAR_TIES, NEAR_VERBATIM, UNINTENDED
from memory_assets.language import extraction, scores
from memory_assets.language.model import LanguageModel
from memory_assets.language.progress import part
from memory_assets.language.scores import Compared
from memory_assets.language.signals import Progress, Sampling, TokenSignals, token_signals
from memory_assets.language.windows import Windows
from memory_assets.results.metrics import NOMINAL_FPR
from memory_assets.statistics.estimate import Estimate, Measurement
from memory_assets.statistics.intervals import rate, skewed_mean_interval
from memory_assets.statistics.roc import Roc
from memory_assets.statistics.summary import summarize

Floats = NDArray[np.float64]
FAMILY = "membership"
_SHOT = 64
"""Tokens of held-out text that ReCaLL puts before each text, at most a quarter of the context."""


@dataclass(frozen=True)
class Probes:
    """Extraction of one side: the texts long enough (`texts`, rows), what was drawn from each, the
    largest share of suffix tokens that greedy decoding gets right, and whether a probe of the text
    was a near tie."""

    texts: NDArray[np.intp]
    greedy: NDArray[np.bool_]
    sampled: NDArray[np.bool_]
    recited: Floats
    near_tie: NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One side of the comparison: its windows and what the model said of them."""

    windows: Windows
    by_window: TokenSignals
    by_text: TokenSignals

    def __len__(self) -> int:
        return len(self.windows.texts)


def read_side(
    model: LanguageModel, windows: Windows, sampling: Sampling, progress: Progress | None = None
) -> Side:
    """One teacher-forced pass over the windows."""
    signals = token_signals(model, windows.sequences, sampling=sampling, progress=progress)
    return Side(windows, signals, windows.by_text(signals))


def probe_texts(side: Side, prefix: int, suffix: int, tries: int, probability: float) -> Probes:
    """Extraction from every window long enough; a text counts once, if any of its windows gives."""
    rows = side.windows.long_enough(prefix + suffix)
    if not rows.size:
        none = np.zeros(0, dtype=bool)
        return Probes(rows, none, none, np.zeros(0), none)
    signals = side.by_window.take(rows)
    read = extraction.read_extraction(signals, prefix, suffix)
    sampled = extraction.np_extractable(read.log_p, tries, probability)
    recited = signals.agrees[signals.span(prefix, prefix + suffix)].mean(axis=1)
    return Probes(
        texts=np.unique(side.windows.document[rows]),
        greedy=side.windows.any_of(read.greedy, rows),
        sampled=side.windows.any_of(sampled, rows),
        recited=side.windows.best_of(recited, rows),
        near_tie=side.windows.any_of(read.near_tie, rows),
    )


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
    heads = [side.windows.sequences[i][:room] for i in first_windows]
    alone = side.by_window.take(first_windows, room - side.by_window.first)
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
    held-out beside them. `repetitions` is per member text."""
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
    sides: Sequence[tuple[str, Side]],
    prefix: int,
    suffix: int,
    most: int,
    seed: int,
    progress: Progress,
) -> list[Measurement]:
    """Near-verbatim recitation by real generation, on the first long window of `most` texts of each
    side, drawn at random."""
    rows = []
    for i, (stratum, side) in enumerate(sides):
        heard = part(progress, i / len(sides), 1 / len(sides))
        long = side.windows.long_enough(prefix + suffix)
        firsts = long[np.unique(side.windows.document[long], return_index=True)[1]]
        if len(firsts) > most:
            firsts = np.sort(np.random.default_rng(seed).choice(firsts, most, replace=False))
        chosen = [side.windows.sequences[i] for i in firsts]
        hits = extraction.near_verbatim(model, chosen, prefix, suffix, progress=heard)
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
