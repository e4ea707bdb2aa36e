"""The worked example of docs/automation.md: a deployment held back by the report's checks."""

import re
from pathlib import Path

import dagster as dg
import pytest

from memory_assets.dagster.checks import check_specs

DOC = Path(__file__).parents[2] / "docs" / "automation.md"


def example() -> dict[str, object]:
    """The Python block of the document, run as it stands there."""
    text = DOC.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    space: dict[str, object] = {}
    exec(compile(code, str(DOC), "exec", dont_inherit=True), space)
    return space


def report_asset(verdicts: dict[str, str], versions: dg.PartitionsDefinition):
    key = dg.AssetKey(["digits", "roi_report"])

    @dg.asset(
        key=key,
        partitions_def=versions,
        check_specs=check_specs(key, versions, controls={}),
    )
    def roi_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        verdict = verdicts[context.partition_key]
        severity = dg.AssetCheckSeverity.ERROR if verdict == "fail" else dg.AssetCheckSeverity.WARN
        gate = dg.AssetCheckResult(check_name="gate", passed=verdict == "pass", severity=severity)
        regression = dg.AssetCheckResult(check_name="regression", passed=True)
        return dg.MaterializeResult(check_results=[gate, regression])

    return roi_report


@pytest.mark.parametrize(
    ("verdict", "deployed"), [("pass", True), ("inconclusive", False), ("fail", False)]
)
def test_only_a_version_that_passed_is_deployed_by_itself(verdict: str, deployed: bool):
    deploy = example()["deployment"]
    assert isinstance(deploy, dg.AssetsDefinition)
    versions = deploy.partitions_def
    assert isinstance(versions, dg.DynamicPartitionsDefinition)
    report = report_asset({"v1": verdict}, versions)
    defs = dg.Definitions(assets=[report, deploy])
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(versions.name), ["v1"])
        first = dg.evaluate_automation_conditions(defs, instance)
        assert first.total_requested == 0
        dg.materialize([report], instance=instance, partition_key="v1", raise_on_error=False)
        then = dg.evaluate_automation_conditions(defs, instance, cursor=first.cursor)
        assert then.total_requested == int(deployed)
        again = dg.evaluate_automation_conditions(defs, instance, cursor=then.cursor)
        assert again.total_requested == 0


@pytest.mark.parametrize("order", [("v1", "v2"), ("v2", "v1")])
def test_a_version_that_passed_opens_the_gate_to_no_other(order: tuple[str, ...]):
    deploy = example()["deployment"]
    assert isinstance(deploy, dg.AssetsDefinition)
    versions = deploy.partitions_def
    assert isinstance(versions, dg.DynamicPartitionsDefinition)
    report = report_asset({"v1": "fail", "v2": "pass"}, versions)
    defs = dg.Definitions(assets=[report, deploy])
    deployed = []
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(versions.name), ["v1", "v2"])
        found = dg.evaluate_automation_conditions(defs, instance)
        for version in (*order, *order):
            run = {"partition_key": version, "raise_on_error": False}
            dg.materialize([report], instance=instance, **run)
            found = dg.evaluate_automation_conditions(defs, instance, cursor=found.cursor)
            for result in found.results:
                parts = result.true_subset.expensively_compute_asset_partitions()
                deployed += [part.partition_key for part in parts]
    assert set(deployed) == {"v2"}
