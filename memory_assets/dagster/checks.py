"""An audit's controls and gate as checks that block what hangs below the report.

They sit on the last asset of a version and not on `leakage`: a version that fails must still be
reported and recorded. What they stop is what the owner puts downstream, such as a deployment.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import dagster as dg

from memory_assets.dagster.markdown import as_text
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.regressions import Regression

_SHOWN = 20

CONTROLS = {
    "negative": "A model that never saw the members, and permuted members, tell nothing.",
    "positive": "A model that did memorize is found out: the instrument works.",
    "blind_baseline": "Members and non-members cannot be told apart without the model.",
    "recipe_match": "The audited model resembles the shadow models that stand in for it.",
    "resolution": "There are records enough for the rates that are claimed.",
    "provenance": "The checkpoint was trained on the members that the owner lists.",
    "instrument": "The attacks that ran are strong enough for what the gate limits.",
    "member_list": "The model's answers do not contradict the list of members.",
    "class_order": "The model's outputs stand in the order of the labels.",
    "precision": "What the answers lost by rounding is said.",
}

LANGUAGE_CONTROLS = {
    "held_out_texts": "There are texts enough that the model never saw to compare with.",
    "held_out_extraction": "Texts that the model never saw are not completed word for word.",
    "beats_chance": "The model knows more of its texts than chance: it was read as it is.",
    "untrained_model": "The same architecture with random weights tells nothing.",
    "blind_baseline": "Members and held-out texts cannot be told apart without the model.",
    "unplanted_canaries": "Secrets that were never planted are exposed no more than chance.",
    **{name: CONTROLS[name] for name in ("instrument", "member_list")},
    "provenance": "The version's manifest, if it carries one, names the listed texts.",
}

_OF_SHADOWS = ("negative", "positive", "recipe_match")


def language_controls(shadows: bool) -> dict[str, str]:
    """The controls of a language model, with those that rest on `shadows` where it has any."""
    return LANGUAGE_CONTROLS | {name: CONTROLS[name] for name in _OF_SHADOWS if shadows}


def check_specs(
    asset: dg.AssetKey,
    versions: dg.PartitionsDefinition,
    controls: Mapping[str, str] = CONTROLS,
) -> list[dg.AssetCheckSpec]:
    """A blocking check for every control and for the gate, and one that informs of regressions.

    Each version has results of its own: a version that passed must not open the gate to another
    one that failed before it.
    """
    checks = {f"control_{name}": text for name, text in controls.items()}
    checks["gate"] = "No measured rate lies above what the owner allows."
    checks["regression"] = "Nothing is worse than in the version before, beyond both intervals."
    with warnings.catch_warnings():
        # New in this release of Dagster, which constraints.txt pins; a test holds what it does.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=asset,
                description=text,
                blocking=name != "regression",
                partitions_def=versions,
            )
            for name, text in checks.items()
        ]


def check_results(
    bundle: AuditBundle,
    asset: dg.AssetKey,
    worse: Sequence[Regression],
    controls: Mapping[str, str] = CONTROLS,
) -> list[dg.AssetCheckResult]:
    """The checks of one audit; `worse` is what got worse since the version before.

    Of `controls`, those that the owner's input did not allow are warnings.

    A failed control or a failed gate is an error; an inconclusive gate is a warning, which does
    not block: nothing was shown against the version. A regression warns: whether what got worse
    is too much, the gate says.
    """
    audit = bundle.audit
    results = [
        dg.AssetCheckResult(
            asset_key=asset,
            check_name=f"control_{control.control}",
            passed=control.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=control.detail,
        )
        for control in bundle.controls
    ]
    blocked = audit.verdict in ("fail", "insufficient evidence")
    gate = dg.AssetCheckResult(
        asset_key=asset,
        check_name="gate",
        passed=audit.verdict == "pass",
        severity=dg.AssetCheckSeverity.ERROR if blocked else dg.AssetCheckSeverity.WARN,
        description=f"{audit.verdict}: {audit.reason}",
        metadata={"verdict": audit.verdict},
    )
    ran = {control.control for control in bundle.controls}
    absent = [
        dg.AssetCheckResult(
            asset_key=asset,
            check_name=f"control_{name}",
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="not run: what it needs was not given",
        )
        for name in controls
        if name not in ran
    ]
    regression = dg.AssetCheckResult(
        asset_key=asset,
        check_name="regression",
        passed=not worse,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(worse)} figures got worse; the first: {worse[0]}" if worse else "none",
        metadata={
            "worse": dg.MetadataValue.md(
                "\n".join(f"- {as_text(w)}" for w in worse[:_SHOWN]) or "nothing"
            )
        },
    )
    return [*results, *absent, gate, regression]
