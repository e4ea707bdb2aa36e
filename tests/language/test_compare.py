"""Two models are compared over the same characters, and a bad reference costs no more than that."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_language import TINY

from memory_assets.errors import InputError
from memory_assets.examples.notes import train_tokenizer
from memory_assets.language.audit import audit_language_model
from memory_assets.language.compare import compare, shared_tokens
from memory_assets.language.model import LanguageModel, load_language_model, untrained_like
from memory_assets.language.options import LanguageOptions
from memory_assets.language.signals import Sampling, token_signals
from memory_assets.language.text_audit import Side, read_side
from memory_assets.language.windows import cut_windows
from memory_assets.records.texts import Texts

pytestmark = pytest.mark.slow

OPTIONS = LanguageOptions(prefix=8, suffix=8, generated=0, attacks=("loss", "reference"))
JAPANESE = "東京の空は青い。 Tokyo's sky is blue."


def side_of(model: LanguageModel, *texts: str, window: int = 40) -> Side:
    named = Texts(tuple(f"t{i}" for i in range(len(texts))), texts)
    windows, _, _ = cut_windows(model, named, window)
    assert windows is not None
    return read_side(model, windows, Sampling(top_k=0))


@st.composite
def cut_texts(draw):
    """A text's length, and for two models where its tokens begin (-1: within a character) and
    which of them are scored."""
    length = draw(st.integers(1, 12))
    found = []
    for _ in range(2):
        cuts = sorted(draw(st.sets(st.integers(1, length), max_size=6)) - {length})
        begins = [0]
        for cut in cuts:
            begins += [-1] * draw(st.integers(0, 2)) + [cut]
        scored = draw(st.lists(st.booleans(), min_size=len(begins), max_size=len(begins)))
        found.append((np.array(begins), np.array(scored)))
    return length, found


def _characters(length, begins, kept) -> set[int]:
    """The characters that the kept tokens cover; tokens within a character share it."""
    edges = np.append(np.where(begins >= 0, begins, -1), length)
    covered: set[int] = set()
    for i in np.flatnonzero(kept):
        low = max(e for e in edges[: i + 1])
        high = min(e for e in edges[i + 1 :] if e >= 0)
        covered |= set(range(low, high))
    return covered


@given(cut_texts())
def test_what_is_compared_are_the_same_characters_scored_by_both(given_):
    length, ((mine, my_scored), (theirs, their_scored)) = given_
    kept = shared_tokens((mine, theirs), (my_scored, their_scored))
    assert not (kept[0] & ~my_scored).any()
    assert not (kept[1] & ~their_scored).any()
    assert _characters(length, mine, kept[0]) == _characters(length, theirs, kept[1])
    same = shared_tokens((mine, mine), (my_scored, my_scored))
    if (mine >= 0).all():
        assert (same[0] == my_scored).all()


def test_a_start_token_on_one_side_adds_nothing(trained):
    texts = trained.members.texts[:3]
    side = side_of(trained.model, *texts)
    started = replace(trained.model, start=5)
    found = compare(trained.model, side, started, 40)
    # By hand: of each window, what both have scored are the tokens after the first.
    theirs = token_signals(started, side.windows.sequences)
    later = [part[1:].sum() for part in np.split(theirs.log_p, theirs.offsets[1:-1])]
    assert found.target == pytest.approx(
        np.add.reduceat(side.by_text.log_p, side.by_text.offsets[:-1])
    )
    assert found.reference == pytest.approx(np.bincount(side.windows.document, later), rel=1e-5)
    assert found.tokens.tolist() == side.by_text.lengths.tolist()
    first = theirs.log_p[theirs.offsets[:-1]].sum() / np.log(2)
    assert first < -10 * len(side.windows.sequences)
    # And the other way round.
    back = compare(started, side_of(started, *texts), trained.model, 40)
    assert back.target == pytest.approx(found.reference)
    assert back.reference == pytest.approx(found.target)


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory) -> LanguageModel:
    """An untrained model with a tokenizer of its own, to which `Okthen` is one token."""
    folder = tmp_path_factory.mktemp("other")
    texts = [*trained.held_out.texts[:40], *["Okthen"] * 400]
    train_tokenizer(texts, replace(TINY, vocabulary=340), folder)
    untrained_like(trained.model).model.save_pretrained(folder)
    return load_language_model(folder, device="cpu")


def test_another_tokenizer_and_other_windows_are_compared_piece_by_piece(trained, other):
    texts = (" ".join(trained.members.texts[:2]), JAPANESE)
    side = side_of(trained.model, *texts)
    found = compare(trained.model, side, other, 25)
    assert found.known.all()
    mine = [len(trained.model.encode(t)) for t in texts]
    assert (0.5 * np.array(mine) < found.tokens).all()
    assert (found.tokens < mine).all()
    # A model without any knowledge pays about the same for each of its tokens.
    assert (found.reference < -0.5 * found.tokens * np.log(300)).all()


def test_tokenizers_that_know_no_places_are_compared_where_their_tokens_agree(trained, other):
    class Slow:
        is_fast = False

        def __init__(self, inner):
            self.inner = inner

        def __call__(self, *args, **options):
            return self.inner(*args, **options)

    slow = replace(trained.model, tokenizer=Slow(trained.model.tokenizer))
    side = side_of(trained.model, *trained.members.texts[:2])
    same = compare(slow, side, trained.model, 40)
    assert same.target == pytest.approx(same.reference)
    assert same.known.all()
    assert not compare(slow, side, other, 40).known.any()


def value(audit, name, metric):
    (row,) = [m.estimate for m in audit.measurements if (m.name, m.metric) == (name, metric)]
    return row


def scored(audit, attack) -> set[str]:
    return {r["record_id"] for r in audit.record_scores.to_pylist() if r["attack"] == attack}


def test_a_text_that_the_reference_cannot_read_is_left_out_of_what_needs_it(trained, other):
    members = Texts((*trained.members.ids[:9], "odd"), (*trained.members.texts[:9], "Okthen"))
    assert len(other.encode("Okthen")) == 1
    audit = audit_language_model(
        trained.folder,
        members,
        trained.held_out.take(np.arange(9)),
        reference=other.name,
        options=OPTIONS,
        device="cpu",
    )
    texts = len(scored(audit, "loss")) - 9
    assert "odd" in scored(audit, "loss")
    assert scored(audit, "loss") - scored(audit, "reference") == {"odd"}
    assert value(audit, "unintended", "mean_bits").n == texts - 1
    assert [n for n in audit.notices if "not compared: 'odd'" in n]
    alone = audit_language_model(
        trained.folder, members.take(np.array([9])), reference=other.name, options=OPTIONS,
        device="cpu",
    )  # fmt: skip
    assert value(alone, "unintended", "mean_bits").status == "not_run"
    assert value(alone, "reference", "auc").status == "not_run"


def test_a_reference_whose_weights_are_no_numbers_is_refused(trained, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(trained.folder, broken)
    bad = load_language_model(trained.folder, device="cpu").model
    with torch.no_grad():
        bad.get_output_embeddings().weight.fill_(torch.nan)
    bad.save_pretrained(broken)
    with pytest.raises(InputError, match=r"broken: .* not finite"):
        audit_language_model(
            trained.folder,
            trained.members.take(np.arange(9)),
            trained.held_out.take(np.arange(9)),
            reference=broken,
            options=OPTIONS,
            device="cpu",
        )
