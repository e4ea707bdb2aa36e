"""The audit of one causal language model: texts and secrets in, measurements and controls out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from memory_assets.errors import InputError
from memory_assets.language import controls as checks
from memory_assets.language import text_audit as texts_of
from memory_assets.language.compare import compare_sides
from memory_assets.language.inputs import Inputs, open_inputs
from memory_assets.language.model import LanguageModel
from memory_assets.language.options import LanguageOptions
from memory_assets.language.preflight import Preflight, preflight
from memory_assets.language.progress import (
    Clock,
    Report,
    Step,
    part,
    plan_work,
    seconds_per_token,
)
from memory_assets.language.result import LanguageAudit, ScoreRows
from memory_assets.language.scores import Compared
from memory_assets.language.secret_audit import (
    SecretFinding,
    measure_secrets,
    probe_secrets,
    ranking_notices,
    unplanted_control,
)
from memory_assets.language.text_audit import Floats, Probes, Side
from memory_assets.language.windows import (
    Sides,
    Windows,
    choose_texts,
    cut_otherwise,
    cut_seams,
    cut_windows,
    not_probed,
)
from memory_assets.records.occurrences import Corpus
from memory_assets.records.secrets import Manifest
from memory_assets.records.texts import Texts
from memory_assets.results.estimate import Control, Measurement
from memory_assets.results.formulas import FINDINGS
from memory_assets.statistics.roc import Roc
from memory_assets.store.digest import digest

_MAX_WINDOW = 512


def _prepare(
    model: LanguageModel, chosen: Sides, window: int, notices: list[str]
) -> tuple[Windows, Windows | None, np.ndarray]:
    members, kept, notes = cut_windows(model, chosen.members, window)
    notices.extend(notes)
    if members is None:
        raise InputError(f"{chosen.members.source}: no member text has two tokens")
    held_out = None
    if chosen.held_out is not None:
        held_out, _, notes = cut_windows(model, chosen.held_out, window)
        notices.extend(notes)
    if held_out is None:
        notices.append("no held-out texts: membership and the controls that need them are not run")
    return members, held_out, chosen.repetitions[kept]


def _for_probes(
    model: LanguageModel, windows: Windows, window: int, options: LanguageOptions
) -> Windows | None:
    """What is read of some texts for probes alone, beside their windows."""
    if windows.texts.prompts:
        return cut_otherwise(model, windows, window)
    return cut_seams(windows, window, options.prefix, options.suffix, options.step)


def _recall(
    model: LanguageModel, members: Side, held_out: Side, clock: Clock
) -> tuple[Floats, Floats, np.ndarray]:
    """ReCaLL of both sides, and which held-out texts remain controls."""
    shot, row = texts_of.recall_shot(model, held_out)
    report = clock.stage("recall")
    share = len(members) / (len(members) + len(held_out))
    both = [
        texts_of.recall_scores(model, side, shot, heard)
        for side, heard in (
            (members, part(report, 0, share)),
            (held_out, part(report, share, 1 - share)),
        )
    ]
    report(1, 1)
    keep = np.arange(len(held_out)) != row
    return both[0], both[1], keep


def _read(
    model: LanguageModel,
    windows: list[Windows],
    probed: list[Windows | None],
    options: LanguageOptions,
    report: Callable[[int, int], None],
) -> list[Side]:
    """One pass over the members and, where there are any, over the held-out texts."""
    sizes = [
        int(w.sizes.sum() + (more.sizes.sum() if more else 0))
        for w, more in zip(windows, probed, strict=True)
    ]
    sides = []
    for number, (own, more) in enumerate(zip(windows, probed, strict=True)):
        before = sum(sizes[:number])

        def heard(done: int, _: int, before: int = before) -> None:
            report(before + done, sum(sizes))

        sides.append(texts_of.read_side(model, own, options.sampling, heard, more))
    return sides


def _ask_secrets(
    model: LanguageModel,
    tried: Manifest | None,
    members: Texts,
    corpus: Corpus | None,
    options: LanguageOptions,
    clock: Clock,
    found: ScoreRows,
    notices: list[str],
) -> tuple[SecretFinding, ...]:
    if tried is None:
        return ()
    ready: Preflight = preflight(model, tried.secrets, members, options.training, corpus)
    notices += ready.notices
    findings = _secrets(model, tried, ready, options, clock, found)
    notices += ranking_notices(findings)
    return findings


@FINDINGS.computes
def audit_language_model(
    folder: str | Path,
    members: Texts,
    held_out: Texts | None = None,
    *,
    manifest: Manifest | None = None,
    reference: str | Path | None = None,
    options: LanguageOptions | None = None,
    revision: str | None = None,
    base: str | Path | None = None,
    device: str | None = None,
    progress: Report | None = None,
) -> LanguageAudit:
    """Audit the model in `folder` (or a hub id at `revision`) on texts that it trained on.

    `held_out` texts are of the same kind and were not trained on; `manifest` names secrets;
    `reference` is another model folder that did not see the members (such as the base of a
    fine-tune). `progress` hears of every stage; its first call is the estimate of time. What cannot
    be measured with what is given is listed as not run, and said in `notices`.

    Raises:
        InputError: a model that cannot be opened safely, or no usable member text.
    """
    options = options or LanguageOptions()
    notices: list[str] = []
    opened = open_inputs(
        folder,
        members,
        held_out,
        manifest,
        notices,
        reference=reference,
        revision=revision,
        base=base,
        device=device,
    )
    return _audit(opened, options, notices, progress, asked=manifest is not None)


def _audit(
    opened: Inputs,
    options: LanguageOptions,
    notices: list[str],
    progress: Report | None,
    *,
    asked: bool,
) -> LanguageAudit:
    """All that is measured of an opened model; `asked` says whether secrets were to be tried."""
    model, members = opened.model, opened.members
    chosen = choose_texts(members, opened.held_out, opened.secrets, options.texts, options.seed)
    notices += chosen.notices
    # An answer is read whole behind its prompt, wherever the two fit.
    most = model.room if members.prompts else _MAX_WINDOW
    window = min(model.room, options.window or most)
    inside, outside, repetitions = _prepare(model, chosen, window, notices)
    both = [w for w in (inside, outside) if w is not None]
    probed = [_for_probes(model, w, window, options) for w in both]
    plan = plan_work(model, options, both, probed, opened.manifest, opened.other is not None)
    clock = Clock(plan, seconds_per_token(model, inside.sequences), progress)
    if progress is not None:
        progress(Step("estimate", 0, 1, clock.estimate))

    sides = _read(model, both, probed, options, clock.stage("texts"))
    mine, theirs = sides[0], sides[1] if outside is not None else None
    found = ScoreRows()
    compared: list[Compared | None] = [None, None]
    if opened.other is not None:
        heard = clock.stage("reference")
        compared, notes = compare_sides(model, sides, opened.other, window, heard)
        notices += notes
    measurements, rocs = _membership(model, mine, theirs, compared, options, clock, found)
    probes = _extraction(model, mine, theirs, repetitions, options, clock, found, measurements)
    for side in sides:
        lengths = options.prefix, options.suffix, options.least_answer
        notices += not_probed(side.windows, *lengths)
    measurements += texts_of.measure_unintended(compared[0])
    secrets = _ask_secrets(
        model, opened.tried, members, opened.corpus, options, clock, found, notices
    )
    if asked:
        measurements += measure_secrets(secrets, options.duplication_shares)
    controls = _controls(model, mine, theirs, chosen, probes[1], options, clock)
    if (unplanted := unplanted_control(secrets)) is not None:
        controls.append(unplanted)
    other = opened.other.digest if opened.other is not None else None
    return LanguageAudit(
        measurements=tuple(measurements),
        controls=tuple(controls),
        record_scores=found.table(),
        rocs=rocs,
        secrets=secrets,
        notices=tuple(notices),
        model_digest=model.digest,
        data_digest=opened.data_digest,
        config_digest=digest(options, other, FINDINGS.number),
        device=model.device,
    )


def _membership(
    model: LanguageModel,
    mine: Side,
    theirs: Side | None,
    compared: list[Compared | None],
    options: LanguageOptions,
    clock: Clock,
    found: ScoreRows,
) -> tuple[list[Measurement], dict[str, Roc]]:
    """Every score asked for, on both sides, over the texts that it knows."""
    sides = [side for side in (mine, theirs) if side is not None]
    recalls: list[Floats | None] = [None, None]
    keep = np.ones(len(theirs), dtype=bool) if theirs is not None else None
    if theirs is not None and "recall" in options.attacks and len(theirs) > 1:
        recalls[0], recalls[1], keep = _recall(model, mine, theirs, clock)
    tables = []
    for i, side in enumerate(sides):
        controls = keep if i == 1 and keep is not None else np.ones(len(side), dtype=bool)
        table = {}
        for name, column in texts_of.membership_scores(side, compared[i], recalls[i]).items():
            rows = np.flatnonzero(controls & ~np.isnan(column))
            if name in options.attacks and rows.size:
                table[name] = column[rows]
                found.add([side.windows.texts.ids[r] for r in rows], i == 0, name, column[rows])
        tables.append(table)
    others = tables[1] if len(tables) > 1 else None
    return texts_of.measure_membership(tables[0], others, options.more_rates)


def _extraction(
    model: LanguageModel,
    mine: Side,
    theirs: Side | None,
    repetitions: np.ndarray,
    options: LanguageOptions,
    clock: Clock,
    found: ScoreRows,
    measurements: list[Measurement],
) -> tuple[Probes, Probes | None]:
    """Extraction of both sides, added to `found` and `measurements`."""
    sides = [("all", mine)] + ([("held_out", theirs)] if theirs is not None else [])
    probes = []
    for stratum, side in sides:
        probe = texts_of.probe_texts(side, options)
        names = [side.windows.texts.ids[i] for i in probe.texts]
        found.add(names, stratum == "all", "discoverable", probe.recited)
        probes.append(probe)
    mine_probes, their_probes = probes[0], probes[1] if theirs is not None else None
    measurements += texts_of.measure_extraction(mine_probes, their_probes, repetitions)
    report = clock.stage("generation")
    if options.generated:
        asked = [(stratum, probe) for (stratum, _), probe in zip(sides, probes, strict=True)]
        measurements += texts_of.measure_near_verbatim(
            model, asked, options.generated, options.seed, report
        )
    report(1, 1)
    return mine_probes, their_probes


def _secrets(
    model: LanguageModel,
    manifest: Manifest,
    ready: Preflight,
    options: LanguageOptions,
    clock: Clock,
    found: ScoreRows,
) -> tuple[SecretFinding, ...]:
    """Probe every secret that the model could have learned, and the controls beside them."""
    findings = probe_secrets(
        model,
        manifest.secrets,
        ready.trained,
        references=options.references,
        candidates=options.candidates,
        proposals=options.proposals,
        top_k=options.sampling.top_k,
        seed=options.seed,
        progress=clock.stage("secrets"),
    )
    for finding in findings:
        if finding.exposure is not None:
            value = np.array([finding.exposure.bits])
            found.add([finding.secret.id], finding.repetitions > 0, "exposure", value)
    return findings


def _controls(
    model: LanguageModel,
    mine: Side,
    theirs: Side | None,
    chosen: Sides,
    their_probes: Probes | None,
    options: LanguageOptions,
    clock: Clock,
) -> list[Control]:
    count = len(theirs) if theirs is not None else 0
    report = clock.stage("controls")
    found = [checks.held_out_size(count, chosen.near_duplicates, chosen.held_out_before)]
    found.append(checks.held_out_extraction(their_probes))
    sides = [side for side in (mine, theirs) if side is not None]
    heard = checks.hear(model, sides, options.control_texts, options.seed, report)
    found.append(checks.chance_control(heard, model.vocabulary))
    if theirs is not None:
        found.append(checks.untrained_control(*heard))
        every = [
            [side.windows.sequences[i] for i in picked]
            for side in sides
            for picked in [checks.pick(side.windows.document, options.texts, options.seed)]
        ]
        found.append(checks.blind_control(every[0], every[1], model.vocabulary, options.seed))
    report(1, 1)
    return found
