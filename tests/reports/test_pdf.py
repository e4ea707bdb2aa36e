"""The PDF of a report: Japanese in it, nothing fetched for it, private, the same bytes again."""

from __future__ import annotations

import builtins
import shutil
import stat
import subprocess
from io import BytesIO

import pytest
from test_money_report import priced

from memory_assets.errors import InputError
from memory_assets.reports.page import write_report
from memory_assets.reports.pdf import write_pdf

pytestmark = pytest.mark.slow

pypdf = pytest.importorskip("pypdf")
try:
    import weasyprint
except (ImportError, OSError) as missing:
    pytest.skip(f"no WeasyPrint here: {missing}", allow_module_level=True)


def has_japanese_font() -> bool:
    found = shutil.which("fc-list")
    return bool(found and subprocess.check_output([found, ":lang=ja", "family"]))


@pytest.fixture
def pages(tmp_path):
    return write_report(priced(), tmp_path)


@pytest.mark.slow
def test_both_languages_are_there_as_text_for_the_owner_alone_and_the_same_again(pages):
    if not has_japanese_font():
        pytest.skip("no Japanese font on this machine")
    for lang, words in (("en", "Privacy audit"), ("ja", "プライバシー監査")):
        path = write_pdf(pages[lang])
        first = path.read_bytes()
        assert path == pages[lang].with_suffix(".pdf")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        read = pypdf.PdfReader(BytesIO(first))
        texts = [page.extract_text() for page in read.pages]
        assert words in "".join(texts).replace("\n", " ")
        assert all(text.strip() for text in texts)
        assert write_pdf(pages[lang]).read_bytes() == first


@pytest.mark.slow
def test_nothing_is_fetched(pages, monkeypatch):
    asked: list[str] = []

    def fetch(self, url, headers=None):
        asked.append(url.split(":")[0])
        return original(self, url, headers)

    original = weasyprint.urls.URLFetcher.fetch
    monkeypatch.setattr(weasyprint.urls.URLFetcher, "fetch", fetch)
    write_pdf(pages["en"])
    assert set(asked) == {"data"}


def test_a_changed_page_is_not_printed(pages):
    pages["en"].write_text(pages["en"].read_text().replace("digits", "figures"))
    with pytest.raises(InputError, match="was changed since it was written"):
        write_pdf(pages["en"])
    assert not pages["en"].with_suffix(".pdf").exists()


@pytest.mark.parametrize(
    ("error", "words"), [(ImportError("x"), r"memory-assets\[pdf\]"), (OSError("x"), "Pango")]
)
def test_what_is_missing_is_named(pages, monkeypatch, error, words):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("weasyprint"):
            raise error
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=words):
        write_pdf(pages["en"])
