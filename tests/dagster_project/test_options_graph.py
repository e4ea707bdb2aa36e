"""Mitigated recipes in the graph, and blocks that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.dagster.components.mitigation_assets import OPTION_ASSETS, option_graphs
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.questions import ask
from memory_assets.workflows import shadows
from memory_assets.workflows.home import find_home
from memory_assets.workflows.record import record_audits
from tests.dagster_project import subject_graphs

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def world(root: Path, **attributes: object) -> ClassifierSubject:
    x = RNG.normal(size=(120, 4)).astype(np.float32)
    ids = np.array([f"r{i}" for i in range(120)])
    np.savez(root / "records.npz", x=x, label=RNG.integers(0, 2, 120), id=ids)
    (root / "members.csv").write_text("\n".join(["id", *ids[:60]]))
    recipe = {
        "model": "memory_assets.models.mlp:mlp",
        "model_args": {"inputs": 4, "hidden": 16, "classes": 2},
        "epochs": 40,
        "batch_size": 8,
    }
    return ClassifierSubject.model_validate(
        {
            "subject": "small",
            "records": {"path": "records.npz", "members": "members.csv"},
            "recipe": recipe,
            "checkpoints": "versions",
            "pool": {"models": 16, "option_models": 4},
            **attributes,
        }
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    return tmp_path


def audits(result: dg.ExecuteInProcessResult, graph: SubjectGraph) -> dict[str, AuditBundle]:
    found = {}
    for option in option_graphs(graph):
        facts = subject_graphs.metadata(result, option.key("leakage"))
        found[option.option] = AuditBundle.read(Path(str(facts["path"])))
    return found


def measured(bundle: AuditBundle, metric: str, name: str | None = None) -> float:
    (value,) = [
        m.estimate.value
        for m in bundle.measurements
        if m.metric == metric and name in (None, m.name)
    ]
    assert value is not None
    return value


def test_options_are_audited_beside_the_original(root: Path) -> None:
    pytest.importorskip("opacus")
    options = {
        "early-stop": {"epochs": 1},
        "dp": {"noise_multiplier": 2.0, "max_grad_norm": 1.0, "epochs": 2},
    }
    subject = world(root, options=options)
    graph = SubjectGraph(subject, root)
    keys = [option.key(asset) for option in option_graphs(graph) for asset in OPTION_ASSETS]
    result = subject_graphs.run(subject, root, [graph.key("dataset"), *keys])
    assert result.success
    found = audits(result, graph)
    assert list(found) == ["original", "early-stop", "dp"]
    assert [b.audit.model_version for b in found.values()] == [f"option:{name}" for name in found]
    leaks = {name: measured(bundle, "auc", "loss") for name, bundle in found.items()}
    assert leaks["original"] > 0.7
    assert leaks["original"] > max(leaks["early-stop"], leaks["dp"]) + 0.1
    spent = measured(found["dp"], "accountant_epsilon")
    claimed = measured(found["dp"], "replace_one_epsilon")
    assert claimed > 2 * spent
    assert f"at delta 1e-05, so the claim of {claimed:g}" in found["dp"].audit.reason
    assert "claim" not in found["early-stop"].audit.reason

    record_audits(find_home(), [subject], {subject.subject: []})
    rows = ask(find_home().root, "compare_options", {"subject": "small"}).to_pylist()
    accuracy = {r["option"]: r["value"] for r in rows if r["metric"] == "held_out_accuracy"}
    assert list(accuracy) == ["original", "dp", "early-stop"]
    versions = ask(find_home().root, "select model_version from versions")[
        "model_version"
    ].to_pylist()
    assert versions == []  # an option is no release


def test_the_original_option_shares_its_blocks_with_the_subject(root: Path) -> None:
    subject = world(root, options={"weight-decay": {}})
    graph = SubjectGraph(subject, root)
    shared, decayed = option_graphs(graph)
    pools = [g.key("shadow_models") for g in (graph, shared, decayed)]
    result = subject_graphs.run(subject, root, [graph.key("dataset"), pools[0]])
    assert subject_graphs.metadata(result, pools[0])["blocks trained now"] == 2
    result = subject_graphs.run(subject, root, [graph.key("dataset"), *pools[1:]])
    counts = [subject_graphs.metadata(result, key)["blocks trained now"] for key in pools[1:]]
    assert counts == [0, 1]


def test_a_failed_block_is_retried_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = world(root)
    graph = SubjectGraph(subject, root)
    tried: list[int] = []
    train = shadows.train_block

    def once_broken(subject, root, prepared, number, *more):
        tried.append(number)
        if number == 1 and tried.count(1) == 1:
            raise OSError("the machine went away")
        return train(subject, root, prepared, number, *more)

    monkeypatch.setattr(shadows, "train_block", once_broken)
    result = subject_graphs.run(subject, root, [graph.key("dataset"), graph.key("shadow_models")])
    assert result.success
    assert sorted(tried) == [0, 1, 1]
    again = [e.step_key for e in result.all_events if e.event_type_value == "STEP_RESTARTED"]
    assert [key.partition("[")[2] for key in again] == ["block_001]"]


def test_wrong_input_is_not_tried_again(root: Path) -> None:
    subject = world(root, recipe=None, fit="tests.dagster_project.test_options_graph:broken")
    graph = SubjectGraph(subject, root)
    result = subject_graphs.run(subject, root, [graph.key("dataset"), graph.key("shadow_models")])
    failed = [e for e in result.all_events if e.is_step_failure]
    assert not [e for e in result.all_events if e.event_type_value == "STEP_RESTARTED"]
    said = [e.step_failure_data.user_failure_data for e in failed]
    assert any("all 4 models of a block failed" in str(data and data.description) for data in said)


def broken(x, y, seed):  # noqa: ARG001
    raise RuntimeError("no")


def test_a_subject_that_brings_predictions_trains_no_block(root: Path) -> None:
    subject = world(root, recipe=None, predictions={}, pool={})
    graph = SubjectGraph(subject, root)
    names = ("dataset", "shadow_models", "shadow_signals", "memorization", "information")
    result = subject_graphs.run(subject, root, [graph.key(name) for name in names])
    assert result.success
    facts = subject_graphs.metadata(result, graph.key("shadow_models"))
    assert (facts["models"], facts["blocks trained now"]) == (0, 0)


def test_blocks_carry_the_pool_that_limits_them(root: Path) -> None:
    subject = world(root)
    job = subject_graphs.definitions(subject, root).resolve_implicit_global_asset_job_def()
    nodes = job.graph.node_dict["small__shadow_models"].definition.nodes
    pools = {node.name: node.definition.pools for node in nodes}
    assert pools["small__train_block"] == {"gpu"}
    assert not pools["small__plan_blocks"]


REPORTING = """
import json, os, numpy as np
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as pipes:
    pipes.log.info("trained on %d records" % len(np.load("y.npy")))
with open("predictions.csv", "w") as f:
    print("record_id,prob_0,prob_1", file=f)
    for i in json.load(open("ask_ids.json")):
        print(i, 0.5, 0.5, sep=",", file=f)
"""


def test_a_command_may_speak_to_dagster(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / "train.py").write_text(REPORTING)
    command = {"run": f"{sys.executable} train.py"}
    subject = world(root, recipe=None, command=command, pool={"models": 4})
    graph = SubjectGraph(subject, root)
    result = subject_graphs.run(subject, root, [graph.key("dataset"), graph.key("shadow_models")])
    assert result.success
    assert capfd.readouterr().err.count("trained on 60 records") == 4
