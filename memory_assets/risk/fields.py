"""What the fields of a profile may hold; pydantic reads TOML by these types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    Strict,
    Tag,
)
from pydantic_core import CoreSchema, core_schema

from memory_assets.risk.distribution import (
    Beta,
    Distribution,
    Fixed,
    Lognormal,
    Pert,
    Poisson,
    Uniform,
)


def _sum_to_one(shares: Mapping[str, float]) -> Mapping[str, float]:
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"shares sum to {sum(shares.values()):g}: make them sum to 1")
    return shares


Text = Annotated[str, Field(pattern=r"\S")]
Flag = Annotated[bool, Strict()]
Share = Annotated[float, Strict(), Field(ge=0, le=1)]
Shares = Annotated[Mapping[str, Share], AfterValidator(_sum_to_one)]

DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "fixed": Fixed,
    "uniform": Uniform,
    "pert": Pert,
    "beta": Beta,
    "lognormal": Lognormal,
    "poisson": Poisson,
}
"""The distributions by the name that `dist` gives them."""


def _dist(table: Any) -> str:
    """Which distribution a table is."""
    return str(table.get("dist")) if isinstance(table, dict) else "no table"


def _parameters(table: dict[str, Any]) -> dict[str, Any]:
    """The same without `dist`; unlike in Python, a profile says the ground of every number."""
    if "basis" not in table:
        raise ValueError("basis is missing: add it")
    return {key: value for key, value in table.items() if key != "dist"}


_EACH = tuple(
    Annotated[cls, BeforeValidator(_parameters), Tag(name)] for name, cls in DISTRIBUTIONS.items()
)
WrittenDistribution: Any = Annotated[Union[_EACH], Discriminator(_dist)]  # noqa: UP007
"""A distribution as a table `{dist, parameters, basis, source, note}`."""


@dataclass(frozen=True)
class Quantity:
    """A figure of a profile: a distribution of values in `unit`, or one fixed value where `known`.

    A `rate` lies in 0 to 1, an `amount` and a `count` are 0 or more.
    """

    of: Literal["rate", "amount", "count", "signed"]
    unit: str
    known: bool = False

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        read = handler.generate_schema(WrittenDistribution)
        return core_schema.no_info_after_validator_function(self._checked, read)

    def _checked(self, found: Distribution) -> Distribution:
        low, high = found.support
        if self.of == "rate" and not 0 <= low <= high <= 1:
            bad = high if high > 1 else low
            raise ValueError(f"{bad:g} is not a probability: give values between 0 and 1")
        if self.of in ("amount", "count") and low < 0:
            raise ValueError(f"{low:g} is below 0: give values of 0 or more")
        if self.known and not isinstance(found, Fixed):
            dist = next(name for name, cls in DISTRIBUTIONS.items() if isinstance(found, cls))
            raise ValueError(f'dist is {dist!r}: expected "fixed", one known value')
        return found
