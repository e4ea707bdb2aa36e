"""The goals that a benchmark holds its figures against; one that is missed fails the run."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field


@dataclass
class Goals:
    """What was looked at in one run. All of it is printed before the run fails."""

    missed: list[str] = field(default_factory=list)

    def told(self, name: str, reached: bool) -> str:
        """`met` or `MISSED`, for the line that shows the figure."""
        if not reached:
            self.missed.append(name)
        return "met" if reached else "MISSED"

    def status(self) -> int:
        """The exit status: 1 where a goal was missed, which is named."""
        for name in self.missed:
            print(f"goal missed: {name}", file=sys.stderr)
        return int(bool(self.missed))
