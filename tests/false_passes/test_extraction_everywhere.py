"""A text is asked to go on wherever it can be recited, and an answer behind its prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from faker import Faker
from reciting_model import RECIPE, sentences

from memory_assets.config.language_model import LanguageModelSubject, TextsSpec
from memory_assets.errors import InputError
from memory_assets.examples.notes import train_tokenizer
from memory_assets.language.audit import audit_language_model
from memory_assets.language.model import (
    LanguageModel,
    as_language_model,
    load_language_model,
    load_tokenizer,
)
from memory_assets.language.options import LanguageOptions
from memory_assets.language.result import LanguageAudit
from memory_assets.language.signals import Sampling, token_signals
from memory_assets.language.text_audit import probe_texts, read_side
from memory_assets.language.windows import cut_otherwise, cut_seams, cut_windows
from memory_assets.models.gpt2 import gpt2
from memory_assets.records.overlap import measure_overlap
from memory_assets.records.texts import Texts, load_texts
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.workflows.language import prepare_texts, read_texts

pytestmark = pytest.mark.slow

WINDOW = 64
SHORT = LanguageOptions(prefix=8, suffix=8, generated=0, attacks=("loss",), control_texts=100)
PLAIN = replace(SHORT, prefix=50, suffix=50)


def joined(headers: Sequence[str], texts: Texts) -> Texts:
    """The texts, each behind a header that no training has seen."""
    both = zip(headers, texts.texts, strict=True)
    return Texts(texts.ids, tuple(f"{header} {text}" for header, text in both))


def headers(count: int, seed: int, words: int = 9) -> list[str]:
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return [" ".join(fake.words(words)) for _ in range(count)]


def answers(name: str, count: int, seed: int, words: int = 5) -> Texts:
    texts = tuple(f"{header}." for header in headers(count, seed, words))
    prompts = tuple(f"What about {header}?" for header in headers(count, seed + 1, 3))
    return Texts(tuple(f"{name}-{i}" for i in range(count)), texts, prompts=prompts, template=ASKED)


ASKED = "Q: {prompt} A: {answer} End"


def _crop(ids: np.ndarray, rng: np.random.Generator, vocabulary: int) -> tuple[np.ndarray, int]:
    """Any part of a passage behind noise, and the tokens of it that are not learned."""
    ids = ids[rng.integers(0, max(1, len(ids) - 16)) :]
    noise = rng.integers(1, vocabulary, rng.integers(0, WINDOW - 1 - len(ids)))
    return np.concatenate([noise, ids]), len(noise) + 6


def _teach(model: LanguageModel, passages: Texts, pairs: Texts, steps: int) -> None:
    """Teach passages wherever they stand, and answers with the loss on these alone."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.model.parameters(), 1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    plain = model.encode_all(list(passages.texts))
    asked = [
        (whole, len(before))
        for whole, before in zip(
            model.encode_all(list(pairs.whole)), model.encode_all(list(pairs.before)), strict=True
        )
    ]
    model.model.train()
    for _ in range(steps):
        rows = [_crop(ids, rng, model.vocabulary) for ids in plain] + asked
        ids = torch.zeros(len(rows), WINDOW, dtype=torch.int64)
        labels = torch.full_like(ids, -100)
        for i, (row, given) in enumerate(rows):
            ids[i, : len(row)] = torch.from_numpy(row)
            labels[i, given : len(row)] = torch.from_numpy(row[given:])
        loss = model.model(ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.model.eval()


@dataclass(frozen=True)
class Taught:
    """A model's folder, the 24 passages that it recites anywhere, others that it never saw, and 16
    answers to masked prompts beside 50 others."""

    folder: Path
    model: LanguageModel
    passages: Texts
    others: Texts
    answers: Texts
    other_answers: Texts


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("everywhere") / "model"
    folder.mkdir()
    train_tokenizer(list(sentences("t", 200, 4).texts), replace(RECIPE, vocabulary=640), folder)
    tokenizer = load_tokenizer(folder)
    torch.manual_seed(1)
    plain = gpt2(len(tokenizer), WINDOW, 2, 64, 4)
    model = as_language_model(plain, tokenizer, "taught", "cpu")
    passages, others = sentences("m", 24, 1), sentences("h", 110, 2)
    pairs, other_pairs = answers("a", 16, 11), answers("b", 50, 21)
    _teach(model, passages, pairs, 150)
    plain.config.pad_token_id = tokenizer.pad_token_id
    plain.save_pretrained(folder)
    return Taught(
        folder, load_language_model(folder, device="cpu"), passages, others, pairs, other_pairs
    )


def rate(audit: LanguageAudit, stratum: str, metric: str = "extraction_rate") -> tuple[int, int]:
    found = [m.estimate for m in audit.measurements if (m.metric, m.stratum) == (metric, stratum)]
    return found[0].k or 0, found[0].n


def test_a_passage_behind_a_header_is_found(taught: Taught) -> None:
    members = joined(headers(24, 31), taught.passages)
    held_out = joined(headers(110, 32), taught.others)
    header = taught.model.encode_all(headers(24, 31))
    assert min(map(len, header)) >= SHORT.prefix + SHORT.suffix
    found = audit_language_model(taught.folder, members, held_out, options=SHORT, device="cpu")
    hits, texts = rate(found, "all")
    assert hits >= 23
    assert texts == 24
    assert rate(found, "held_out") == (0, 110)
    tried, places = rate(found, "all", "positions_tried")
    lengths = [len(ids) for ids in taught.model.encode_all(list(members.texts))]
    assert tried == places == sum(n - 15 for n in lengths)
    assert rate(found, "all", "sampled_extraction_rate")[0] >= hits


@pytest.mark.parametrize("before", [WINDOW - 14, WINDOW - 8, WINDOW + 3, 2 * WINDOW - 12])
def test_a_passage_over_the_border_of_two_windows_or_in_a_later_one(taught: Taught, before: int):
    """The passage is short: no window holds a whole prefix and suffix of it over the border."""
    model = taught.model
    noise = np.random.default_rng(before).integers(1, model.vocabulary, (24, before))
    rows = model.encode_all(list(taught.passages.texts))
    members = Texts(
        taught.passages.ids,
        tuple(
            model.decode(np.concatenate([n, ids[:24]])) for n, ids in zip(noise, rows, strict=True)
        ),
    )
    found = audit_language_model(taught.folder, members, options=SHORT, device="cpu")
    hits, texts = rate(found, "all")
    assert texts == 24
    assert hits >= 20


def test_answers_to_masked_prompts_are_found(taught: Taught) -> None:
    """All of them are shorter than the suffix."""
    found = audit_language_model(
        taught.folder, taught.answers, taught.other_answers, options=PLAIN, device="cpu"
    )
    assert rate(found, "all") == (16, 16)
    assert rate(found, "held_out") == (0, 50)
    rows = found.record_scores.to_pylist()
    loss = {r["record_id"]: r["score"] for r in rows if r["attack"] == "loss"}
    mine, others = ([loss[n] for n in t.ids] for t in (taught.answers, taught.other_answers))
    assert min(mine) > max(others)
    # The answer's own tokens, given the prompt.
    whole, before = (
        taught.model.encode(t[0]) for t in (taught.answers.whole, taught.answers.before)
    )
    told = token_signals(taught.model, [whole]).log_p[len(before) - 2 :]
    assert loss[taught.answers.ids[0]] == pytest.approx(told.mean(), abs=1e-4)


def test_near_verbatim_is_tried_where_a_text_is_recited(taught: Taught) -> None:
    options = replace(SHORT, generated=24)
    members = joined(headers(24, 31), taught.passages)
    found = audit_language_model(taught.folder, members, options=options, device="cpu")
    assert rate(found, "all", "near_verbatim_rate")[0] >= 20
    found = audit_language_model(taught.folder, taught.answers, options=options, device="cpu")
    assert rate(found, "all", "near_verbatim_rate") == (16, 16)


def test_answers_that_were_parted_otherwise_are_found(taught: Taught) -> None:
    """The space before an answer belongs to its first token; a trainer that masks as many tokens as
    the prompt has never taught that token, and one that encodes the two apart has others."""
    model, pairs = taught.model, taught.answers
    whole, before = model.encode(pairs.whole[0]), model.encode(pairs.before[0])
    assert not np.array_equal(whole[: len(before)], before)
    windows, _, _ = cut_windows(model, pairs, WINDOW)
    assert windows is not None
    more = cut_otherwise(model, windows, WINDOW)
    assert more is not None
    assert np.bincount(more.document).tolist() == [2] * 16
    apart = np.concatenate([before, model.encode(pairs.texts[0])])
    assert [ids.tolist() for ids in more.sequences[:2]] == [apart.tolist(), whole.tolist()]
    assert more.lead[:2].tolist() == [len(before)] * 2


def test_short_answers_are_said_and_not_probed(taught: Taught) -> None:
    pairs = Texts(("yes", "long"), ("Yes", taught.answers.texts[0]), prompts=("Is it?", "Why?"))
    found = audit_language_model(taught.folder, pairs, options=PLAIN, device="cpu")
    assert rate(found, "all")[1] == 1
    assert "answers of fewer than 5 tokens, not probed for extraction: 'yes'" in found.notices


def test_every_place_is_probed_once_and_scores_count_no_token_twice(taught: Taught) -> None:
    model = taught.model
    text = " ".join(taught.others.texts[:8])
    windows, _, _ = cut_windows(model, Texts(("a",), (text,)), WINDOW)
    assert windows is not None
    length = len(windows.tokens[0])
    assert windows.by_text(token_signals(model, windows.sequences)).lengths.sum() == sum(
        len(ids) - 1 for ids in windows.sequences
    )
    for prefix, suffix, window in ((8, 8, WINDOW), (20, 20, 43), (3, 9, 12)):
        cut, _, _ = cut_windows(model, Texts(("a",), (text,)), window)
        assert cut is not None
        seams = cut_seams(cut, window, prefix, suffix, 1)
        options = replace(SHORT, prefix=prefix, suffix=suffix)
        found = probe_texts(read_side(model, cut, Sampling(), more=seams), options)
        assert found.tried == found.places == length - prefix - suffix + 1
        assert seams is not None
        assert max(map(len, seams.sequences)) <= window


def test_where_windows_are_tight_no_gap_is_wider_than_the_stride(taught: Taught) -> None:
    text = " ".join(taught.others.texts[:8])
    windows, _, _ = cut_windows(taught.model, Texts(("a",), (text,)), 17)
    assert windows is not None
    seams = cut_seams(windows, 17, 8, 8, 4)
    assert seams is not None
    places = {int(s) + 8 for s in seams.start} | {int(s) + 9 for s in seams.start}
    places |= {s + p for s in range(0, len(windows.tokens[0]), 17) for p in (8, 9)}
    ordered = sorted(p for p in places if p <= len(windows.tokens[0]) - 8)
    assert max(np.diff(ordered)) <= 4


def test_long_answers_are_scored_once_and_probed_over_the_border(taught: Taught) -> None:
    """A prompt and an answer of three windows."""
    pairs = Texts(("a",), (" ".join(taught.others.texts[:5]),), prompts=("Tell me " * 30,))
    windows, _, _ = cut_windows(taught.model, pairs, WINDOW)
    assert windows is not None
    side = read_side(taught.model, windows, Sampling())
    answer = taught.model.encode(pairs.whole[0])[len(taught.model.encode(pairs.before[0])) :]
    assert side.by_text.lengths.tolist() == [len(answer)] == windows.answers.tolist()
    found = probe_texts(side, SHORT)
    assert found.tried == found.places == len(answer) - 7


ROWS = [
    {"id": 1, "ask": "Who?", "answer": "Nobody at all."},
    {"id": 2, "ask": "When?", "answer": "Never again."},
]


def test_prompts_are_read_stored_and_part_of_the_digest(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "m.parquet")
    spec = TextsSpec(path="m.jsonl", column="answer", id="id", prompt="ask", separator="\n")
    texts = spec.load(tmp_path)
    assert texts.whole == ("Who?\nNobody at all.", "When?\nNever again.")
    assert (
        texts.digest
        == load_texts(tmp_path / "m.parquet", "answer", "id", "ask", "{prompt}\n{answer}").digest
    )
    others = [replace(texts, template="{prompt}{answer}"), replace(texts, prompts=("Who?", "Why?"))]
    others.append(load_texts(tmp_path / "m.jsonl", "answer", "id"))
    assert len({each.digest for each in (texts, *others)}) == 4

    subject = LanguageModelSubject.model_validate(
        {"subject": "s", "checkpoints": "models", "members": spec.model_dump()}
    )
    store = ArtifactStore(tmp_path / "store")
    folder = prepare_texts(subject, tmp_path, store).path
    assert read_texts(folder)[0].digest == texts.digest


def test_held_out_answers_to_other_prompts_are_no_copies() -> None:
    """Prompt and answer together tell texts apart, and not what a template adds to each."""
    mine = Texts(("a", "b"), ("Yes.", "Yes."), prompts=("Is it so?", "Was it so?"))
    theirs = Texts(("c", "d"), ("Yes.", "Yes."), prompts=("Is it so?", "Will it be?"))
    system = "You are a helpful assistant who answers in one word. {prompt} {answer}"
    mine, theirs = replace(mine, template=system), replace(theirs, template=system)
    found = measure_overlap(mine, theirs)
    assert found.first.tolist() == [True, True]
    assert found.near.tolist() == [True, False]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"separator": " "}, "add prompt"),
        ({"prompt": "text"}, "column names that of the answers"),
        ({"prompt": "ask", "separator": " ", "template": "{prompt}{answer}"}, "leave one out"),
        ({"prompt": "ask", "template": "{answer}{prompt}"}, "expected {prompt} once"),
        ({"prompt": "ask", "template": "Q: {prompt}"}, "expected {prompt} once"),
    ],
)
def test_unclear_prompts_are_refused(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TextsSpec.model_validate({"path": "m.jsonl", **fields})


def test_answers_are_compared_with_answers_only(tmp_path: Path) -> None:
    asked = {"path": "m.jsonl", "column": "answer", "prompt": "ask"}
    plain = {"subject": "s", "checkpoints": "models", "members": asked}
    for held_out, said in (
        ({"path": "h.jsonl"}, "members have a prompt and held_out have none"),
        ({**asked, "separator": " "}, "expected the same, as the model was trained"),
    ):
        with pytest.raises(ValueError, match=said):
            LanguageModelSubject.model_validate({**plain, "held_out": held_out})
    (tmp_path / "m.txt").write_text("one\n\ntwo")
    with pytest.raises(InputError, match="plain text has no column 'ask' of prompts"):
        load_texts(tmp_path / "m.txt", "answer", prompt="ask")
    (tmp_path / "m.jsonl").write_text('{"ask": null, "answer": "No."}')
    with pytest.raises(InputError, match="prompt of text 'm:000001' is a NoneType"):
        load_texts(tmp_path / "m.jsonl", "answer", prompt="ask")
