"""The gate's verdict on a version, from the history and the file that is on disk now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dagster_project.releases import newest_release
from dagster_project.subjects import find_subject
from memory_assets.artifacts import home
from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.models.checkpoints import list_versions
from memory_assets.models.registry import version_of_alias

_VERDICT = """
    select audit_id, model_digest, verdict, reason from audits
    where subject = $subject and model_version = $version
    order by finished_at desc, started_at desc, audit_id desc limit 1
"""
_GATES = """
    select metric, name, status, value, ci_low, ci_high, k, n from measurements
    where audit_id = $audit_id and family = 'gate' order by metric, name
"""
_WORSE = """
    select name, stratum, metric, value, ci_low, ci_high, previous_version, previous_value,
        previous_ci_low, previous_ci_high
    from regressions where audit_id = $audit_id order by abs(difference) desc
"""


@dataclass(frozen=True)
class GateDecision:
    """What CI acts on.

    `gates` has a row for each threshold with the rate it was held against, `regressions` one for
    each figure that is worse than in the version before, beyond both intervals. Those inform.
    `audit_id` is empty where there is no audit to go by.
    """

    subject: str
    version: str
    audit_id: str
    verdict: str
    reason: str
    gates: tuple[dict[str, Any], ...]
    regressions: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(root: Path, name: str, version: str | None) -> GateDecision:
    """The verdict on a version as it is now, on the newest release where none is named.

    A file changed since its audit has no verdict, nor has a newest release that was not audited:
    the older one's does not speak for it.

    Raises:
        InputError: unknown subject, or a named version that was never audited.
    """
    subject, asked = find_subject(root, name), version
    version = (
        version_of_alias(subject.checkpoints, version) if version else newest_release(root, name)
    )
    rows = ask(home(), _VERDICT, {"subject": name, "version": version}).to_pylist()
    if not rows and asked is None:
        reason = (
            f"{version} is the newest version in {subject.checkpoints} and was never audited; "
            f"run memory-assets audit {name}"
        )
        return GateDecision(name, version, "", "insufficient evidence", reason, (), ())
    if not rows:
        raise InputError(
            f"version {version!r} of {name}: never audited; "
            f"run memory-assets audit {name} --version {version}"
        )
    row = rows[0]
    gates = tuple(ask(home(), _GATES, {"audit_id": row["audit_id"]}).to_pylist())
    worse = tuple(ask(home(), _WORSE, {"audit_id": row["audit_id"]}).to_pylist())
    verdict, reason = row["verdict"], row["reason"]
    path = list_versions(root / subject.checkpoints).get(version)
    if path is not None and subject.fingerprint(path) != row["model_digest"]:
        verdict = "insufficient evidence"
        reason = f"{path.name} changed since its audit; run memory-assets audit {name}"
    return GateDecision(name, version, row["audit_id"], verdict, reason, gates, worse)
