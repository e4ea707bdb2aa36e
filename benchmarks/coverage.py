"""Do intervals, controls, gates and findings keep their promises? 500 simulated audits of each.

`python -m benchmarks coverage` prints the tables of docs/trust.md, some 15 minutes of one core;
`python -m benchmarks.coverage [intervals] [withheld] [alarms] [power] [--worlds]` a part of them,
with a row for every simulated world.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.trust import epsilons, money, pools, power, releases, scores, texts, validity
from benchmarks.trust.trials import Count, World, count, table
from memory_assets.statistics.intervals import clopper_pearson

REPEATS = 500
INTERVALS: tuple[World, ...] = (
    scores.closed_form,
    scores.shadow_models,
    scores.overlap,
    scores.opposed_pairs,
    pools.memorization,
    pools.small_pool,
    pools.gain,
    pools.label_channel,
    pools.score_channel,
    epsilons.audits,
    epsilons.sharp,
    texts.memorized_texts,
    texts.extraction,
    texts.tiers,
    texts.exposure,
    texts.unintended,
    money.counts,
    money.simulation,
)


def _rate(k: int, n: int) -> str:
    low, high = clopper_pearson(k, n)
    return f"{k / n:.1%} ({low:.1%} to {high:.1%})"


def by_figure(counts: list[Count]) -> Iterator[list[str]]:
    """A row a figure: its worlds, and the one with the least coverage."""
    for figure in dict.fromkeys(c.figure for c in counts):
        mine = [c for c in counts if c.figure == figure and c.tried]
        worst = min(mine, key=lambda c: c.covered / c.tried)
        short = " **below**" if worst.short() else ""
        width = f"{np.mean(worst.widths):.2g}" if worst.widths else "one-sided"
        yield [
            figure,
            f"{worst.nominal:.3g}".replace("0.", "."),
            _rate(worst.covered, worst.tried) + short,
            f"{worst.too_high / worst.tried:.1%} / {worst.too_low / worst.tried:.1%}",
            width,
            worst.world,
            str(len(mine)),
        ]


def intervals(every_world: bool) -> Iterator[str]:
    yield f"Coverage, {REPEATS} repeats of every world"
    counts = [c for world in INTERVALS for c in count(world, REPEATS)]
    if every_world:
        head = "figure", "world", "nominal", "covered", "too high / too low", "width", "repeats"
        yield from table(head, [c.cells() for c in counts])
        return
    head = "figure", "nominal", "covered", "too high / too low", "width", "least in", "worlds"
    yield from table(head, by_figure(counts))
    yield f"{sum(c.tried for c in counts):,} intervals in {len(counts)} rows"


def withheld(_: bool) -> Iterator[str]:
    yield f"Valid audits that lose their verdict by chance, {REPEATS} each"
    kinds: dict[str, Callable] = {
        "classifier, 4 shadow models": lambda rng: validity.classifier(rng, 4),
        "classifier, 16 shadow models": lambda rng: validity.classifier(rng, 16),
        "language model": validity.language_model,
    }
    rows = []
    for kind, controls in kinds.items():
        failed: Counter[str] = Counter()
        lost = 0
        for repeat in range(REPEATS):
            found = list(controls(np.random.default_rng([7, repeat])))
            failed.update(c.control for c in found if not c.passed)
            lost += any(not c.passed for c in found)
            names = [c.control for c in found]
        each = ", ".join(f"`{n}` {failed[n] / REPEATS:.1%}" for n in names)
        rows.append((kind, _rate(lost, REPEATS), each))
    yield from table(("audit", "no verdict", "by control"), rows)


def alarms(_: bool) -> Iterator[str]:
    yield "False findings between unchanged releases"
    rows, redrawn = [], []
    for name, world, repeats in (
        ("trained again, same data and pool", releases.same_data, REPEATS),
        ("data drawn anew", releases.new_data, REPEATS // 2),
    ):
        redrawn = list(world(repeats + 1))
        found = releases.regressions(redrawn, one_data_set=world is releases.same_data)
        which = Counter(metric for _, _, metric in found.worse).most_common(4)
        rows.append(
            (
                name,
                str(found.releases),
                f"{found.figures / found.releases:.0f}",
                _rate(found.alarmed, found.releases),
                f"{len(found.worse) / found.figures:.2%}",
                ", ".join(f"`{m}` {n}" for m, n in which),
            )
        )
    head = "releases", "compared", "figures each", "with a false finding", "by figure", "which"
    yield from table(head, rows)
    yield ""
    yield "Limits set to the truth of the strongest attack"
    gated = [
        (f"`{g.metric}` at {g.limit:.3g}", g.share("fail"), g.share("pass"))
        for g in releases.gates(redrawn)
    ]
    yield from table(("limit", "fails (false alarm)", "passes (false comfort)"), gated)


def detection(_: bool) -> Iterator[str]:
    repeats, pairs = 40, 700
    limits = ", ".join(f"`{m}` {v:g}" for m, v in power.LIMITS.items())
    yield f"Membership: gate {limits}; {pairs} pairs, {repeats} audits a cell"
    rows: dict[float, list[str]] = {}
    for p in power.membership(pairs, repeats):
        reach = p.perfect["tpr_at_fpr_0.01"], p.perfect["auc"]
        row = rows.setdefault(p.leak, [f"{reach[0]:.1%}, AUC {reach[1]:.2f}"])
        row += [f"{p.failed[m] / p.tried:.0%}" for m in ("tpr_at_fpr_0.01", "auc")]
    head = ["a perfect attack's TPR at 1% FPR"]
    head += [f"{d}: {m}" for d in power.DEPTHS for m in ("TPR fails", "AUC fails")]
    yield from table(head, rows.values())
    yield ""
    yield "Memorization: chance that one record is called memorized (above 0.25), exact"
    cells: dict[str, list[str]] = {}
    for _depth, mem, chance in power.memorization():
        cells.setdefault(f"{mem:g}", []).append(f"{chance:.1%}")
    head = ["true memorization", *power.DEPTHS]
    yield from table(head, ([mem, *row] for mem, row in cells.items()))
    yield ""
    yield f"Epsilon: 16 shadow models, randomized response, {repeats} audits a row"
    rows_e = [
        (f"{s.pairs:,}", f"{s.epsilon:g}", f"{s.median:.2f}", power.chance(s.falsified, s.tried))
        for s in power.epsilon(repeats)
    ]
    yield from table(("pairs", "true epsilon", "median bound", "refutes a claim of half"), rows_e)


PARTS: dict[str, Callable[[bool], Iterator[str]]] = {
    "intervals": intervals,
    "withheld": withheld,
    "alarms": alarms,
    "power": detection,
}


def main(arguments: list[str]) -> int:
    wanted = [a for a in arguments if a in PARTS] or list(PARTS)
    for part in wanted:
        for line in PARTS[part]("--worlds" in arguments):
            print(line, flush=True)
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
