"""What is not known exactly: a distribution that carries where it comes from.

Every draw goes through the quantile function of one shared uniform. Two runs that share their
uniforms therefore differ only by what was changed, and an input that is larger everywhere gives
draws that are larger one by one: comparisons of options need no luck.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, PlainValidator
from scipy import stats
from scipy.special import expit, ndtri

Floats = NDArray[np.float64]
Number = float | Floats
Basis = Literal["measured", "poc", "cited", "expert", "assumed"]
BASES: tuple[Basis, ...] = get_args(Basis)
"""From the strongest ground to the weakest."""

_Z90 = 2 * 1.6448536269514722
# Evenly spaced in log odds, so that both tails are as finely drawn as the middle.
_NODES = np.concatenate([[0.0], expit(np.linspace(-20, 20, 2049)), [1.0]])
_D = TypeVar("_D", bound="Distribution")


def _number(given: object) -> object:
    """A number as it was written: a whole one stays whole."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(f"{given!r}: expected a number")
    try:
        float(given)
    except OverflowError:
        raise ValueError("a number too large to be one") from None
    return given


Parameter = Annotated[float, PlainValidator(_number)]


def weakest(*bases: Basis) -> Basis:
    """A result stands on the weakest of its grounds."""
    return BASES[max(map(BASES.index, bases), default=0)]


def unknown(what: str, given: str, known: list[str]) -> str:
    """One clause about a word that is not known, with the word that was probably meant."""
    near = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean {near[0]!r}" if near else f"choose from {', '.join(known)}"
    return f"unknown {what} {given!r}: {hint}"


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The base of all: `basis` says on what ground it stands, `source` is the id of a source.

    Raises:
        ValueError: an unknown basis, `cited` without a source, or parameters out of order.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    basis: Basis = "assumed"
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise ValueError(unknown("basis", str(self.basis), list(BASES)))
        if self.basis == "cited" and not self.source:
            raise ValueError("basis is 'cited' but there is no source: add source = \"id\"")
        for name in self.parameters():
            value = getattr(self, name)
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}: give a finite number")

    @classmethod
    def parameters(cls) -> list[str]:
        """The names of its numbers, in order."""
        common = {f.name for f in fields(Distribution)}
        return [f.name for f in fields(cls) if f.name not in common]

    @property
    def mean(self) -> float:
        raise NotImplementedError

    @property
    def support(self) -> tuple[float, float]:
        """The lowest and highest value it states (an open tail counts from its 5-95% range)."""
        raise NotImplementedError

    def quantile(self, u: ArrayLike) -> Floats:
        """Values at probabilities `u` in [0, 1]: same shape, never decreasing in u."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, size: int) -> Floats:
        """`size` draws, one uniform each."""
        return self.quantile(rng.random(size))

    def scaled(self: _D, factor: float) -> _D:
        """The same ground, every value times `factor` >= 0."""
        changes = {name: getattr(self, name) * factor for name in self.parameters()}
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Fixed(Distribution):
    """A value taken as known."""

    value: Parameter

    @property
    def mean(self) -> float:
        return self.value

    @property
    def support(self) -> tuple[float, float]:
        return self.value, self.value

    def quantile(self, u: ArrayLike) -> Floats:
        return np.full(np.shape(u), float(self.value))


@dataclass(frozen=True, kw_only=True)
class Uniform(Distribution):
    """Anything between low and high."""

    low: Parameter
    high: Parameter

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}: swap them")

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def quantile(self, u: ArrayLike) -> Floats:
        return self.low + (self.high - self.low) * np.asarray(u, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class _Tabled(Distribution):
    """Quantiles read off a table by linear interpolation: exact inversion costs 50 times more."""

    @cached_property
    def _table(self) -> Floats:
        raise NotImplementedError

    def quantile(self, u: ArrayLike) -> Floats:
        return np.interp(np.asarray(u, dtype=np.float64), _NODES, self._table)


@dataclass(frozen=True, kw_only=True)
class Pert(_Tabled):
    """Low, most likely, high: `l + (h-l) Beta(1 + 4(m-l)/(h-l), 1 + 4(h-m)/(h-l))`."""

    low: Parameter
    mode: Parameter
    high: Parameter

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}: swap them")
        if not self.low <= self.mode <= self.high:
            raise ValueError(
                f"mode {self.mode} is outside {self.low} to {self.high}: move it inside"
            )

    @property
    def mean(self) -> float:
        return (self.low + 4 * self.mode + self.high) / 6

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    @cached_property
    def _table(self) -> Floats:
        width = self.high - self.low
        if width == 0:
            return np.full(len(_NODES), float(self.low))
        a = 1 + 4 * (self.mode - self.low) / width
        b = 1 + 4 * (self.high - self.mode) / width
        return self.low + width * stats.beta.ppf(_NODES, a, b)


@dataclass(frozen=True, kw_only=True)
class Beta(_Tabled):
    """A rate after counts: a hits and b misses, in pseudo-counts."""

    a: Parameter
    b: Parameter

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.a <= 0 or self.b <= 0:
            raise ValueError(f"a = {self.a}, b = {self.b}: both must be above 0")

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    @property
    def variance(self) -> float:
        return self.mean * (1 - self.mean) / (self.a + self.b + 1)

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, 1.0

    @cached_property
    def _table(self) -> Floats:
        return stats.beta.ppf(_NODES, self.a, self.b)

    def scaled(self, factor: float) -> Beta:
        raise ValueError(f"a beta rate cannot be scaled by {factor}")


@dataclass(frozen=True, kw_only=True)
class Lognormal(Distribution):
    """A 90% interval over orders of magnitude: `mu = (ln l + ln h)/2`, `sigma = ln(h/l)/3.29`."""

    p5: Parameter
    p95: Parameter

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.p5 > self.p95:
            raise ValueError(f"p5 {self.p5} is above p95 {self.p95}: swap them")
        if self.p5 <= 0:
            raise ValueError(f"p5 is {self.p5}: a lognormal lies above 0")

    @cached_property
    def _log(self) -> tuple[float, float]:
        low, high = math.log(self.p5), math.log(self.p95)
        return (low + high) / 2, (high - low) / _Z90

    @property
    def mean(self) -> float:
        mu, sigma = self._log
        return math.exp(mu + sigma**2 / 2)

    @property
    def support(self) -> tuple[float, float]:
        return self.p5, self.p95

    def quantile(self, u: ArrayLike) -> Floats:
        mu, sigma = self._log
        # 2^-53 is the finest step of a uniform: beyond it there is nothing to draw.
        inside = np.clip(np.asarray(u, dtype=np.float64), 2.0**-53, 1 - 2.0**-53)
        return np.exp(mu + sigma * ndtri(inside))

    def scaled(self, factor: float) -> Lognormal:
        if factor <= 0:
            raise ValueError(f"a lognormal cannot be scaled by {factor}")
        return super().scaled(factor)


@dataclass(frozen=True, kw_only=True)
class Poisson(Distribution):
    """A count of independent happenings with a known mean."""

    expected: Parameter

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.expected < 0:
            raise ValueError(f"expected is {self.expected}: a count has a mean of 0 or more")

    @property
    def mean(self) -> float:
        return self.expected

    @property
    def support(self) -> tuple[float, float]:
        low, high = np.asarray(stats.poisson.ppf([0.05, 0.95], self.expected))
        return float(low), float(high)

    @cached_property
    def _cdf(self) -> Floats:
        reach = math.ceil(self.expected + 10 * math.sqrt(self.expected) + 20)
        return stats.poisson.cdf(np.arange(reach), self.expected)

    def quantile(self, u: ArrayLike) -> Floats:
        return np.searchsorted(self._cdf, np.asarray(u)).astype(np.float64)
