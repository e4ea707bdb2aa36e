import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memory_assets.errors import InputError
from memory_assets.records import budget
from memory_assets.records.overlap import measure_overlap
from memory_assets.records.texts import Texts, load_texts

LONG = "The committee met on the third floor and decided, after much debate, to adjourn. "


def test_reads_the_same_texts_from_every_format(tmp_path):
    rows = [{"doc": "a", "body": "first text"}, {"doc": "b", "body": "二番目の文章"}]
    (tmp_path / "t.jsonl").write_text(
        "\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8"
    )
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    (tmp_path / "t.txt").write_text("first text\n\n二番目の文章\n", encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    for row in rows:
        (folder / f"{row['doc']}.txt").write_text(row["body"], encoding="utf-8")
    lines = load_texts(tmp_path / "t.jsonl", "body", "doc")
    assert lines.ids == ("a", "b")
    assert lines.digest == load_texts(tmp_path / "t.parquet", "body", "doc").digest
    assert lines.digest == load_texts(folder).digest
    assert load_texts(tmp_path / "t.txt").texts == lines.texts


def test_write_is_read_back(tmp_path):
    # U+2028 and U+0085 end a line for `str.splitlines`, and not in JSON lines.
    texts = Texts(("x", "y", "z"), ("line\nbreak", "日本語", "one\u2028two\x85three"))
    texts.write(tmp_path / "t.jsonl")
    assert load_texts(tmp_path / "t.jsonl", id_column="id").digest == texts.digest


def test_empty_texts_are_left_out_by_id(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"id":"a","text":"  "}\n{"id":"b","text":"real"}\n')
    texts = load_texts(tmp_path / "t.jsonl", id_column="id")
    assert texts.ids == ("b",)
    assert texts.notices == ("t.jsonl: text 'a' is empty and was left out",)


def test_one_bad_file_of_a_folder_and_half_a_surrogate_cost_only_themselves(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"caf\xe9")
    (folder / "b.txt").write_text("fine")
    texts = load_texts(folder)
    assert texts.ids == ("b",)
    assert "a.txt: not UTF-8 (byte 3)" in texts.notices[0]
    (tmp_path / "t.jsonl").write_text('{"text": "\\ud83d"}\n{"text": "fine"}')
    texts = load_texts(tmp_path / "t.jsonl")
    assert texts.ids == ("t:000002",)
    assert "no valid Unicode" in texts.notices[0]
    texts.write(tmp_path / "again.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.txt", b"caf\xe9", "not UTF-8 (byte 3)"),
        ("t.jsonl", b'{"text": "a"}\nnonsense', "line 2 is not JSON"),
        ("t.jsonl", b'{"words": "a"}', "line 1 has no field 'text'"),
        ("t.jsonl", b'{"text": 7}', "is a int"),
        ("t.jsonl", b'{"text": ""}', "at least one text that is not empty"),
        ("t.parquet", b"PAR1", "not a readable parquet table"),
        ("t.doc", b"x", ".doc; expected"),
    ],
)
def test_bad_files_are_one_clear_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        load_texts(tmp_path / name)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_no_such_file_missing_column_and_repeated_id(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_texts(tmp_path / "none.jsonl")
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="no column 'text'; it has body"):
        load_texts(tmp_path / "t.parquet")
    pq.write_table(pa.table({"text": ["x"], "doc": [None]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="row 1 has no id in 'doc'"):
        load_texts(tmp_path / "t.parquet", "text", "doc")
    (tmp_path / "t.jsonl").write_text('{"text": "x", "doc": null}')
    with pytest.raises(InputError, match="line 1 has no id in 'doc'"):
        load_texts(tmp_path / "t.jsonl", "text", "doc")
    with pytest.raises(InputError, match="'a' stands more than once"):
        Texts(("a", "a"), ("x", "y"))


def test_overlap_counts_repetitions_and_finds_near_duplicates():
    members = Texts(
        ("a", "b", "c", "d"),
        (LONG * 2, (LONG * 2).upper().replace(" ", "  "), LONG * 2 + "Yes.", "Nothing alike " * 9),
    )
    held_out = Texts(("x", "y"), (LONG.replace("debate", "talk"), "Quite another matter. " * 5))
    overlap = measure_overlap(members, held_out)
    assert overlap.repetitions.tolist() == [3, 3, 3, 1]
    assert overlap.near.tolist() == [True, False]
    assert overlap.shared[1] == 0
    assert overlap.first.all()


def test_overlap_marks_exact_copies_and_serves_short_and_japanese_texts():
    members = Texts(("a", "b", "c", "d"), ("ok", "ok", "no", "会員番号は七桁です。" * 5))
    held_out = Texts(("x", "y"), ("OK", "会員番号は七桁です。" * 5 + "はい"))
    overlap = measure_overlap(members, held_out)
    assert overlap.first.tolist() == [True, False, True, True]
    assert overlap.repetitions.tolist() == [2, 2, 1, 1]
    assert overlap.near.all()
    assert measure_overlap(members, None).shared.shape == (0,)


def test_overlap_agrees_with_sets_of_runs():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcde"), 6)) for _ in range(30)]
    texts = tuple(" ".join(rng.choice(words, 20)) for _ in range(20))
    members = Texts(tuple(map(str, range(15))), texts[:15])
    held_out = Texts(tuple(map(str, range(5))), tuple(t[:60] + texts[0][30:90] for t in texts[15:]))

    def runs(text):
        return {text[i : i + 32] for i in range(len(text) - 31)}

    known = set().union(*(runs(t) for t in members.texts))
    expected = [len(runs(t) & known) / len(runs(t)) for t in held_out.texts]
    assert measure_overlap(members, held_out).shared == pytest.approx(expected)


def test_what_reading_takes_is_reckoned_by_the_widest_character(tmp_path, monkeypatch):
    plain, wide = "plain words " * 100, "plain words " * 100 + "\U0001f600"
    for name, text in (("plain.txt", plain), ("wide.txt", wide)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(budget, "memory_budget", lambda: 10 * len(plain))
    assert load_texts(tmp_path / "plain.txt").texts == (plain,)
    with pytest.raises(InputError, match=r"wide.txt: its texts would take"):
        load_texts(tmp_path / "wide.txt")
