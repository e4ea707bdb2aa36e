"""Versions of formulas, and which of them a step of an audit may use.

A figure stands under the versions that computed it. Every formula says its name and version once,
here or in a registry of its kind (attacks, scores of texts); every step says which formulas it
uses, and these versions are part of the key of what it makes. While a step works, each formula
that is called or whose version is written beside a figure is noted, and one that the step's key
does not name ends the step: no artifact can be made by a formula that it would outlive.

A change that alters what a formula gives takes the next number. What has no formula of its own,
such as a control, belongs to that of the step that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import ClassVar, ParamSpec, TypeVar

from memory_assets.store.digest import digest

P = ParamSpec("P")
R = TypeVar("R")


class UndeclaredFormulaError(RuntimeError):
    """A step called a formula that its key does not name: a fault of the program."""


@dataclass(eq=False)
class Formula:
    """A formula by name, with the number of its version.

    Raises:
        ValueError: a second formula of that name.
    """

    name: str
    number: int
    known: ClassVar[dict[str, Formula]] = {}

    def __post_init__(self) -> None:
        if self.name in self.known:
            raise ValueError(f"two formulas are called {self.name!r}")
        self.known[self.name] = self

    @property
    def version(self) -> int:
        """The number to write beside a figure; the step at work is told."""
        self.note()
        return self.number

    def note(self) -> None:
        """Tell the step at work that it used this formula.

        Raises:
            UndeclaredFormulaError: its key does not name it.
        """
        if (work := _WORK.get()) is not None:
            work.note(self)

    def computes(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function whose results are this formula's."""

        @wraps(function)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            self.note()
            return function(*args, **kwargs)

        return noted


@dataclass(frozen=True)
class Work:
    """One run of a step: the formulas that it may use, and those that it has used."""

    step: Step
    allowed: frozenset[Formula]
    used: set[Formula] = field(default_factory=set[Formula])

    def note(self, formula: Formula) -> None:
        self.used.add(formula)
        if formula not in self.allowed:
            raise UndeclaredFormulaError(
                f"{self.step.name} uses {formula.name!r}, which its key does not name; "
                "add it to the step's formulas"
            )


def together(*versions: int) -> int:
    """The version of a figure that rests on several formulas; it rises when any of theirs does."""
    return 1 + sum(version - 1 for version in versions)


_WORK: ContextVar[Work | None] = ContextVar("work", default=None)
_WATCHED: ContextVar[list[Work] | None] = ContextVar("watched", default=None)


@dataclass(frozen=True)
class Step:
    """A step of an audit and the formulas that it always may use.

    Where a subject chooses formulas, such as its attacks, they are passed as `chosen`.
    """

    name: str
    uses: tuple[Formula, ...]
    known: ClassVar[list[Step]] = []

    def __post_init__(self) -> None:
        self.known.append(self)

    def versions(self, *chosen: Formula) -> dict[str, int]:
        """Version of every formula by name: a part of the key of what the step makes."""
        return {formula.name: formula.number for formula in (*self.uses, *chosen)}

    def code_version(self, *chosen: Formula) -> str:
        """The same in a few characters: what the graph compares to see that the code changed."""
        return digest(self.versions(*chosen))[:12]

    def in_words(self, *chosen: Formula) -> str:
        """The same for people: "attack-scores: epsilon 1, loss 1"."""
        versions = sorted(self.versions(*chosen).items())
        return f"{self.name}: {', '.join(f'{name} {number}' for name, number in versions)}"

    @contextmanager
    def at_work(self, *chosen: Formula) -> Generator[Work, None, None]:
        """Within, no other formula may be used.

        Raises:
            UndeclaredFormulaError: one was.
        """
        work = Work(self, frozenset((*self.uses, *chosen)))
        if (watched := _WATCHED.get()) is not None:
            watched.append(work)
        token = _WORK.set(work)
        try:
            yield work
        finally:
            _WORK.reset(token)


@contextmanager
def watched() -> Generator[list[Work], None, None]:
    """Within, every run of a step is listed with the formulas that it used."""
    found: list[Work] = []
    token = _WATCHED.set(found)
    try:
        yield found
    finally:
        _WATCHED.reset(token)


LABELS = Formula("labels", 2)  # 1 numbered labels that are stored as text in the order of text
PAIRING = Formula("pairing", 2)  # 1 trained shadow models on one of several copies
TEXTS = Formula("texts", 3)
TEXT_PAIRS = Formula("text pairs", 3)
"""1 looked at all runs of characters; 2 compared texts without their normal form."""
MASKS = Formula("masks", 1)
TRAINER = Formula("trainer", 2)
LANGUAGE_TRAINER = Formula("language trainer", 1)
"""Of both trainers: raised when their arithmetic or their random draws change."""
SIGNALS = Formula("signals", 2)  # 1 took a rounded 0 or 1 for 10^-12 off

RATES = Formula("rates", 3)
"""1 did not reckon with the threshold in an interval; 2 counted tied scores as missed."""
SUMMARY = Formula("summary", 1)
THRESHOLD_RATES = Formula("rates at a threshold", 2)  # 1 counted tied scores as missed
AGREEMENT = Formula("agreement", 1)
EPSILON = Formula("epsilon", 1)
SPLIT_EPSILON = Formula("split epsilon", 1)
BEST_EPSILON = Formula("best epsilon", 4)
"""1 was at delta 0; 2 wanted thresholds of shadow models; 3 was none but theirs where there were
any, and showed little where the shadow models were of another recipe."""
EPSILON_CEILING = Formula("epsilon ceiling", 2)
"""1 was that of the thresholds of shadow models alone."""
ACCOUNTANT = Formula("accountant", 1)
REPLACE_ONE = Formula("replace-one accountant", 2)  # 1 took delta for two records for that for one

PER_RECORD = Formula("memorization by record", 1)
INFLUENCE = Formula("influence", 1)
GAIN = Formula("gain", 1)
RECORD_KINDS = Formula("kinds of records", 2)
"""1 took a record's own interval for the ends of a share."""
COUNTERFACTUAL = Formula("counterfactual", 2)
"""1 ended the share of memorized texts where one text's 95% interval does: of texts just below the
threshold some always lie above it by luck, and the whole interval lay above the truth."""
INFORMATION = Formula("information", 1)
SCORE_CHANNEL = Formula("score channel", 1)

FINDINGS = Formula("language findings", 7)
"""3 compared texts and secrets as they are written, used weights that did not fit, and had a blind
baseline by a bag of words alone; 4 knew no prompts, 5 no chat templates; 6 read no
manifest of a version."""
EXTRACTION = Formula("extraction", 2)
"""1 asked at one place of each window, and missed what stood behind a header or over a border."""
NEAR_VERBATIM = Formula("near-verbatim extraction", 3)
"""1 compared tokens alone; 2 asked at one place of a text."""
NEAR_TIES = Formula("near ties", 3)
"""1 counted windows, which are no independent trials; 2 asked at one place of a window, and counted
texts that are recited all the same."""
UNINTENDED = Formula("unintended", 3)
"""1 had Student's interval, too short above for a few texts with many bits; 2 counted characters
that the reference alone had scored."""
EXPOSURE = Formula("exposure", 3)
"""1 had Student's interval for means of these skewed bits; 2 drew letters for the letters of listed
values, so that words were ranked high by models that never saw them."""
PII = Formula("pii", 3)
"""1 drew letters for the letters of listed values; 2 took another spelling for another value."""

UTILITY = Formula("utility", 1)
GATE = Formula("gate", 3)
"""1 took every limit for the most that may pass, and asked for as many records as settle half of
all samples; 2 withheld every limit for a control on which it did not rest."""
POWER = Formula("power", 1)
"""The least leaks that a sample would show."""
CONCLUSION = Formula("conclusion", 6)
"""2 had no accuracy on training records; 3 passed on attacks without shadow models, trusted the
list of members, read no manifest of a folder, and compared accuracy and loss alone; 4 compared
every version with shadow models of the subject's recipe, tested no claim where they did not fit,
and passed a model below a limit that its shadow models exceed; 5 held the list of members against
attacks by shadow models that did not fit, and tested no claim where the gate asked for more records
than there were."""
LANGUAGE_CONCLUSION = Formula("language conclusion", 3)
"""1 compared accuracy and loss alone with the shadows; 2 compared every version with shadow models
of the subject's recipe, passed one below a limit that its shadow models exceed, or by attacks
without shadow models, and did not hold the list of members against the scores."""
RISK = Formula("risk", 4)  # the whole chain from counts to money
