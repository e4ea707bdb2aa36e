"""What an audit hands to the pricing: counts, a held-out metric and a verdict; no record."""

from __future__ import annotations

from dataclasses import dataclass

from memory_assets.errors import InputError
from memory_assets.results.estimate import Estimate

INSUFFICIENT = "insufficient evidence"


@dataclass(frozen=True)
class Stratum:
    """`k` leaks in `n` probes among records of one kind (duplication tier x sensitivity).

    `weight` is the share of the real corpus that this kind makes up. A profile that declares
    shares overrides it: canaries are planted evenly, real duplicates are not.
    """

    name: str
    k: int
    n: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.k <= self.n:
            raise InputError(
                f"stratum {self.name!r}: k = {self.k} hits in n = {self.n} probes; expected "
                "0 <= k <= n with n >= 1: probe this stratum or leave it out"
            )
        if not 0 <= self.weight < float("inf"):
            raise InputError(f"stratum {self.name!r}: weight is {self.weight}; expected 0 or more")


@dataclass(frozen=True)
class Membership:
    """One membership attack at one declared threshold: `tp` of `members`, `fp` of `non_members`.

    `prior` is the share of members among those an attacker would ask about; None takes the
    profile's. `threshold` names what the threshold was fixed for, such as the nominal rate of false
    positives: releases are learned from at the same one only.
    """

    attack: str
    tp: int
    members: int
    fp: int
    non_members: int
    prior: float | None = None
    threshold: str = ""

    def __post_init__(self) -> None:
        for k, n, side in (
            (self.tp, self.members, "members"),
            (self.fp, self.non_members, "non-members"),
        ):
            if n < 1 or not 0 <= k <= n:
                raise InputError(
                    f"membership attack {self.attack!r}: {k} flagged among {n} {side}; "
                    "expected 0 <= flagged <= total, with a total of at least 1"
                )
        if self.prior is not None and not 0 < self.prior < 1:
            raise InputError(
                f"membership attack {self.attack!r}: prior is {self.prior}; expected a share "
                "between 0 and 1"
            )


@dataclass(frozen=True)
class Utility:
    """What the model does on records it never saw; only this pays.

    `held_out` is the metric of the KPI (a share such as accuracy) with its interval. `training`
    is the same metric on training records: shown, never priced. `memorized_share` is the share of
    the held-out gain that rests on memorized records, from their influence.
    """

    metric: str
    held_out: Estimate
    training: float | None = None
    memorized_share: Estimate | None = None


@dataclass(frozen=True)
class Evidence:
    """The counts of one audit. Without a verdict (`insufficient evidence`) it prices nothing."""

    audit_id: str
    verdict: str
    reason: str = ""
    strata: tuple[Stratum, ...] = ()
    membership: Membership | None = None
    utility: Utility | None = None

    def __post_init__(self) -> None:
        names = [s.name for s in self.strata]
        if len(set(names)) < len(names):
            raise InputError(f"audit {self.audit_id}: a stratum appears twice among {names}")

    @property
    def has_verdict(self) -> bool:
        return bool(self.verdict) and self.verdict != INSUFFICIENT
