import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from memory_assets.errors import InputError
from memory_assets.reports import catalogue as module
from memory_assets.reports.catalogue import LANGUAGES, catalogue

PACKAGE = Path(module.__file__).parent.parent


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_places_for_values(lang):
    english, other = catalogue("en").texts, catalogue(lang).texts
    assert set(other) == set(english)
    assert {k: fields(v) for k, v in other.items()} == {k: fields(v) for k, v in english.items()}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_texts_are_filled_and_glossary_entries_have_a_meaning(lang):
    t = catalogue(lang)
    assert [k for k, v in t.texts.items() if not v and k != "form.gap"] == []
    assert all(len(entry.split("|")) == 2 for entry in t.under("glossary."))


def test_japanese_sentences_hold_no_english_words():
    # What stays in Latin letters are names, abbreviations and units.
    names = (
        "AUC|BASE|BaVarIA|Barber-Agakov|Clopper-Pearson|CMI|EDPB|FPR|Fano|Feldman-Zhang|KL|LiRA|MI|"
        "PPV|RMIA|ROC|SHA|TPR|UTC|ld|e|f|n|"
        "AI|CVaR|EU|EVSI|IBM|IEC|ISO|Ippolito|JNSA|K|Lee|MS|Min|NIST|ReCaLL|zlib"
    )
    for key, text in catalogue("ja").texts.items():
        words = re.findall(r"[A-Za-z]+(?:-[A-Z][a-z]+)*", re.sub(r"\{\w+\}", "", text))
        assert not [word for word in words if not re.fullmatch(names, word)], (key, words)


def test_english_sentences_hold_no_japanese():
    texts = catalogue("en").texts.values()
    assert not [text for text in texts if re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", text)]


def test_every_literal_key_in_the_code_exists():
    keys = set(catalogue("en").texts)
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "t"
                and isinstance(node.args[0], ast.Constant)
            ):
                assert node.args[0].value in keys, (path.name, node.args[0].value)


def test_an_unknown_language_is_one_clear_line():
    with pytest.raises(InputError, match="'fr': choose one of en, ja"):
        catalogue("fr")
