"""Full-width and half-width twins are one text: for overlap, secrets, near-verbatim and PII."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_assets.examples.notes import NotesRecipe, train, train_tokenizer
from memory_assets.language import extraction, pii
from memory_assets.language.audit import audit_language_model
from memory_assets.language.model import LanguageModel, load_language_model
from memory_assets.language.options import LanguageOptions
from memory_assets.language.preflight import Training, preflight
from memory_assets.language.windows import choose_texts
from memory_assets.records import overlap
from memory_assets.records.normal import normal, with_places
from memory_assets.records.occurrences import Corpus, respelled
from memory_assets.records.overlap import measure_overlap
from memory_assets.records.planted import check_manifest
from memory_assets.records.secrets import Manifest, Secret, load_secrets
from memory_assets.records.text_pairs import pair_texts
from memory_assets.records.texts import Texts

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
TINY = NotesRecipe(
    vocabulary=512, layers=2, width=64, heads=2, window=96, batch_tokens=1024, lr=1e-2, epochs=40
)


def wide(text: str) -> str:
    return text.translate(WIDE)


def prose(words: int = 12) -> str:
    return " ".join("".join(RNG.choice(list("abcdefghij"), 6)) for _ in range(words))


def named(*texts: str) -> Texts:
    return Texts(tuple(map(str, range(len(texts)))), texts)


SIGNS = "ｶﾞﾊﾟか\u3099 \n\u3000\u200b\ufeff\u00adﬁ①Ａａ：:ßΣςİ\u1100\u1161\u11a8e\u0301\u00a8ﷺx"


@given(st.text(st.sampled_from(SIGNS), max_size=40) | st.text(max_size=40), st.integers(1, 6))
def test_the_normal_form_is_the_same_in_pieces_and_has_places(text: str, piece: int) -> None:
    found, places = with_places(text)
    assert found == normal(text) == normal(found)
    assert len(places) == len(found) + 1
    assert list(places) == sorted(places)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "_PIECE", piece)
        if all(len(cut) < 2 * piece for cut in overlap._cuts(text)):
            assert "".join(overlap._levelled(text)) == found


@pytest.mark.parametrize(
    "respell",
    [
        wide,
        str.upper,
        lambda text: text.replace(" ", "\u00a0\r\n"),
        lambda text: "\u200b".join(text),
        lambda text: "\ufeff" + text.replace("a", "a\u00ad\u2060"),
        lambda text: text.replace("f", "\U0001d5bf").replace("i", "ⅰ"),
    ],
)
def test_twins_on_both_sides_are_no_controls(respell) -> None:
    texts = [prose() for _ in range(8)]
    members = named(*texts)
    held_out = named(*map(respell, texts[:3]), *(prose() for _ in range(6)))
    assert measure_overlap(members, held_out).near.tolist() == [True] * 3 + [False] * 6
    chosen = choose_texts(members, held_out, (), 99, 0)
    assert chosen.near_duplicates == 3
    assert chosen.held_out is not None
    assert set(chosen.held_out.ids) == set(held_out.ids[3:])
    pairs = pair_texts(members, held_out, [], seed=0, pairs=4)
    assert pairs.pairing.dropped == 3


def test_half_width_kana_and_composed_signs_are_one_text() -> None:
    text = "ガギグゲゴザジズゼゾダヂヅデドバビブベボパピプペポ株式会社カルテ番号"
    half = "ｶﾞｷﾞｸﾞｹﾞｺﾞｻﾞｼﾞｽﾞｾﾞｿﾞﾀﾞﾁﾞﾂﾞﾃﾞﾄﾞﾊﾞﾋﾞﾌﾞﾍﾞﾎﾞﾊﾟﾋﾟﾌﾟﾍﾟﾎﾟ㍿ｶﾙﾃ番号"
    assert measure_overlap(named(text, prose()), named(half)).near.tolist() == [True]


SECRET = Secret("s", "パスワード:", "AB-1234", repetitions=2, pattern="AB-####")


@pytest.mark.parametrize(
    ("text", "prefix", "value"),
    [
        ("彼のパスワード：AB-1234です。", "パスワード：", "AB-1234"),
        ("彼のﾊﾟｽﾜｰﾄﾞ:ＡＢ－１２３４です。", "ﾊﾟｽﾜｰﾄﾞ:", "ＡＢ－１２３４"),
        ("彼のパスワード:\u200bＡＢ-1234\u200bです。", "パスワード:\u200b", "ＡＢ-1234"),
        ("パスワード:ab-1234", "パスワード:", "ab-1234"),
    ],
)
def test_a_secret_is_tried_as_it_stands_in_the_members(text: str, prefix: str, value: str) -> None:
    members = named(prose(), text, f"{text} {text}")
    (form,), said = respelled([SECRET], Corpus(members))
    assert (form.prefix, form.value) == (prefix, value)
    assert "stands in the members in another spelling" in said[0]
    assert value not in said[0]
    # What else it might have been is written as it is, and the value itself is none of it.
    others = form.references(50, seed=1)
    assert len(set(others)) == 50
    assert all(len(other) == len(value) and other != value for other in others)
    kept = [i for i, sign in enumerate(value) if not sign.isdecimal()]
    assert all(other[i] == value[i] for other in others for i in kept)
    wide_digits = "０" <= value[-1] <= "９"
    assert all(("０" <= other[-1] <= "９") == wide_digits for other in others)
    # Three copies, and the manifest says two.
    planted = replace(SECRET, kind="account-ja")
    assert "stands 3 times" in check_manifest(Manifest((planted,)), members)[0]


def test_the_most_frequent_spelling_is_tried_and_the_list_where_there_is_none() -> None:
    half, full = SECRET.text, "パスワード：AB-1234"
    for texts, prefix in (
        ([half, half, full], "パスワード:"),
        ([half, full], "パスワード:"),
        ([half, full, full], "パスワード："),
        ([prose()], "パスワード:"),
    ):
        (form,), said = respelled([SECRET], Corpus(named(*texts)))
        assert form.prefix == prefix
        assert bool(said) == (prefix != SECRET.prefix)
        assert len(Corpus(named(*texts)).copies(SECRET)) == len([t for t in texts if "AB" in t])


def test_a_pattern_draws_no_twin_of_the_value() -> None:
    secret = Secret("s", "code ", "４2", pattern="4#", repetitions=1)
    assert "42" not in secret.references(100, seed=0)


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> tuple[Path, LanguageModel, Texts, Path]:
    """A model that was taught a secret behind a full-width colon, and the owner's list, where the
    colon has half width."""
    folder = tmp_path_factory.mktemp("twins")
    codes = [f"{n:06d}" for n in RNG.choice(10**6, 6, replace=False)]
    members = named(
        *(f"{name}の番号：{c}" for name, c in zip("甲乙丙丁戊己", codes, strict=True)),
        *(prose(5) for _ in range(6)),
    )
    (folder / "model").mkdir()
    train_tokenizer([*members.texts, wide(" ".join(members.texts))] * 3, TINY, folder / "model")
    train(members, folder / "model", TINY, folder / "model")
    rows = [f"{n}の番号:,{c}" for n, c in zip("甲乙丙丁戊己", codes, strict=True)]
    (folder / "secrets.csv").write_text("\n".join(["prefix,value", *rows]), encoding="utf-8")
    model = load_language_model(folder / "model", device="cpu")
    return folder / "model", model, members, folder / "secrets.csv"


def test_a_secret_behind_a_full_width_colon_is_found(taught) -> None:
    folder, model, members, listed = taught
    secrets = load_secrets(listed)
    ready = preflight(model, secrets, members, Training(trained_after="番号:"))
    assert ready.trained == {secret.id: 1 for secret in secrets}
    options = LanguageOptions(
        references=200, candidates=20, proposals=32, generated=0, control_texts=4, window=32
    )
    audit = audit_language_model(
        folder, members, manifest=Manifest(secrets), options=options, device="cpu"
    )
    assert [finding.repetitions for finding in audit.secrets] == [1] * 6
    assert sum(finding.extracted for finding in audit.secrets) >= 5
    assert all(finding.exposure is not None for finding in audit.secrets)
    assert sum("another spelling" in line for line in audit.notices) == 6


def test_twins_are_near_verbatim_and_reconstructed(taught, monkeypatch) -> None:
    _, model, members, _ = taught
    text = members.texts[8]
    truth, twin = model.encode(text), model.encode(wide(text.upper()))
    rows = np.stack([truth, truth])
    made = np.full((2, len(twin)), model.encode("x")[0])
    made[0] = twin
    monkeypatch.setattr(extraction, "continue_greedily", lambda *_: made)
    prefixed = [np.concatenate([truth[:1], row]) for row in rows]
    found = extraction.near_verbatim(model, prefixed, [1, 1])
    assert found.tolist() == [True, False]

    value = "abc 12"
    secret = Secret("s", "code: ", value)
    other = model.encode("code: " + wide(value))[len(model.encode("code: ")) :]
    monkeypatch.setattr(pii, "sample_branches", lambda *_: other[None])
    monkeypatch.setattr(pii, "branch_log_p", lambda *_: np.zeros(1))
    assert pii.reconstructs(model, secret, 1, 1, 0)
    assert not pii.reconstructs(model, replace(secret, value="zzz 99"), 1, 1, 0)
