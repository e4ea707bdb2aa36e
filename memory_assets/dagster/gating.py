"""The gate's verdict on a version: of the audit whose digests are those of now, or none."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memory_assets.config.classifier import AuditedSubject
from memory_assets.dagster.releases import Release, release_now
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.workflows.home import Home
from memory_assets.workflows.now import Basis, basis_now

NOT_AUDITED = "not audited"
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 4, "insufficient evidence": 5, NOT_AUDITED: 5}
"""What the command line ends with, by verdict."""
_AUDITS = """
    select * from audits_in_order
    where subject = $subject and model_version = $version
    order by place
"""
_GATES = """
    select
        metric_name(metric, threshold) as metric, direction, limit_value as "limit", outcome,
        withheld, attack, status, value, ci_low, ci_high, k, n, records_needed
    from gate_results where audit_id = $audit_id order by metric
"""
_WORSE = """
    select attack, population, metric, value, ci_low, ci_high, previous_version, previous_value,
        previous_ci_low, previous_ci_high
    from regressions where audit_id = $audit_id order by abs(difference) desc
"""
_REASON = """
    select findings as reason from told where audit_id = $audit_id and about = 'verdict'
"""
_DIGESTS = {
    "model_digest": "the weights",
    "data_digest": "the records or the list of members",
    "pool_digest": "the shadow models (recipe, code or their number)",
    "config_digest": "the settings (limits, attacks or what else decides the verdict)",
    "audit_id": "how models are asked, or the formulas of the program,",
}


@dataclass(frozen=True)
class GateDecision:
    """What CI acts on.

    `gates` has a row for each threshold with the rate it was held against, `regressions` one for
    each figure that is worse than in the version before, beyond both intervals. Those inform.
    `audit_id` is empty where there is no audit to go by; `digests` are those of the audit.
    """

    subject: str
    version: str
    audit_id: str
    verdict: str
    reason: str
    gates: tuple[dict[str, Any], ...] = ()
    regressions: tuple[dict[str, Any], ...] = ()
    digests: dict[str, str] | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(subject: AuditedSubject, root: Path, home: Home, version: str | None) -> GateDecision:
    """The verdict on a version as it is now, on the newest release where none is named.

    The digests of its weights, records, members, shadow models and settings are taken anew; the
    audit that was made from these speaks, whenever that was. Without one the version is not
    audited: neither the audit of another state nor that of another version speaks for it.

    Raises:
        InputError: unknown version, something that cannot be read, or a registry that does not
            answer.
    """
    with home.asked_together():
        return _decide(subject, root, home, version)


def _decide(subject: AuditedSubject, root: Path, home: Home, version: str | None) -> GateDecision:
    name = subject.subject
    ask(home.root, "select 1")  # without a history there is one thing to do, whatever was released
    release = release_now(subject, root, home, version)
    audits = ask(home.root, _AUDITS, {"subject": name, "version": release.version}).to_pylist()
    if release.path is None and not audits and isinstance(subject.checkpoints, str):
        raise InputError(
            f"version {release.version!r} of {name}: not in {subject.checkpoints} and never "
            f"audited; memory-assets audit {name} audits what is there"
        )
    why = release.missing or (None if audits else "it was never audited")
    if why is None:
        found = _made_from_now(subject, root, home, release, audits)
        if not isinstance(found, str):
            return _of_audit(home, release.version, found)
        why = found
    run = shlex.join(["memory-assets", "audit", name])
    newest = "" if version else ", the newest version"
    reason = f"{release.version}{newest}: {why}; run {run}"
    return GateDecision(name, release.version, "", NOT_AUDITED, reason)


def _made_from_now(
    subject: AuditedSubject,
    root: Path,
    home: Home,
    release: Release,
    audits: Sequence[dict[str, Any]],
) -> dict[str, Any] | str:
    """The audit that was made from what is there now; else in words why there is none.

    Of several the one that was asked for last; the first of `audits` is in force.

    Raises:
        InputError: records, members or what shadow models are made by cannot be read.
    """
    assert release.path is not None
    try:
        weights = subject.fingerprint(release.path)
    except InputError as error:
        return str(error)
    audits = [audit for audit in audits if audit["model_digest"] == weights] or [audits[0]]
    if audits[0]["model_digest"] != weights:
        return f"{release.path.name} changed since its audit"
    there = {release.version: release.path}
    now: dict[str, Basis] = {}
    for audit in audits:
        device = _device(audit)
        if device not in now:
            now[device] = basis_now(subject, root, there, release.version, home.store, device)
        if not _changed(audit, now[device]):
            return audit
    return f"{_changed(audits[0], now[_device(audits[0])])[0]} changed since its audit"


def _device(audit: dict[str, Any]) -> str:
    """The kind: "cuda" of "cuda (NVIDIA H100 PCIe)", "cpu" of "cpu, shadow models in bfloat16"."""
    return audit["device"].partition(",")[0].partition(" ")[0]


def _changed(audit: dict[str, Any], now: Basis) -> list[str]:
    """What differs between an audit and now, in words; what rests on the rest comes last."""
    return [said for name, said in _DIGESTS.items() if audit[name] != getattr(now, name)]


def _of_audit(home: Home, version: str, audit: dict[str, Any]) -> GateDecision:
    asked = {"audit_id": audit["audit_id"]}
    told = ask(home.root, _REASON, asked).to_pylist()
    return GateDecision(
        subject=audit["subject"],
        version=version,
        audit_id=audit["audit_id"],
        verdict=audit["verdict"],
        reason=told[0]["reason"] if told else "",
        gates=tuple(ask(home.root, _GATES, asked).to_pylist()),
        regressions=tuple(ask(home.root, _WORSE, asked).to_pylist()),
        digests={name: audit[name] for name in _DIGESTS if name != "audit_id"},
    )
