"""Any bytes are read, or refused in one clear line: quickly, and in bounded memory."""

from __future__ import annotations

import itertools
import struct
import warnings
from pathlib import Path

import pytest
from hostile_limits import bounded
from hostile_parsers import PARSERS, attempt
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

_EXTREMES = (
    b"\x00",
    b"\xff",
    *(struct.pack("<I", n) for n in (0, 1, 2**31 - 1, 2**32 - 1)),
    *(struct.pack("<Q", n) for n in (2**32, 2**63 - 1, 2**64 - 1)),
)


@st.composite
def mutations(draw: st.DrawFn, seeds: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """A valid input with a few things cut out, put in, written over or doubled."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((0, 1, 4, 8, 64, 1 << 30))))
        piece = draw(
            st.sampled_from((b"", *_EXTREMES, *words))
            | st.binary(max_size=12)
            | st.just(content[start:end] * 2)
        )
        over = draw(st.booleans())
        content = content[:start] + piece + content[start + len(piece) if over else end :]
    return content


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_are_read_or_refused_in_one_line(name: str, tmp_path: Path, tally) -> None:
    parser = PARSERS[name]
    seeds, numbers = parser.seeds(), itertools.count()
    answers: list[str | None] = []

    def one(content: bytes) -> None:
        (folder := tmp_path / str(next(numbers))).mkdir()
        answers.append(attempt(parser, content, folder))

    for content in seeds:
        one(content)
    words = [
        content[: place.start] + word + content[place.stop :]
        for content in seeds
        for place in parser.places(content)
        for word in parser.words
    ]

    # A fixed seed: the same inputs on every machine. The fuzzer is there to look for others.
    @seed(8)
    @settings(
        max_examples=parser.examples,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(content=mutations(seeds, parser.words))
    def every(content: bytes) -> None:
        one(content)

    with warnings.catch_warnings(), bounded(gib=3, seconds=60):
        warnings.simplefilter("ignore")
        for content in words:
            one(content)
        every()
    # Mutations that nothing refuses would test nothing.
    assert any(answers[len(seeds) :])
    tally(f"hostile: {name}", len(answers))
