"""Secrets that are ranked unfairly, or end an audit, unless somebody takes care."""

from dataclasses import replace

import numpy as np
import pytest

from memory_assets.language import pii
from memory_assets.language.audit import audit_language_model
from memory_assets.language.exposure import CHANCE
from memory_assets.language.model import LanguageModel, untrained_like
from memory_assets.language.options import LanguageOptions
from memory_assets.language.preflight import Training, fit_values, preflight, value_start
from memory_assets.language.secret_audit import probe_secrets, ranking_notices, unplanted_control
from memory_assets.records.secrets import Manifest, Secret, draw_values, load_secrets
from memory_assets.records.texts import Texts

pytestmark = pytest.mark.slow

PROBE = {"references": 200, "candidates": 5, "proposals": 2, "top_k": 10, "seed": 1}
WORDS = [
    "password",
    "sunshine",
    "welcome",
    "dragonfly",
    "football",
    "superman",
    "computer",
    "tiger",
]


@pytest.fixture(scope="module")
def blank(trained) -> LanguageModel:
    return untrained_like(trained.model)


def probe(model, *secrets):
    return probe_secrets(model, secrets, {s.id: 0 for s in secrets}, **PROBE)


def bits(found) -> list[float]:
    return [f.exposure.bits for f in found if f.exposure is not None]


def filled(model: LanguageModel, tokens: int) -> str:
    """A text of so many tokens that ends where a word does."""
    text = "One"
    while len(model.encode(text + " a")) <= tokens:
        text += " a"
    assert len(model.encode(text)) == tokens
    return text


def test_listed_secrets_are_at_chance_for_a_model_that_never_learned(blank, tmp_path):
    numbers = [
        *draw_values("LN-######", "en_US", 12, seed=1),
        *draw_values("###-####-####", "en_US", 12, seed=2),
    ]
    rows = [f"The key of user {i} is ,{value}" for i, value in enumerate([*WORDS, *numbers])]
    path = tmp_path / "secrets.csv"
    path.write_text("\n".join(["prefix,value", *rows]))
    found = probe(blank, *load_secrets(path))
    ranked = bits(found)
    # A word is likelier than random letters for its few tokens alone: it is not ranked.
    assert [f.exposure is None for f in found] == [True] * len(WORDS) + [False] * len(numbers)
    assert all(f.inferred is None for f in found[: len(WORDS)])
    assert np.mean(ranked) == pytest.approx(CHANCE, abs=3 * CHANCE / np.sqrt(len(ranked)))
    control = unplanted_control(found)
    assert control is not None
    assert control.passed
    (said,) = ranking_notices(found)
    assert "'secret-0001', 'secret-0002', 'secret-0003' and 5 more" in said


def words(model: LanguageModel, before: str = "") -> list[str]:
    """Words that are a single token together with what stands before them."""
    texts = [model.tokenizer.decode([token]) for token in range(model.vocabulary)]
    found = [text.removeprefix(before) for text in texts if text.startswith(before)]
    return [word for word in found if word.isalpha() and len(word) > 2]


def test_a_secret_with_nothing_before_its_value_is_left_out_and_the_others_are_tried(trained):
    word = words(trained.model)[0]
    odd = Secret("joined", word[:1], word[1:], pattern="???")
    empty = Secret("empty", "", "424242", pattern="######")
    planted = next(s for s in trained.manifest.secrets if s.repetitions == 8)
    audit = audit_language_model(
        trained.folder,
        trained.members,
        manifest=Manifest((odd, planted, empty)),
        options=LanguageOptions(prefix=8, suffix=8, references=150, generated=0, proposals=4),
        device="cpu",
    )
    assert [f.secret.id for f in audit.secrets] == [planted.id]
    for name in ("joined", "empty"):
        assert any(
            line.startswith(f"secret '{name}': no token of its own stands before its value")
            for line in audit.notices
        )
    # With a start token there is something before the value.
    started = replace(trained.model, start=0)
    ready = preflight(started, [odd, empty], trained.members, Training())
    assert ready.trained == {"joined": 0, "empty": 0}
    assert len(probe(started, odd, empty)) == 2


def test_references_that_join_the_prefix_are_left_out(blank):
    first = words(blank)[0][:1]
    values = draw_values("???????", "en_US", 24, seed=5)
    secrets = [Secret(v, first, v, pattern="???????") for v in values]
    fit = fit_values(blank, secrets[0], values)
    assert 0 < len(fit.good) < len(values)
    found = probe(blank, *(secrets[i] for i in fit.good))
    assert all(f.misfits for f in found)
    ranked = bits(found)
    assert np.mean(ranked) == pytest.approx(CHANCE, abs=3 * CHANCE / np.sqrt(len(ranked)))


class Lossy:
    """A tokenizer that does not know a letter."""

    def __init__(self, inner, letter: str):
        self.inner, self.letter = inner, letter

    def __call__(self, *args, **options):
        return self.inner(*args, **options)

    def __getattr__(self, name: str):
        return getattr(self.inner, name)

    def decode(self, ids, **options) -> str:
        return self.inner.decode(ids, **options).replace(self.letter, "?")


def test_what_the_tokenizer_cannot_write_is_neither_a_secret_nor_a_reference(blank):
    """Left among the references only, it would have a rank that the secret cannot have."""
    lossy = replace(blank, tokenizer=Lossy(blank.tokenizer, "k"))
    names = draw_values("faker:name", "en_US", 300, seed=4)
    secrets = [Secret(name, "Signed by ", name, pattern="faker:name") for name in set(names)]
    ready = preflight(lossy, secrets, Texts(("a",), ("nothing",)), Training())
    assert set(ready.trained) == {name for name in names if "k" not in name} < set(names)
    (found,) = probe(lossy, next(s for s in secrets if s.id in ready.trained))
    every = found.secret.references(PROBE["references"], PROBE["seed"])
    assert found.misfits == sum("k" in value for value in every) > 0


def test_references_longer_than_the_context_are_left_out_and_the_rank_stays_fair(blank):
    prefix = filled(blank, blank.room - 12)
    names = draw_values("faker:name", "en_US", 12, seed=6)
    secrets = [Secret(name, prefix, name, pattern="faker:name") for name in names]
    fit = fit_values(blank, secrets[0], names)
    assert 0 < len(fit.good) < len(names)
    found = probe(blank, *(secrets[i] for i in fit.good))
    for one in found:
        assert one.exposure is not None
        assert one.misfits > 0
        assert one.exposure.size == PROBE["references"] + 1 - one.misfits
        assert one.exposure.ceiling == pytest.approx(np.log2(one.exposure.size))
    ranked = bits(found)
    assert np.mean(ranked) == pytest.approx(CHANCE, abs=3 * CHANCE / np.sqrt(len(ranked)))
    said = ranking_notices(found[:1])
    assert said == [
        f"secret {found[0].secret.id!r}: {found[0].misfits} of the values drawn to rank it among "
        "do not fit the model; ranked among the others"
    ]


def test_where_too_few_references_fit_a_secret_is_not_ranked(blank):
    value = "12" * 3
    prefix = filled(blank, blank.room - len(blank.encode(value)))
    (found,) = probe(blank, Secret("s", prefix, value, pattern="faker:street_address"))
    assert found.exposure is None
    assert "too few are left to rank it" in ranking_notices([found])[0]


def test_proposals_behind_which_the_suffix_does_not_fit_are_ranked_by_what_fits(blank):
    # In the text, the value's last letters are one token with the suffix's first.
    values = [" " + word[:-1] for word in words(blank, " ")]
    i = next(i for i, value in enumerate(values) if len(blank.encode(value)) == 2)
    suffix = words(blank, " ")[i][-1] + " a"
    secret = Secret("s", filled(blank, blank.room - 2), values[i], suffix)
    assert fit_values(blank, secret, [secret.value]).good.size
    assert len(value_start(blank, secret)[0]) + len(blank.encode(suffix)) == blank.room + 2
    assert pii.reconstructs(blank, secret, 8, 10, seed=0) in (True, False)
