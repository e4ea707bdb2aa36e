import json
import re
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_assets.errors import InputError
from memory_assets.records.canaries import (
    TEMPLATES,
    Template,
    load_templates,
    make_secrets,
    plant,
)
from memory_assets.records.planted import check_manifest
from memory_assets.records.secrets import (
    Manifest,
    Secret,
    draw_values,
    infer_pattern,
    load_secrets,
    masked,
)
from memory_assets.records.texts import Texts

CORPUS = Texts(tuple(f"t{i}" for i in range(20)), tuple(f"text number {i}" for i in range(20)))


def test_canaries_stand_as_often_as_they_say_and_controls_nowhere():
    secrets = make_secrets(TEMPLATES.values(), (0, 1, 4), 2, seed=5)
    planted, manifest = plant(CORPUS, secrets, seed=5)
    joined = "\n".join(planted.texts)
    assert len(secrets) == len(TEMPLATES) * 3 * 2
    for secret in secrets:
        assert joined.count(secret.text) == secret.repetitions
    assert [t for t in planted.texts if t.startswith("text number")] == list(CORPUS.texts)
    assert manifest.corpus == planted.digest
    assert check_manifest(manifest, planted) == []
    assert len({s.prefix for s in secrets}) == len({s.id for s in secrets}) == len(secrets)


def test_controls_may_be_more_than_a_tier():
    secrets = make_secrets([TEMPLATES["account-en"]], (0, 2), 3, seed=1, controls=9)
    assert [s.repetitions for s in secrets] == [0] * 9 + [2] * 3
    assert len({s.id for s in secrets}) == 12


def test_planting_is_decided_by_the_seed():
    def made(seed):
        return plant(CORPUS, make_secrets([TEMPLATES["phone-ja"]], (0, 2), 3, seed), seed)[0].digest

    assert made(1) == made(1) != made(2)


def test_manifest_round_trip_is_private(tmp_path):
    _, manifest = plant(CORPUS, make_secrets([TEMPLATES["name-ja"]], (0, 2), 2, 0), 0)
    manifest.write(tmp_path / "m.json")
    assert Manifest.read(tmp_path / "m.json") == manifest
    assert stat.S_IMODE((tmp_path / "m.json").stat().st_mode) == 0o600


def test_a_manifest_that_cannot_be_written_leaves_no_file(tmp_path):
    half = Manifest((Secret("s", "code ", "\ud800"),))
    with pytest.raises(UnicodeEncodeError):
        half.write(tmp_path / "m.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["[]", "{", '{"format": 9}', '{"format": 1, "secrets": [{}]}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(InputError, match=r"m\.json: not a canary manifest"):
        Manifest.read(tmp_path / "m.json")


def test_a_manifest_of_another_corpus_is_refused_and_a_changed_one_noted():
    secrets = make_secrets([TEMPLATES["id-en"]], (1, 2), 1, 0)
    planted, manifest = plant(CORPUS, secrets, 0)
    with pytest.raises(InputError, match="none of its 2 planted secrets"):
        check_manifest(manifest, CORPUS)
    kept = [i for i, t in enumerate(planted.texts) if t != secrets[0].text]
    problems = check_manifest(manifest, planted.take(np.array(kept)))
    assert problems == [
        f"secret {secrets[0].id!r}: stands 0 times in the members, the manifest says 1"
    ]
    assert secrets[0].value not in "".join(problems)


def test_members_that_are_no_longer_the_manifest_s_are_noted():
    planted, manifest = plant(CORPUS, make_secrets([TEMPLATES["id-en"]], (1,), 2, 0), 0)
    assert check_manifest(manifest, planted) == []
    lines = {secret.text for secret in manifest.secrets}
    rewritten = tuple(t if t in lines else f"{t} More." for t in planted.texts)
    (said,) = check_manifest(manifest, Texts(planted.ids, rewritten, "members.jsonl"))
    assert said.startswith("canary manifest: its secrets stand in members.jsonl, the rest of")
    # Read by number, the same texts have another digest.
    numbered = Texts(tuple(map(str, range(len(planted)))), planted.texts)
    assert check_manifest(manifest, numbered) == []


def test_references_follow_the_pattern_without_the_secret():
    secret = Secret("a", "code ", "7", pattern="#")
    assert sorted(secret.references(50, seed=0)) == list("012345689")
    phone = Secret("b", "call ", "090-1234-5678", pattern="090-####-####")
    drawn = phone.references(500, seed=0)
    assert len(set(drawn)) == 500
    assert all(v.startswith("090-") and len(v) == 13 for v in drawn)
    assert drawn == phone.references(500, seed=0) != phone.references(500, seed=1)
    assert Secret("c", "p", "v").references(10, 0) == []


def test_faker_patterns_draw_names_of_the_locale():
    names = draw_values("faker:name", "ja_JP", 5, 0)
    assert all(any(ord(c) > 0x3000 for c in name) for name in names)


_VALUES = st.text(max_size=20) | st.text(" -./:@$!*#ab19é渡", max_size=12)


@given(_VALUES)
def test_masks_keep_separators_and_no_more_than_the_first_sign(value):
    shown = masked(value)
    assert len(shown) == len(value)
    if sum(c not in " -./:" for c in value) <= 3 or not any(c.isalnum() for c in value):
        assert shown == "*" * len(value)
    else:
        assert shown[0] == value[0]
        assert all(
            s == (c if c in " -./:" else "*") for c, s in zip(value[1:], shown[1:], strict=True)
        )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("090-1234-5678", "0**-****-****"),
        ("p@$$w0rd!", "p********"),
        ("!@#$%^&*", "********"),
        ("-- // ..", "********"),
        ("1-2-3", "*****"),
        ("渡辺 直樹", "渡* **"),
        ("bob@x.com", "b****.***"),
    ],
)
def test_masks_by_hand(value, shown):
    assert masked(value) == shown


def test_a_secret_does_not_print_its_value():
    assert "123456" not in repr(Secret("a", "code ", "123456"))
    password = "Sunshine2024!"
    assert "Sunshine" not in repr(Secret("a", "key ", password, pattern=infer_pattern(password)))


def test_infers_what_varies_in_listed_values_from_their_digits():
    assert infer_pattern("LN-4711") == "LN-####"
    assert infer_pattern("090-1234-5678") == "###-####-####"
    for value in ("sunshine", "AB-12c", "渡辺", "a#123", "faker:name123", "１２３４"):
        assert infer_pattern(value) is None, value


def test_listed_secrets(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("prefix,value,repetitions\nHis code is ,1234,3\nHer code is ,5678,\n")
    first, second = load_secrets(path)
    assert (first.repetitions, first.pattern, second.repetitions) == (3, "####", 1)
    for content, said in (
        ("prefix\nx", "columns prefix and value"),
        ("prefix,value\nx,", "row 1 has no prefix or no value"),
        ("prefix,value,repetitions\nx,y,-1", "repetitions is not a whole number"),
        ("prefix,value,pattern\nx,y,zz", "its pattern draws nothing"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=said):
            load_secrets(path)
    path.write_bytes(b"prefix,value\nx,\xe9")
    with pytest.raises(InputError, match="UTF-8"):
        load_secrets(path)


def test_listed_secrets_are_counted_and_those_of_other_texts_refused():
    texts = Texts(("a", "b"), ("His code is 1234.", "His code is 1234!"))
    his = Secret("his", "His code is ", "1234", repetitions=1)
    hers = Secret("hers", "Her code is ", "5678", repetitions=1)
    never = Secret("never", "His code is ", "123", repetitions=0)
    assert check_manifest(Manifest((his,)), texts) == []
    said = check_manifest(Manifest((his, hers, never)), texts)
    assert [line.split(":")[0] for line in said] == ["secret 'hers'", "secret 'never'"]
    with pytest.raises(InputError, match="none of the 1 listed stands in texts"):
        check_manifest(Manifest((hers,)), texts)


def test_bad_templates_are_refused():
    with pytest.raises(InputError, match=r"exactly one \{value\}"):
        Template("t", "no slot", "##")
    with pytest.raises(InputError, match=r"unknown slot \{moon\}"):
        Template("t", "{moon} {value}", "##")
    with pytest.raises(InputError, match="draws nothing"):
        Template("t", "{value}", "abc")
    with pytest.raises(InputError, match="too few values"):
        make_secrets([Template("t", "{name}: {value}", "#")], (0, 1), 10, 0)
    with pytest.raises(InputError, match="no two canaries begin alike"):
        make_secrets([Template("t", "code {value}", "######")], (0, 1), 2, 0)
    with pytest.raises(InputError, match="unknown to Faker"):
        make_secrets([Template("t", "{name} {value}", "######", "xx_XX")], (1,), 1, 0)
    with pytest.raises(InputError, match="repetition counts"):
        make_secrets([], (1,), 1, 0)


def test_templates_of_ones_own(tmp_path):
    file = tmp_path / "templates.toml"
    file.write_text(
        '[loan-ja]\ntext = "{name}様のローン番号は{value}です。"\npattern = "LN-####"\n'
        'locale = "ja_JP"\n[badge]\ntext = "{name}, badge {value}"\npattern = "^##"\n',
        encoding="utf-8",
    )
    loan, badge = load_templates(file).values()
    assert (loan.name, loan.locale, badge.locale) == ("loan-ja", "ja_JP", "en_US")
    secret = make_secrets([loan], (1,), 1, seed=2)[0]
    assert secret.text.endswith("です。")
    assert secret.value.startswith("LN-")
    for content, said in (
        ("", "no template"),
        ("[a", "not a readable TOML file"),
        ('a = "x"', "a: expected a table with text"),
        ('[a]\ntext = "{value}"', "a: expected a table with text"),
        ('[a]\ntext = "{value}"\npattern = 7', "and text in quotes"),
        ('["a b"]\ntext = "{value}"\npattern = "#"', "expected a plain name"),
        ('[a]\ntext = "x"\npattern = "#"', "exactly one {value}"),
        ('[a]\ntext = "{value}"\npattern = "#"\nlocale = "xx_XX"', "unknown to Faker"),
    ):
        file.write_text(content)
        with pytest.raises(InputError, match=re.escape(said)):
            load_templates(file)


def test_manifest_holds_only_what_it_says(tmp_path):
    _, manifest = plant(CORPUS, make_secrets([TEMPLATES["account-en"]], (1,), 1, 0), 0)
    manifest.write(tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    assert set(content) == {"format", "secrets", "corpus", "seed"}
