"""All set-ups of classifiers: the sources crossed with kinds of records and faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.setups.cases import Case
from benchmarks.setups.faults import ANSWERS, LISTS, RECORD_FAULTS, SHADOW_FAULTS, Fault
from benchmarks.setups.models import HARMLESS, LEAKING
from benchmarks.setups.recipes import HARMLESS_RECIPES, LEAKING_RECIPES
from benchmarks.setups.records import KINDS, draw
from benchmarks.setups.weights import WEIGHTS
from memory_assets.history.bundle import AuditBundle
from memory_assets.store.artifacts import ArtifactStore

_WORDS = {
    "outputs": "outputs with shadow models",
    "alone": "outputs alone",
    "declared": "outputs, attacker declared",
    "fit": "training callable",
    "command": "training command",
    "recipe": "recipe and checkpoint",
}
_UNKNOWABLE = (
    "half of the non-members trained on",
    "all non-members trained on",
    "half of the members listed",
    "half of the list swapped",
    "model of another draw of members",
    "model of other data",
    "records inverted",
    "records on another scale",
    "columns in another order",
    "half of the non-members near copies",
    "all non-members near copies",
)
"""What an attacker without shadow models cannot see: who declares one, takes the list on trust."""

_WIDTH_OF_RECIPES = ("a flag beside wide columns",)  # whose models have as many inputs as records
_KEPT_WITH_FIT = (*LISTS, "labels permuted", "labels numbered otherwise", *ANSWERS)
_KEPT_WITH_COMMAND = (
    "members and non-members swapped",
    "half of the list swapped",
    "all non-members trained on",
    "classes in another order",
)


@dataclass(frozen=True)
class Setup:
    """A set-up by source, kind of records and fault ("" where there is none)."""

    source: str
    kind: str
    fault: str
    case: Case

    def audit(self, root: Path, store: ArtifactStore) -> AuditBundle:
        """Raises InputError where the program refuses it."""
        return self.case.audit(root, store)


def _faults(source: str) -> dict[str, Fault]:
    """The faults that a source can have."""
    if source == "outputs":
        return LISTS | RECORD_FAULTS | ANSWERS | SHADOW_FAULTS
    if source == "recipe":
        asked = {name: f for name, f in ANSWERS.items() if name.startswith(("records", "columns"))}
        records = {name: f for name, f in RECORD_FAULTS.items() if name not in _WIDTH_OF_RECIPES}
        return LISTS | records | asked | WEIGHTS
    every = LISTS | RECORD_FAULTS | ANSWERS
    if source == "fit":
        return {name: every[name] for name in _KEPT_WITH_FIT}
    if source == "command":
        return {name: every[name] for name in _KEPT_WITH_COMMAND}
    if source == "declared":
        return {name: fault for name, fault in every.items() if name not in _UNKNOWABLE}
    return every


def _leaking(source: str, kind: str) -> Case:
    if source == "recipe":
        return Case(source, kind, draw(kind, 0), LEAKING_RECIPES[kind])
    # Who sees the answers alone sees little of a model that is not right about all its members.
    model = LEAKING[kind][0 if source in ("outputs", "fit") else 1]
    return Case(source, kind, draw(kind, 0), model)


_KINDS_OF = {"command": ("table",), "fit": ("table", "words"), "recipe": ("digits", "words")}


def good_copies() -> Iterator[Setup]:
    """The leaking models that every fault is tried on, audited as they should be."""
    for source, words in _WORDS.items():
        for kind in _KINDS_OF.get(source, KINDS):
            yield Setup(words, kind, "", _leaking(source, kind))


def wrong() -> Iterator[Setup]:
    """Every fault that a source can have, on a model that leaks."""
    for source, words in _WORDS.items():
        kinds = _KINDS_OF.get(source, KINDS)
        for turn, (name, fault) in enumerate(_faults(source).items()):
            turned = kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]
            for kind in turned[: _kinds_tried(source, name, len(kinds))]:
                yield Setup(words, kind, name, fault(_leaking(source, kind)))


def _kinds_tried(source: str, fault: str, kinds: int) -> int:
    """On how many kinds of records a fault of a source is tried: they take turns."""
    if source in ("outputs", "recipe") and fault in LISTS:
        return kinds
    return 2 if source == "outputs" or (source == "alone" and fault in LISTS) else 1


def honest() -> Iterator[Setup]:
    """Models that remember next to nothing, brought by every source that can support a pass."""
    for seed in range(7):
        for kind in KINDS:
            data = draw(kind, seed)
            for model in HARMLESS[kind]:
                yield Setup(_WORDS["outputs"], kind, "", Case("outputs", kind, data, model, seed))
            for source in ("declared", "fit"):
                model = HARMLESS[kind][seed % 2]
                yield Setup(_WORDS[source], kind, "", Case(source, kind, data, model, seed))
            recipe = replace(HARMLESS_RECIPES[kind], seed=seed)
            yield Setup(_WORDS["recipe"], kind, "", Case("recipe", kind, data, recipe, seed))
