"""A report's page as PDF, for those who file, print or mail it."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.reports.page import verify
from memory_assets.store.disk import write_private


def write_pdf(page: Path) -> Path:
    """Render a report's HTML page as tagged PDF beside it, mode 0600, whole or not at all.

    The page carries its plots in itself, so nothing is fetched: not from the network and not from
    a file. The same page gives the same bytes with the same fonts and release of WeasyPrint.

    Args:
        page: an HTML page that `write_report` wrote.

    Returns:
        Path of the PDF.

    Raises:
        InputError: the extra `pdf` or the Pango library is not installed; the page cannot be read,
            is not a report, or was changed since it was written.
    """
    if not verify(page):
        raise InputError(f"{page} was changed since it was written: run memory-assets audit again")
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except ImportError as error:
        raise InputError("PDF needs the extra pdf: pip install 'memory-assets[pdf]'") from error
    except OSError as error:
        raise InputError(
            "PDF needs the Pango library: install libpango-1.0-0 and libpangoft2-1.0-0 "
            "(Debian), pango (Fedora, Homebrew)"
        ) from error
    # It warns of every property that only browsers know; what is missing on paper shows on paper.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    inside = URLFetcher(allowed_protocols=["data"])
    html = HTML(string=page.read_text(encoding="utf-8"), url_fetcher=inside)
    drawn = BytesIO()
    html.write_pdf(drawn, pdf_tags=True)
    return write_private(page.with_suffix(".pdf"), drawn.getvalue())
