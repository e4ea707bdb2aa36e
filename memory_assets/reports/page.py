"""The report of one audit: a single HTML file that needs nothing else and can be checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.reports import evidence, extraction, governance, money, sections
from memory_assets.reports.catalogue import LANGUAGES, Catalogue, catalogue
from memory_assets.reports.coverage import coverage
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, el, join
from memory_assets.reports.summary import summary
from memory_assets.reports.tables import table
from memory_assets.store.disk import write_private

Section = Callable[[ReportInput, Catalogue], Html | None]

_ZEROS = "0" * 64
_SEAL = re.compile(rb'<code id="report-sha256">([0-9a-f]{64})</code>')


def when(moment: object) -> str:
    """A time to the minute; the catalogue says that it is UTC."""
    return f"{moment:%Y-%m-%d %H:%M}"


def manifest(found: ReportInput, t: Catalogue) -> Html:
    """Digests of all that the figures were made from, and of this file itself."""
    audit = found.bundle.audit
    named = {
        "audit_id": audit.audit_id,
        "model": audit.model_digest,
        "data": audit.data_digest,
        "pool": audit.pool_digest,
        "config": audit.config_digest,
        "code": audit.code_version,
        "device": audit.device,
        "started": when(audit.started_at),
        "finished": when(audit.finished_at),
    }
    rows = [[t(f"manifest.{key}"), value] for key, value in named.items()]
    rows += [[t.name("artifact", name), digest] for name, digest in sorted(found.artifacts.items())]
    return join(
        el("p", t("manifest.intro")),
        table("digests", t("manifest.table"), [t("column.item"), t("column.digest")], rows),
        el("h3", t("manifest.report_heading")),
        el("p", t("manifest.report"), " ", el("code", _ZEROS, id="report-sha256")),
        el("p", t("manifest.verify")),
    )


SECTIONS: tuple[tuple[str, Section], ...] = (
    ("limits", evidence.limits),
    ("value", money.value_against_risk),
    ("evidence", evidence.evidence),
    ("history", evidence.history),
    ("recited", extraction.recited),
    ("memorization", sections.memorization_section),
    ("information", sections.information),
    ("epsilon", sections.epsilon),
    ("utility", sections.utility),
    ("losses", money.losses),
    ("options", money.options_compared),
    ("insurance", money.insurance),
    ("audit_plan", governance.audit_plan),
    ("controls", sections.controls),
    ("coverage", coverage),
    ("compliance", governance.compliance),
    ("actions", governance.actions),
    ("limitations", sections.limitations),
    ("manifest", manifest),
    ("glossary", sections.glossary),
    ("checklist", governance.checklist),
)


def document(title: str, lang: str, *body: str | None) -> str:
    """A whole page around `body`, with the house's style and without script or outside link."""
    style = files("memory_assets.reports").joinpath("style.css").read_text(encoding="utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        el("style", Html(style)),
    )
    return "<!DOCTYPE html>\n" + el("html", head, el("body", *body), lang=lang) + "\n"


def chapters(parts: Sequence[tuple[str, str, Html]], t: Catalogue) -> tuple[Html, Html]:
    """Table of contents and numbered sections out of (id, heading, body)."""
    links = (el("li", el("a", heading, href=f"#{name}")) for name, heading, _ in parts)
    nav = el("nav", el("ol", *links), aria_label=t("page.contents"))
    bodies = (
        el("section", el("h2", f"{i}. {heading}", id=name), body)
        for i, (name, heading, body) in enumerate(parts, start=1)
    )
    return nav, join(*bodies)


def _header(found: ReportInput, t: Catalogue) -> Html:
    audit = found.bundle.audit
    facts = [
        t(f"page.kind_{audit.kind}"),
        t("page.audited", when=when(audit.finished_at)),
        t("page.owner", owner=found.owner.removeprefix("team:")) if found.owner else None,
        t("page.release", release=t(f"release.{found.profile.exposure.release}"))
        if found.profile
        else None,
        t("page.next", date=found.next_audit.isoformat()) if found.next_audit else None,
    ]
    return el(
        "header",
        el("p", t("page.kicker"), class_="kicker"),
        el("h1", found.name, " ", el("small", t("page.version", version=audit.model_version))),
        el("p", found.description) if found.description else None,
        el("ul", *(el("li", fact) for fact in facts if fact), class_="facts"),
    )


def render(found: ReportInput, lang: str = "en") -> str:
    """The report as one HTML page in `lang`; the same input gives the same text.

    It holds no script, no link to the outside and no content of a record, only record ids. The
    SHA-256 in its manifest is that of the page with 64 zeros in its own place.

    Raises:
        InputError: there is no catalogue in that language.
    """
    t = catalogue(lang)
    drawn = ((name, t(f"section.{name}"), section(found, t)) for name, section in SECTIONS)
    nav, bodies = chapters([(n, heading, body) for n, heading, body in drawn if body], t)
    audit = found.bundle.audit
    page = document(
        t("page.title", name=found.name, version=audit.model_version),
        lang,
        el("a", t("page.skip"), class_="skip", href="#evidence"),
        _header(found, t),
        el("main", el("div", summary(found, t), class_="page-one"), nav, bodies),
        el("footer", el("p", t("page.footer", audit=audit.audit_id[:12]))),
    )
    seal = hashlib.sha256(page.encode()).hexdigest()
    blank = f'<code id="report-sha256">{_ZEROS}</code>'
    return page.replace(blank, blank.replace(_ZEROS, seal))


def verify(path: Path) -> bool:
    """Whether a report still is what was written: recomputes the SHA-256 that it carries.

    Raises:
        InputError: the file cannot be read, or it is not a report.
    """
    try:
        page = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read report {path}: {error.strerror}") from error
    seals = _SEAL.findall(page)
    if len(seals) != 1:
        raise InputError(f"{path} is not a report of this program: it carries no SHA-256 of itself")
    blank = page.replace(seals[0], _ZEROS.encode())
    return hashlib.sha256(blank).hexdigest() == seals[0].decode()


def write_report(
    found: ReportInput, folder: Path, langs: Sequence[str] = LANGUAGES
) -> dict[str, Path]:
    """Write `<lang>.html` for each language into `folder`, mode 0600; all or none is rendered.

    Raises:
        InputError: there is no catalogue in one of the languages.
    """
    pages = {lang: render(found, lang) for lang in langs}
    return {lang: write_private(folder / f"{lang}.html", page) for lang, page in pages.items()}
