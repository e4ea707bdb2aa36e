"""Goals that a benchmark is held to: all are tried and printed before a missed one counts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goals:
    """What was asked of this run. `raise SystemExit(goals.exit_code)` is the last line of a run."""

    missed: list[str] = field(default_factory=list)

    def check(self, name: str, reached: bool) -> str:
        """Note a goal; returns the word to print beside its figure."""
        if not reached:
            self.missed.append(name)
        return "met" if reached else "MISSED"

    @property
    def exit_code(self) -> int:
        """0 when every goal was reached, else 1; the missed ones are named once more."""
        for name in self.missed:
            print(f"goal missed: {name}")
        return 1 if self.missed else 0
