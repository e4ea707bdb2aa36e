"""What a step may use while it trains."""

from __future__ import annotations

from dataclasses import dataclass

from memory_assets.models.callables import Surroundings


@dataclass(frozen=True)
class Means:
    """`surroundings` are opened around every training command; `processes` may train at once.

    Neither decides a bit of what is trained.
    """

    surroundings: Surroundings | None = None
    processes: int = 1
