"""How an audit of a language model looks: every choice, validated once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from memory_assets.errors import InputError
from memory_assets.language.preflight import Training
from memory_assets.language.scores import FORMULAS
from memory_assets.language.signals import Sampling

ATTACKS = tuple(FORMULAS)


@dataclass(frozen=True)
class LanguageOptions:
    """How an audit looks. Lengths are in tokens.

    Extraction asks for `suffix` tokens after at least `prefix` tokens, at every place of a text,
    greedily and in `tries` samples with at least `probability`; over the border of two windows that
    have room for little more than one probe, at every `stride`-th place (half a suffix without it).
    Of the answer to a prompt it asks for `suffix` tokens or all of a shorter one, but for none of
    fewer than `least_answer` tokens. `window` is the longest piece read at once (without it the
    context, at most 512 for texts without prompts). At most `texts` texts of each side are read,
    `control_texts` for the untrained model, `generated` for near-verbatim extraction. Each secret
    is ranked among `references` values, chosen among `candidates`, and reconstructed from
    `proposals`. `duplication_shares` maps a repetition count to its share of the real corpus.
    `attacks` names the scores. Membership is reported at `more_rates` beside the nominal
    false-positive rates.

    Raises:
        InputError: a number out of range or an unknown attack.
    """

    prefix: int = 50
    suffix: int = 50
    stride: int | None = None
    least_answer: int = 5
    window: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    tries: int = 1000
    probability: float = 0.5
    texts: int = 2000
    control_texts: int = 200
    generated: int = 50
    references: int = 2000
    candidates: int = 100
    proposals: int = 64
    attacks: tuple[str, ...] = ATTACKS
    duplication_shares: Mapping[int, float] | None = None
    training: Training = field(default_factory=Training)
    more_rates: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        least = {
            "prefix": 1, "suffix": 1, "least_answer": 1, "tries": 1, "texts": 2, "control_texts": 2,
            "generated": 0, "references": 100, "candidates": 2, "proposals": 1, "seed": 0,
        }  # fmt: skip
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"{name}: {getattr(self, name)}; expected at least {low}")
        if not 0 < self.probability < 1:
            raise InputError(f"probability: {self.probability}; expected a share between 0 and 1")
        if self.stride is not None and self.stride < 1:
            raise InputError(f"stride: {self.stride}; expected at least 1 token")
        if self.window is not None and self.window < 2:
            raise InputError(f"window: {self.window}; expected at least 2 tokens")
        for repetitions, share in (self.duplication_shares or {}).items():
            if repetitions < 1 or not share >= 0:
                raise InputError(
                    f"duplication_shares: {repetitions}: {share}; expected repetition counts from "
                    "1 with shares of at least 0"
                )
        for name in self.attacks:
            if name not in ATTACKS:
                raise InputError(
                    f"attacks: unknown {name!r}; expected some of {', '.join(ATTACKS)}"
                )

    @property
    def step(self) -> int:
        """Tokens from one probe to the next where not every place can be tried."""
        return self.stride or max(1, self.suffix // 2)
