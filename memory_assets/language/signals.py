"""What a causal model says about every token of given texts, from one teacher-forced pass.

Texts are batched by length, and logits exist for a few positions at a time only: their number is
bounded by memory and not by the length of a text or the size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.language.model import Ids, LanguageModel

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], None]
"""Called with the tokens done so far and the tokens in all."""

NEAR_TIE = 1e-3
"""Two logits closer than this (nats) may change places between batch shapes and devices."""
_Measure = Callable[["torch.Tensor", "torch.Tensor"], "list[torch.Tensor]"]
_LOGITS = 1 << 22  # numbers of logits alive at once: 16 MiB in float32
_BATCH_TOKENS = {"cpu": 1024, "cuda": 32768}
_BLOCK = 1024
_FLOOR = -1e4  # log-probability of a token that the model rules out


@dataclass(frozen=True)
class Sampling:
    """Decoding at a temperature, then among the `top_k` likeliest tokens (0: all of them)."""

    temperature: float = 1.0
    top_k: int = 40

    def __post_init__(self) -> None:
        if not self.temperature > 0 or self.top_k < 0:
            raise InputError(
                f"sampling: temperature {self.temperature} and top_k {self.top_k}; expected a "
                "temperature above 0 and top_k of at least 0"
            )


@dataclass(frozen=True)
class TokenSignals:
    """N sequences, laid end to end; sequence i owns `offsets[i]:offsets[i + 1]` of each array.

    Element j of a sequence speaks of its token `first + j`: `first` is 1 where the model has no
    start token, since nothing precedes the first token then. In nats: `log_p` of the token,
    `mean` and `variance` of the log-probability under the model's own distribution, `margin` the
    token's logit minus the best other one, and `log_q` its log-probability under the sampling
    asked for (-inf outside top-k). `rank` counts tokens that are likelier; `agrees` says that
    greedy decoding picks the token.
    """

    first: int
    offsets: NDArray[np.int64]
    log_p: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    rank: NDArray[np.int32]
    agrees: NDArray[np.bool_]
    margin: NDArray[np.float32]
    log_q: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Scored tokens of each sequence."""
        return np.diff(self.offsets)

    def span(self, start: int, stop: int) -> NDArray[np.int64]:
        """Indices `[N, stop - start]` into the arrays: tokens `start` to `stop` of each sequence.

        Raises:
            ValueError: a sequence is shorter, or `start` comes before the first scored token.
        """
        if start < self.first or (self.lengths + self.first < stop).any():
            raise ValueError(f"not every sequence has scored tokens {start} to {stop}")
        return self.offsets[:-1, None] + np.arange(start, stop) - self.first

    def take(
        self, rows: NDArray[np.intp], most: int | NDArray[np.int64] | None = None
    ) -> TokenSignals:
        """The sequences at `rows`, in that order; of each the first `most` scored tokens."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[rows]
        lengths = lengths if most is None else np.minimum(lengths, most)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return TokenSignals(self.first, offsets, *(getattr(self, n)[index] for n in _ARRAYS))

    def behind(self, lead: NDArray[np.int64]) -> TokenSignals:
        """What is said of the tokens of each sequence after its first `lead`; these are taken for
        the sequence then. Unchanged where no `lead` is above 0.

        Raises:
            ValueError: a sequence ends there, or its next token was not scored.
        """
        if not lead.any():
            return self
        skipped = lead - self.first
        lengths = self.lengths - skipped
        if (skipped < 0).any() or (lengths < 1).any():
            raise ValueError("not every sequence has a scored token behind its lead")
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[1:] - offsets[1:], lengths)
        return TokenSignals(0, offsets, *(getattr(self, n)[index] for n in _ARRAYS))


_ARRAYS = tuple(f.name for f in fields(TokenSignals))[2:]


def join(blocks: Iterable[TokenSignals]) -> TokenSignals:
    """Blocks of sequences as one."""
    parts = list(blocks)
    lengths = np.concatenate([part.lengths for part in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS)
    return TokenSignals(parts[0].first, offsets, *arrays)


def _measure(
    logits: torch.Tensor, token: torch.Tensor, sampling: Sampling | None
) -> list[torch.Tensor]:
    """The signals of `[P, V]` float32 logits about the true tokens `[P]`; overwrites the logits.

    In place and by row products: this runs over every number that the output layer gives, and is
    as dear as the model itself where that is small.
    """
    import torch

    pick = token[:, None]
    true = logits.gather(1, pick)
    rank = (logits > true).sum(1)
    others = logits.scatter_(1, pick, -torch.inf).amax(1, keepdim=True)
    logits.scatter_(1, pick, true)
    agrees = true > others
    tied = torch.nonzero((true == others)[:, 0])[:, 0]
    agrees[tied, 0] = logits[tied].argmax(1) == token[tied]
    best = torch.maximum(true, others)
    logits.sub_(best).clamp_(min=_FLOOR)
    shifted = (true - best).clamp_(min=_FLOOR)
    weight = logits.exp()
    mass = weight.sum(1, keepdim=True)
    log_p = log_q = shifted - mass.log()
    if sampling is not None:
        k = min(sampling.top_k or logits.shape[1], logits.shape[1])
        # A token of a lower rank is never drawn: nothing to select among then.
        drawn = torch.nonzero(rank < k)[:, 0]
        kept = logits[drawn]
        kept = kept.topk(k, dim=1, sorted=False).values if k < logits.shape[1] else kept
        total = torch.logsumexp(kept / sampling.temperature, 1, keepdim=True)
        log_q = torch.full_like(log_p, -torch.inf)
        log_q[drawn] = shifted[drawn] / sampling.temperature - total
    rows = weight[:, None]
    mean = torch.bmm(rows, logits[..., None])[..., 0] / mass
    # Centred first: the variance of a nearly certain prediction would drown in rounding otherwise.
    variance = torch.bmm(rows, logits.sub_(mean).square_()[..., None])[..., 0] / mass
    columns = (log_p, mean - mass.log(), variance, rank.int()[:, None], agrees, true - others)
    return [column[:, 0] for column in (*columns, log_q)]


def _batches(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Rows in batches of like length, at most `budget` tokens each, padding counted."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def _budget(model: LanguageModel) -> int:
    """Tokens read at once; few where the logits of a whole batch exist together."""
    budget = _BATCH_TOKENS.get(model.device.split(":")[0], _BATCH_TOKENS["cpu"])
    return budget if model.head != "whole" else max(1, min(budget, 8 * _LOGITS // model.vocabulary))


def _margin(logits: torch.Tensor, token: torch.Tensor) -> list[torch.Tensor]:
    """Only the margin, at a fraction of the price; overwrites the logits."""
    import torch

    true = logits.gather(1, token[:, None])
    return [(true - logits.scatter_(1, token[:, None], -torch.inf).amax(1, keepdim=True))[:, 0]]


def _score_batch(
    model: LanguageModel, rows: list[Ids], last: NDArray[np.int64], measure: _Measure
) -> list[NDArray]:
    """What `measure` says of the `last` tokens of a few sequences, laid end to end in order."""
    import torch

    longest = max(len(row) for row in rows)
    ids = np.full((len(rows), longest), model.filler, dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    line = np.repeat(np.arange(len(rows)), last)
    place = np.concatenate(
        [np.arange(len(row) - n, len(row)) - 1 for row, n in zip(rows, last, strict=True)]
    )
    with torch.inference_mode():
        given = torch.from_numpy(ids).to(model.device)
        target = given[line, place + 1]
        by_parts = model.head != "whole"
        if by_parts:
            states = model.hidden(given[:, :-1])[line, place]
        else:
            states = model.model(given[:, :-1], use_cache=False).logits[line, place].float()
        step = max(1, _LOGITS // model.vocabulary)
        parts = []
        for start in range(0, len(states), step):
            part = states[start : start + step]
            logits = model.logits_of(part) if by_parts else part.clone()
            parts.append(measure(logits, target[start : start + step]))
        return [torch.cat(columns).cpu().numpy() for columns in zip(*parts, strict=True)]


def stream_signals(
    model: LanguageModel,
    sequences: Sequence[Ids],
    *,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
    block: int = _BLOCK,
) -> Iterator[TokenSignals]:
    """Score token sequences, `block` of them at a time, in their order.

    Without `sampling`, `log_q` equals `log_p`. Memory grows with a block and the longest sequence.

    Raises:
        InputError: a sequence with nothing to score or longer than the model reads, or a model
            whose answers are not finite.
    """
    first = 0 if model.start is not None else 1
    start = np.array([] if model.start is None else [model.start], dtype=np.int64)
    total, done = int(sum(len(ids) for ids in sequences)), 0
    budget = _budget(model)
    measure = partial(_measure, sampling=sampling)
    for low in range(0, len(sequences), block):
        rows = [np.concatenate([start, ids]) for ids in sequences[low : low + block]]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        refused = (lengths < 2) | (lengths > model.context)
        if refused.any():
            i = int(refused.argmax())
            raise InputError(
                f"sequence {low + i}: {len(sequences[low + i])} tokens; {model.name} reads "
                f"{2 - len(start)} to {model.context - len(start)}"
            )
        pieces: dict[int, list[NDArray]] = {}
        for batch in _batches(lengths, budget):
            columns = _score_batch(model, [rows[i] for i in batch], lengths[batch] - 1, measure)
            cuts = np.cumsum(lengths[batch] - 1)[:-1]
            for i, *arrays in zip(
                batch, *(np.split(column, cuts) for column in columns), strict=True
            ):
                pieces[int(i)] = arrays
            done += int(sum(len(sequences[low + i]) for i in batch))
            if progress is not None:
                progress(done, total)
        offsets = np.concatenate([[0], np.cumsum(lengths - 1)]).astype(np.int64)
        arrays = [
            np.concatenate(c) for c in zip(*(pieces[i] for i in range(len(rows))), strict=True)
        ]
        if not (np.isfinite(arrays[0]).all() and np.isfinite(arrays[2]).all()):
            raise InputError(
                f"{model.name}: its answers are not finite numbers; this model cannot be audited"
            )
        yield TokenSignals(first, offsets, *arrays)


def token_signals(
    model: LanguageModel,
    sequences: Sequence[Ids],
    *,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> TokenSignals:
    """Score token sequences and keep all signals in memory (27 bytes a token).

    Raises:
        InputError: as `stream_signals`, or no sequence.
    """
    if not sequences:
        raise InputError("no sequence to score; expected at least one text of two tokens")
    return join(stream_signals(model, sequences, sampling=sampling, progress=progress))


def last_margins(
    model: LanguageModel, sequences: Sequence[Ids], last: Sequence[int]
) -> list[NDArray[np.float32]]:
    """The margins of the `last` tokens of each sequence: are they what greedy decoding gives?

    The output layer is paid for at these places only. Every sequence needs a token before them
    (the start token counts) and fits the context.
    """
    start = np.array([] if model.start is None else [model.start], dtype=np.int64)
    rows = [np.concatenate([start, ids]) for ids in sequences]
    counts = np.asarray(last, dtype=np.int64)
    margins: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(rows)
    for batch in _batches(np.array([len(row) for row in rows]), _budget(model)):
        flat = _score_batch(model, [rows[i] for i in batch], counts[batch], _margin)[0]
        for i, part in zip(batch, np.split(flat, np.cumsum(counts[batch])[:-1]), strict=True):
            margins[int(i)] = part
    return margins


def write_signals(blocks: Iterable[TokenSignals], path: Path) -> None:
    """Write blocks one after the other as a Parquet file of lists, one row a sequence."""
    writer: pq.ParquetWriter | None = None
    try:
        for block in blocks:
            offsets = pa.array(block.offsets, pa.int64())
            table = pa.table(
                {
                    name: pa.LargeListArray.from_arrays(offsets, pa.array(getattr(block, name)))
                    for name in _ARRAYS
                }
            ).replace_schema_metadata({"first": str(block.first)})
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def read_signals(path: Path) -> TokenSignals:
    """Read what `write_signals` wrote.

    Raises:
        InputError: not such a file.
    """
    try:
        table = pq.read_table(path).combine_chunks()
        first = int((table.schema.metadata or {})[b"first"])
        lists = table["log_p"].combine_chunks()
        lengths = np.diff(lists.offsets.to_numpy())
        arrays = [
            table[n].combine_chunks().flatten().to_numpy(zero_copy_only=False) for n in _ARRAYS
        ]
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise InputError(f"{path}: not a file of token signals ({type(error).__name__})") from error
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenSignals(first, offsets, *arrays)
