"""Which formulas the steps of an audit call, and which keys change with the version of one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from unittest.mock import patch

import memory_assets
from memory_assets.results.formulas import Formula, watched
from memory_assets.store.artifacts import Artifact, ArtifactStore

T = TypeVar("T")
Reads = Mapping[str, tuple[str, ...]]


class Asked(ArtifactStore):
    """A store that holds whatever it is asked for: keys are found out and nothing is made."""

    def get_or_build(self, kind: str, key: str, build, suffix="", final=None) -> Artifact:
        del build, final
        return Artifact(kind, key, self.path(kind, key, suffix), reused=True)


@dataclass
class Made:
    """By stage of an audit: its key, and the formulas that it called and that it may call."""

    keys: dict[str, str] = field(default_factory=dict)
    used: dict[str, set[Formula]] = field(default_factory=dict)
    allowed: dict[str, set[Formula]] = field(default_factory=dict)

    def stage(self, name: str, work: Callable[..., T], *arguments: object) -> T:
        """Run one stage; its key is that of the artifact, which comes alone or first."""
        with watched() as runs:
            made = work(*arguments)
        self.used.setdefault(name, set()).update(f for run in runs for f in run.used)
        self.allowed.setdefault(name, set()).update(f for run in runs for f in run.allowed)
        artifact = made[0] if isinstance(made, tuple) else made
        if isinstance(artifact, Artifact):
            self.keys[name] = artifact.key
        return made


def known_formulas() -> dict[str, Formula]:
    """Every formula of the program, found by importing all of it."""
    for module in pkgutil.walk_packages(memory_assets.__path__, "memory_assets."):
        importlib.import_module(module.name)
    return {name: f for name, f in Formula.known.items() if not name.startswith("test ")}


def expected(formula: Formula, used: Mapping[str, set[Formula]], reads: Reads) -> set[str]:
    """The stages that called a formula, and all that read what these made."""
    found = {stage for stage, formulas in used.items() if formula in formulas}
    while more := {s for s, inputs in reads.items() if found & set(inputs)} - found:
        found |= more
    return found


def wrong(run: Made, reads: Reads, ask: Callable[[], Made]) -> dict[str, tuple[set[str], ...]]:
    """By formula: what should change with its version and does not, and what does and should not.

    `run` is what really was called, `ask` gives the keys as they would be now.
    """
    before = ask().keys
    assert set(before) == set(reads)
    found = {}
    for name, formula in known_formulas().items():
        with patch.object(formula, "number", formula.number + 1):
            now = ask().keys
        changed = {stage for stage, key in now.items() if key != before[stage]}
        should = expected(formula, run.used, reads)
        if changed != should:
            found[name] = should - changed, changed - should
    assert ask().keys == before
    return found
