"""What an owner says so that leakage is priced; the measuring does not read it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from memory_assets.errors import InputError
from memory_assets.risk import profile_file
from memory_assets.spec import Spec
from memory_assets.store.paths import is_file


class Company(Spec):
    """Four numbers and a currency, for a company that knows little else about itself."""

    industry: Literal[
        "healthcare", "finance", "retail", "manufacturing", "public-sector", "software-service"
    ] = Field(description="whose profile is sized to it")
    records: int = Field(gt=0, description="sensitive records that the model was trained on")
    queries_per_month: float = Field(gt=0, description="how often the model is asked")
    revenue: float = Field(gt=0, description="a year's turnover, or a public body's budget")
    currency: Literal["JPY", "USD", "EUR"] = Field(description="it also chooses whose law applies")


class PricedSubject(Spec):
    """A profile of the organisation, what the model achieves there, and what was done already."""

    profile: str | None = Field(
        default=None, description="shipped profile by name, or path of a TOML file; none: no money"
    )
    company: Company | None = Field(
        default=None, description="in place of a profile: the industry's, sized to four numbers"
    )
    outcomes: str | None = Field(
        default=None,
        description="CSV of cases that no training record came from, with the columns version and "
        "right (0 or 1): what the profile's metric is measured on",
    )
    mitigations: dict[str, str] = Field(
        default_factory=dict,
        description="option of the profile -> the version that was built that way and is audited",
    )

    @model_validator(mode="after")
    def _one_profile(self) -> PricedSubject:
        if self.profile is not None and self.company is not None:
            raise ValueError("profile and company both say what is priced; leave one out")
        if self.outcomes is not None and not self.priced:
            raise ValueError("outcomes are worth something in a profile only; name one, or company")
        return self

    @property
    def priced(self) -> bool:
        """Whether there is anything to price by."""
        return self.profile is not None or self.company is not None

    @property
    def profile_name(self) -> str:
        """What history and graph call the profile; empty where nothing is priced."""
        if self.company is not None:
            return f"{self.company.industry} in {self.company.currency}, sized to a company"
        return self.profile or ""

    def profile_files(self, root: Path) -> dict[str, Path]:
        """The files that a price is made from, by name; they are watched.

        Raises:
            InputError: one of them is not there.
        """
        found: dict[str, Path] = {}
        if self.profile is not None:
            found[self.profile] = profile_file(self.profile, root)
            if not is_file(found[self.profile]):
                raise InputError(
                    f"profile: {self.profile!r} is neither shipped nor a file at "
                    f"{found[self.profile]}"
                )
        if self.outcomes is not None:
            found[self.outcomes] = root / self.outcomes
            if not is_file(found[self.outcomes]):
                raise InputError(f"outcomes: no file {found[self.outcomes]}")
        return found
