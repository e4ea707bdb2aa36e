"""The section on what a language model recites, with the controls of each figure beside it."""

from __future__ import annotations

from collections.abc import Sequence

from memory_assets.reports.catalogue import Catalogue
from memory_assets.reports.findings import family, least_leaks
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.markup import Html, el, join
from memory_assets.reports.tables import (
    count,
    estimate_cell,
    metric_label,
    number,
    percent,
    table,
)
from memory_assets.results.estimate import Estimate, Measurement

_TEXTS = (
    ("discoverable", "extraction_rate"),
    ("np_discoverable", "sampled_extraction_rate"),
    ("near_verbatim", "near_verbatim_rate"),
)
_SECRETS = (
    ("secret", "secret_extraction_rate"),
    ("pii_reconstruction", "reconstruction_rate"),
    ("pii_inference", "inference_rate"),
    ("exposure", "mean_exposure"),
    ("exposure_extrapolated", "mean_exposure"),
)
RECITED = {metric: "texts" for _, metric in _TEXTS} | {
    metric: "secrets" for _, metric in _SECRETS if metric.endswith("_rate")
}
"""What a rate counts that says how much a model recites."""
TIER = "repetitions="
"""How the stratum of texts or secrets that stood so often in the training data begins."""
_MOST_SECRETS = 12


def _stratum(stratum: str, t: Catalogue) -> str:
    if stratum.startswith(TIER):
        return t("recited.repetitions", count=stratum.removeprefix(TIER))
    return t(f"recited.{stratum}") if f"recited.{stratum}" in t.texts else stratum


def _cell(metric: str, estimate: Estimate, size: int, t: Catalogue) -> str:
    shown = estimate_cell(metric, estimate, t, "stacked")
    fewer = estimate.value is not None and estimate.n < size
    return t("form.noted", value=shown, note=f"n = {count(estimate.n)}") if fewer else shown


def _by_stratum(
    name: str, measured: Sequence[Measurement], columns: Sequence[tuple[str, str]], t: Catalogue
) -> Html | None:
    """A row a stratum, a column an instrument; a cell of a smaller sample than its row says so."""
    cells = {(m.stratum, m.name, m.metric): m.estimate for m in measured}
    strata = dict.fromkeys(m.stratum for m in measured if (m.name, m.metric) in columns)
    rows = []
    for stratum in strata:
        own = [cells.get((stratum, *column)) for column in columns]
        size = max(e.n for e in own if e is not None)
        shown = [
            "" if e is None else _cell(metric, e, size, t)
            for (_, metric), e in zip(columns, own, strict=True)
        ]
        rows.append([_stratum(stratum, t), count(size) if size else "–", *shown])
    if not rows:
        return None
    headers = [t("recited.seen"), t("column.n"), *(t.name("attack", n) for n, _ in columns)]
    return table(f"recited-{name}", t(f"recited.{name}_table"), headers, rows)


def secrets_planted(found: ReportInput) -> bool:
    """Whether secrets were planted in the training data, as some stand there repeatedly, or never.

    Of secrets that the owner lists each counts once.
    """
    names = {name for name, _ in _SECRETS}
    strata = {m.stratum for m in found.bundle.measurements if m.name in names}
    return any(s == "unplanted" or (s.startswith(TIER) and s != f"{TIER}1") for s in strata)


def _least_seen(
    name: str, found: ReportInput, measured: Sequence[Measurement], of: str, t: Catalogue
) -> Html | None:
    """The least rate that the texts or secrets that were tried would have shown."""
    own = [m for m in measured if (m.name, m.stratum) == (of, "all")]
    least = next((seen for m in own if (seen := least_leaks(found, m)) is not None), None)
    if least is None or least.spread is None:
        return None
    size = count(own[0].estimate.n)
    return el("p", t(f"recited.least_{name}", n=size, least=percent(least.spread)))


def _positions(measured: Sequence[Measurement], t: Catalogue) -> Html | None:
    """At how many places of how many the training texts were asked to go on."""
    own = [m for m in measured if (m.metric, m.stratum) == ("positions_tried", "all")]
    if not own:
        return None
    tried = own[0].estimate
    return el("p", t("recited.positions", tried=count(tried.k or 0), places=count(tried.n)))


def _once(
    name: str, measured: Sequence[Measurement], column: tuple[str, str], t: Catalogue
) -> Html | None:
    """What a rate says of what stands in the training data once: of ordinary records, that is."""
    own = [m for m in measured if m.stratum == f"{TIER}1" and (m.name, m.metric) == column]
    if not own or own[0].estimate.value is None:
        return None
    e, metric = own[0].estimate, own[0].metric
    low, high = ("–" if end is None else number(metric, end) for end in (e.ci_low, e.ci_high))
    return el("p", t(f"recited.once_{name}", k=count(e.k or 0), n=count(e.n), low=low, high=high))


def _most_exposed(found: ReportInput, t: Catalogue) -> Html | None:
    secrets = sorted(
        (s for s in found.recited if s.repetitions),
        key=lambda s: (not s.extracted, -(s.exposure or 0.0), s.id),
    )[:_MOST_SECRETS]
    if not secrets:
        return None
    rows = [
        [
            s.id,
            count(s.repetitions),
            s.masked,
            t("recited.yes" if s.extracted else "recited.no"),
            "–" if s.exposure is None else f"{s.exposure:.1f}",
        ]
        for s in secrets
    ]
    headers = [t(f"recited.{c}") for c in ("secret", "copies", "masked", "extracted", "bits")]
    return join(
        el("h3", t("recited.exposed_heading")),
        el("p", t("recited.exposed_intro", count=len(rows))),
        table("recited-exposed", t("recited.exposed_heading"), headers, rows),
    )


def _unintended(found: ReportInput, t: Catalogue) -> Html | None:
    measured = [m for m in family(found, "memorization") if m.name == "unintended"]
    if not any(m.estimate.value is not None for m in measured):
        return None
    rows = [
        [metric_label(m.metric, t), estimate_cell(m.metric, m.estimate, t), count(m.estimate.n)]
        for m in measured
    ]
    headers = [t("column.metric"), t("column.value"), t("column.n")]
    return join(
        el("h3", t("recited.unintended_heading")),
        el("p", t("recited.unintended_intro")),
        table("recited-unintended", t("recited.unintended_heading"), headers, rows),
    )


def recited(found: ReportInput, t: Catalogue) -> Html | None:
    """Extraction and exposure by repetition; held-out texts and unplanted secrets beside them."""
    measured = [*family(found, "extraction"), *family(found, "exposure")]
    if not measured:
        return None
    secrets = _by_stratum("secrets", measured, _SECRETS, t)
    return join(
        el("p", t("recited.intro")),
        _by_stratum("texts", measured, _TEXTS, t),
        _positions(measured, t),
        _once("texts", measured, _TEXTS[0], t),
        _least_seen("texts", found, measured, _TEXTS[0][0], t),
        el("h3", t("recited.secrets_heading")) if secrets else None,
        el("p", t("recited.secrets_intro")) if secrets else None,
        secrets,
        _once("secrets", measured, _SECRETS[0], t),
        _least_seen("secrets", found, measured, _SECRETS[0][0], t),
        _most_exposed(found, t),
        _unintended(found, t),
    )
