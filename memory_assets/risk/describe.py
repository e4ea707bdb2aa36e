"""A profile for the eye: every input with its range, its ground and its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memory_assets.risk.distribution import BASES, Basis
from memory_assets.risk.profile import Profile, unit_of
from memory_assets.risk.sensitivity import Swing, top_inputs


@dataclass(frozen=True)
class InputLine:
    """One input: mean, 5% and 95% value, unit and ground.

    `verified` says whether the cited figure was read at its source; None without a source.
    """

    name: str
    mean: float
    low: float
    high: float
    unit: str
    basis: Basis
    source: str
    verified: bool | None
    defaulted: bool
    note: str


@dataclass(frozen=True)
class ProfileSummary:
    """What a profile says, on what ground, and which three inputs matter most."""

    title: str
    industry: str
    currency: str
    lines: tuple[InputLine, ...]
    by_basis: Mapping[Basis, int]
    matter_most: tuple[Swing, ...]


def input_lines(profile: Profile) -> tuple[InputLine, ...]:
    """Every distribution of the profile as one line, in the order of the file."""
    verified = {s.id: s.verified for s in profile.sources}
    lines = []
    for name, d in profile.inputs().items():
        low, high = (float(x) for x in d.quantile(np.array([0.05, 0.95])))
        lines.append(
            InputLine(
                name=name,
                mean=d.mean,
                low=low,
                high=high,
                unit=unit_of(name, profile.currency),
                basis=d.basis,
                source=d.source,
                verified=verified.get(d.source),
                defaulted=name in profile.defaulted,
                note=d.note,
            )
        )
    return tuple(lines)


def describe(profile: Profile) -> ProfileSummary:
    """What is measured, cited or assumed in a profile; no audit is needed."""
    lines = input_lines(profile)
    counts: dict[Basis, int] = {
        basis: sum(line.basis == basis for line in lines) for basis in BASES
    }
    return ProfileSummary(
        title=profile.title,
        industry=profile.industry,
        currency=profile.currency,
        lines=lines,
        by_basis=counts,
        matter_most=top_inputs(profile),
    )
