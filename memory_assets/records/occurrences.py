"""Where secrets stand in texts, in whatever spelling, and in which a model was taught them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from memory_assets.records.normal import find_all, normal, seen, with_places
from memory_assets.records.secrets import RespelledSecret, Secret
from memory_assets.records.texts import Texts

_BETWEEN = "\x00"


@dataclass(frozen=True)
class Copy:
    """One place where a secret stands: `text` is the number of the text, the others are characters
    in it: where the prefix and the value begin, and where the value ends."""

    text: int
    start: int
    value: int
    end: int


class Corpus:
    """Texts in which secrets are looked for, as they are written and in their normal form."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts.whole
        self._written = _Joined(self.texts)
        self._normal = _Joined(map(normal, self.texts))
        # A manifest is checked, its secrets respelled and their training counted, one by one.
        self._found: dict[tuple[str, str], tuple[Copy, ...]] = {}
        self._last: tuple[int, str, array[int]] | None = None  # asked for by secret after secret

    def copies(self, secret: Secret) -> tuple[Copy, ...]:
        """Every place where prefix and value of a secret stand together, in any spelling."""
        asked = secret.prefix, secret.value
        if asked not in self._found:
            self._found[asked] = tuple(self._look_for(secret))
        return self._found[asked]

    def _look_for(self, secret: Secret) -> list[Copy]:
        probe, value = normal(secret.prefix + secret.value), normal(secret.value)
        written = secret.prefix + secret.value
        exact = self._written.find(written)
        alike = self._normal.find(probe) if value and probe.endswith(value) else {}
        found: list[Copy] = []
        for text in sorted(exact | alike):
            begin = len(secret.prefix)
            plain = [Copy(text, at, at + begin, at + len(written)) for at in exact.get(text, ())]
            more = len(alike.get(text, ())) > len(plain)
            spelled = self._respelled(text, probe, value) if more else []
            found += max(plain, spelled, key=len)
        return found

    def _respelled(self, text: int, probe: str, value: str) -> list[Copy]:
        """The places of one text where the normal form holds the probe."""
        if self._last is None or self._last[0] != text:
            self._last = text, *with_places(self.texts[text])
        _, whole, places = self._last
        found = []
        for at in find_all(whole, probe):
            middle, end = places[at + len(probe) - len(value)], places[at + len(probe)]
            kept = seen(self.texts[text][middle:end].rstrip())
            found.append(Copy(text, places[at], middle, middle + len(kept)))
        return found

    def spelling(self, secret: Secret, copies: Sequence[Copy]) -> Secret:
        """The secret in the spelling in which most of its copies stand, its own if there is none
        that is more frequent."""
        forms = Counter(
            (self.texts[c.text][c.start : c.value], self.texts[c.text][c.value : c.end])
            for c in copies
        )
        if not forms:
            return secret
        prefix, value = max(forms, key=lambda form: forms[form])
        if forms[prefix, value] <= forms[secret.prefix, secret.value]:
            return secret
        fields = vars(replace(secret, prefix=prefix, value=value))
        return RespelledSecret(**fields, listed=secret.value)


class _Joined:
    """Many texts as one, so that a part is looked for in all at once."""

    def __init__(self, texts: Iterable[str]) -> None:
        parts = list(texts)
        self._starts = [0, *accumulate(len(part) + len(_BETWEEN) for part in parts)]
        self._whole = _BETWEEN.join(parts)

    def find(self, part: str) -> dict[int, list[int]]:
        """The places where a part stands, by the number of the text."""
        found: dict[int, list[int]] = {}
        for at in find_all(self._whole, part):
            text = bisect_right(self._starts, at) - 1
            found.setdefault(text, []).append(at - self._starts[text])
        return found


def respelled(secrets: Sequence[Secret], corpus: Corpus) -> tuple[tuple[Secret, ...], list[str]]:
    """The secrets in the spelling of the corpus, and one line about each that changed.

    A model was taught a secret in that spelling, and is asked for it so.
    """
    found, said = [], []
    for secret in secrets:
        copies = corpus.copies(secret)
        form = corpus.spelling(secret, copies)
        found.append(form)
        if form is not secret:
            said.append(
                f"secret {secret.id!r}: stands in the members in another spelling (width, case, "
                "white space or unseen signs) than in the list; it is tried as it stands there"
            )
    return tuple(found), said
