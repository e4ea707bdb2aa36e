"""Does a wrong set-up pass, or an honest model not? Every source, kind of data and fault crossed.

`python -m benchmarks verdicts` audits models that leak, each brought in a way that went wrong, and
models that remember next to nothing, brought as they should be. All run the steps of
`memory-assets audit` on a small project of their own. Goals: no wrong one passes, at most
5 honest ones do not, and every leaking model fails where nothing went wrong. With `--each` it
prints every verdict with its reason.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._goals import Goals
from benchmarks.setups import classifiers, text_faults, texts
from benchmarks.setups.classifiers import Setup
from benchmarks.setups.text_faults import TextSetup
from benchmarks.trust.trials import table
from memory_assets.errors import InputError
from memory_assets.store.artifacts import ArtifactStore

FEWEST = 100
"""Set-ups of either kind."""
MOST_NOT_PASSED = 5
REFUSED = "refused"
OUTCOMES = ("pass", "fail", "inconclusive", "insufficient evidence", REFUSED)


@dataclass(frozen=True)
class Tried:
    """A set-up, the verdict of its audit or "refused", and the reason."""

    setup: Setup | TextSetup
    outcome: str
    reason: str

    @property
    def told(self) -> str:
        named = (self.setup.source, self.setup.kind, self.setup.fault, self.outcome)
        return f"{', '.join(word for word in named if word)}: {self.reason}"


def good_copies() -> list[Setup | TextSetup]:
    """The leaking models, brought as they should be."""
    return [*classifiers.good_copies(), *text_faults.good_copies()]


def wrong() -> list[Setup | TextSetup]:
    return [*classifiers.wrong(), *text_faults.wrong()]


def honest() -> list[Setup | TextSetup]:
    return [*classifiers.honest(), *text_faults.honest()]


def every(setups: Iterable[Setup | TextSetup], step: int) -> list[Setup | TextSetup]:
    """One of so many set-ups, always the same ones."""
    return list(islice(setups, 0, None, step))


def audit_all(setups: Iterable[Setup | TextSetup], store: ArtifactStore) -> Iterator[Tried]:
    """Audit each in a folder of its own; pools are found again in `store`."""
    for setup in setups:
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scikit-learn, about models that are meant so
            try:
                audit = setup.audit(Path(folder), store).audit
                yield Tried(setup, audit.verdict, audit.reason)
            except InputError as error:
                yield Tried(setup, REFUSED, str(error))


def _counts(title: Sequence[str], groups: dict[tuple[str, ...], Counter[str]]) -> Iterator[str]:
    rows = [
        (*name, *(str(found[outcome] or "") for outcome in OUTCOMES))
        for name, found in groups.items()
    ]
    yield from table((*title, *OUTCOMES), rows)


def _grouped(found: Iterable[Tried], *by: str) -> dict[tuple[str, ...], Counter[str]]:
    groups: dict[tuple[str, ...], Counter[str]] = {}
    for each in found:
        name = tuple(getattr(each.setup, field) for field in by)
        groups.setdefault(name, Counter())[each.outcome] += 1
    return groups


def _report(title: str, found: list[Tried], *by: str) -> None:
    total = Counter(each.outcome for each in found)
    told = ", ".join(f"{total[outcome]} {outcome}" for outcome in OUTCOMES)
    print(f"\n{title}: {len(found)} set-ups; {told}\n")
    for line in _counts(by, _grouped(found, *by)):
        print(line, flush=True)


def _named(found: Iterable[Tried]) -> None:
    for each in found:
        print(f"  {each.told}", flush=True)


def _told(found: Iterator[Tried], each: bool) -> list[Tried]:
    """All of them, and a line on each as soon as it is known, if that is asked for."""
    kept = []
    for tried in found:
        kept.append(tried)
        if each:
            print(tried.told, flush=True)
    return kept


def main(each: bool = False) -> int:
    goals, started = Goals(), time.process_time()
    with TemporaryDirectory() as home:
        store = ArtifactStore(Path(home))
        try:
            good = _told(audit_all(good_copies(), store), each)
            _report("Models that leak, as they should be brought", good, "source", "kind")
            bad = _told(audit_all(wrong(), store), each)
            _report("Models that leak, brought wrongly", bad, "fault", "source")
            _report("The same by source", bad, "source")
            fair = _told(audit_all(honest(), store), each)
            _report("Models that do not leak", fair, "source", "kind")
        finally:
            texts.forget()
    passed = [each for each in bad if each.outcome == "pass"]
    missed = [each for each in fair if each.outcome != "pass"]
    unseen = [each for each in good if each.outcome != "fail"]
    print()
    enough = min(len(bad), len(fair)) >= FEWEST
    goals.check(f"at least {FEWEST} set-ups of either kind", enough)
    word = goals.check("every leaking model fails where nothing went wrong", not unseen)
    print(f"leaking models that do not fail, of {len(good)}: {len(unseen)}; goal 0: {word}")
    _named(unseen)
    word = goals.check("no wrong set-up passes", not passed)
    print(f"wrong set-ups that pass, of {len(bad)}: {len(passed)}; goal 0: {word}")
    _named(passed)
    word = goals.check("honest models pass", len(missed) <= MOST_NOT_PASSED)
    print(
        f"honest models that do not pass, of {len(fair)}: {len(missed)}; "
        f"goal at most {MOST_NOT_PASSED}: {word}"
    )
    _named(missed)
    print(f"{time.process_time() - started:.0f} s of CPU time")
    return goals.exit_code


if __name__ == "__main__":
    raise SystemExit(main(each="--each" in sys.argv))
