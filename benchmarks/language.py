"""How much faster one pass is than generating, and what it costs in time and memory.

Run `python -m benchmarks.language [FOLDER]`, FOLDER being a finished `notes` subject (made in a
temporary folder without it, which takes minutes). Every ratio comes from this one run, of CPU time,
and each time is the best of several, since other work on the machine can only slow a run down.

What greedy decoding recites is held against the library's own generation, probe by probe.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import GenerationConfig
from transformers.utils import logging

from benchmarks._goals import Goals
from memory_assets.examples import notes
from memory_assets.language.exposure import score_values
from memory_assets.language.extraction import greedy_extractable
from memory_assets.language.model import Ids, LanguageModel, load_language_model
from memory_assets.language.preflight import value_start
from memory_assets.language.signals import Sampling, token_signals
from memory_assets.records.secrets import Manifest
from memory_assets.records.texts import load_texts

PREFIX = SUFFIX = 50
SHORTER = ((24, 4), (8, 2))
"""A small model recites no fifty tokens: here it does some, and the two ways can differ."""
MOST = 400
REPEATS = 3


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """CPU seconds, the best of several runs."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def goal(goals: Goals, name: str, ratio: float, wanted: float) -> str:
    return f"{ratio:.1f}x (goal {wanted:g}x: {goals.check(name, ratio >= wanted)})"


def generate(model: LanguageModel, rows: np.ndarray, prefix: int = PREFIX) -> np.ndarray:
    """The library's own greedy generation of what follows the prefixes, all at once."""
    length = rows.shape[1] - prefix
    config = GenerationConfig(
        do_sample=False, max_new_tokens=length, min_new_tokens=length, pad_token_id=1
    )
    given = torch.from_numpy(rows[:, :prefix])
    mask = torch.ones_like(given)
    made = model.model.generate(given, attention_mask=mask, generation_config=config)
    return made[:, prefix:].numpy()


def disagreements(
    model: LanguageModel, what: str, probes: list[Ids], prefixes: list[int]
) -> tuple[int, float]:
    """Probes on which one pass and one-by-one generation differ, near ties apart; and the CPU
    seconds of the generation."""
    made: list[np.ndarray] = []

    def one_by_one() -> None:
        for ids, prefix in zip(probes, prefixes, strict=True):
            made.append(generate(model, ids[None], prefix)[0])

    spent = seconds(one_by_one, 1)
    truth = np.array(
        [(m == ids[n:]).all() for m, ids, n in zip(made, probes, prefixes, strict=True)]
    )
    found, near = greedy_extractable(model, probes, prefixes)
    wrong = int(((found != truth) & ~near).sum())
    print(
        f"{len(probes)} {what}: {truth.sum()} recited by one-by-one generation, {found.sum()} by "
        f"one pass; {near.sum()} near ties, {wrong} others differ"
    )
    return wrong, spent


def naive_score(model: LanguageModel, ids: Ids) -> None:
    """One text, whole logits, the same signals."""
    given = torch.from_numpy(ids)[None]
    with torch.inference_mode():
        logits = model.model(given, use_cache=False).logits[0, :-1]
        log_p = logits.log_softmax(-1)
        p = log_p.exp()
        mean = (p * log_p).sum(-1)
        pick = given[0, 1:, None]
        true = log_p.gather(1, pick)
        (p * (log_p - mean[:, None]) ** 2).sum(-1)
        (log_p > true).sum(-1)
        log_p.argmax(-1)
        log_p.scatter(1, pick, -torch.inf).amax(1)
        log_p.topk(40).values.logsumexp(-1)


def main(folder: Path) -> int:
    goals = Goals()
    logging.disable_progress_bar()
    notes.make(folder)
    model = load_language_model(folder / notes.MODELS / "v1", device="cpu")
    texts = [load_texts(folder / name, id_column="id") for name in (notes.MEMBERS, notes.HELD_OUT)]
    every = [ids[: model.context] for t in texts for ids in model.encode_all(list(t.texts))]
    probes = [ids[: PREFIX + SUFFIX] for ids in every if len(ids) >= PREFIX + SUFFIX]
    rows, starts = np.stack(probes), [PREFIX] * len(probes)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, cpu; CPU seconds")

    wrong, single = disagreements(model, f"probes of {PREFIX} + {SUFFIX} tokens", probes, starts)
    for prefix, suffix in SHORTER:
        size = prefix + suffix
        cut = [ids[i : i + size] for ids in every for i in range(0, len(ids) - size + 1, size)]
        cut = cut[:: max(1, len(cut) // MOST)]
        what = f"probes of {prefix} + {suffix} tokens"
        wrong += disagreements(model, what, cut, [prefix] * len(cut))[0]
    secrets = Manifest.read(folder / notes.MANIFEST).secrets
    values, begins = zip(*(value_start(model, secret) for secret in secrets), strict=True)
    wrong += disagreements(model, "canaries and controls", list(values), list(begins))[0]

    fast = seconds(lambda: greedy_extractable(model, probes, starts))
    batched = seconds(lambda: [generate(model, rows[i : i + 32]) for i in range(0, len(rows), 32)])
    whole = seconds(lambda: token_signals(model, probes))
    print(f"extraction, first token first: {fast:.3f} s")
    print(
        f"  one-by-one generation: {single:.2f} s, {goal(goals, 'one by one', single / fast, 30)}"
    )
    told = goal(goals, "batched", batched / fast, 3)
    print(f"  batched generation (32 at once): {batched:.2f} s, {told}")
    print(
        f"  every signal of whole probes: {whole:.3f} s, {single / whole:.1f}x and "
        f"{batched / whole:.1f}x"
    )

    tokens = sum(map(len, every))
    scored = seconds(lambda: token_signals(model, every, sampling=Sampling()))
    naive = seconds(lambda: [naive_score(model, ids) for ids in every])
    print(
        f"scoring {len(every)} texts: {scored:.2f} s, {tokens / scored:,.0f} tokens/s; one text "
        f"at a time {naive:.2f} s, {goal(goals, 'scoring', naive / scored, 1.5)}"
    )

    secret = secrets[0]
    others = [secret.value, *secret.references(2000, 0)]
    shared = seconds(lambda: score_values(model, secret.prefix, others))
    full = model.encode_all([secret.prefix + value for value in others])
    apart = seconds(lambda: token_signals(model, full))
    print(
        f"2,000 references of a secret, shared prefix: {shared:.2f} s, without sharing "
        f"{apart:.2f} s, {apart / shared:.1f}x"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process: {peak:.2f} GiB")
    print(f"one pass recites what generation does: {goals.check('the same recited', not wrong)}")
    return goals.exit_code


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as made:
            sys.exit(main(Path(made)))
