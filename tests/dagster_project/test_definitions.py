"""The shape of the graph, and that loading it stays cheap."""

import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from memory_assets.dagster.definitions import build_definitions

CHECKOUT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "matplotlib", "sklearn", "scipy.stats")


@pytest.fixture(scope="module")
def definitions():
    return build_definitions(CHECKOUT)


@pytest.mark.parametrize("history", ["none", "no database", "unreadable"])
def test_loading_asks_no_database(tmp_path: Path, monkeypatch, history: str):
    """A code location loads, whatever is wrong with the history; a tick or a run says so."""

    def asked(*given: object, **settings: object):
        raise AssertionError(f"a database was opened while the graph loaded: {given}, {settings}")

    monkeypatch.setattr(duckdb, "connect", asked)
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path))
    if history != "none":
        (tmp_path / "history.duckdb").write_bytes(b"no database")
    if history == "unreadable":
        (tmp_path / "history.duckdb").chmod(0)
    loaded = build_definitions(CHECKOUT)
    assert dg.AssetKey(["digits", "leakage"]) in loaded.resolve_asset_graph().get_all_asset_keys()
    loaded.get_repository_def().load_all_definitions()


def test_loading_makes_no_home(tmp_path: Path, monkeypatch):
    """Where state lives is found by whoever runs a step, and not by the graph."""
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    build_definitions(CHECKOUT).get_repository_def().load_all_definitions()
    assert not (tmp_path / "home").exists()


def parents(definitions, name, subject="digits"):
    graph = definitions.resolve_asset_graph()
    node = graph.get(dg.AssetKey([subject, name]))
    return {key.path[-1] for key in node.parent_keys}


def test_the_lineage_of_a_classifier(definitions):
    """What reads what: a change here is a change of the product."""
    expected = {
        "shadow_models": {"dataset", "recipe"},
        "shadow_signals": {"dataset", "shadow_models"},
        "memorization": {"dataset", "shadow_signals"},
        "information": {"dataset", "shadow_signals"},
        "version_pool": {"dataset", "checkpoint", "shadow_signals"},
        "target_signals": {"dataset", "checkpoint", "shadow_signals"},
        "attack_scores": {"dataset", "version_pool", "target_signals"},
    }
    assert {name: parents(definitions, name) for name in expected} == expected
    read = {"dataset", "version_pool", "target_signals", "attack_scores"}
    assert parents(definitions, "leakage") == read | {"memorization", "information"}
    assert "leakage" in parents(definitions, "roi_report")
    assert parents(definitions, "risk") == {"leakage", "profile", "neighbours"}


def test_the_lineage_of_a_language_model_with_a_recipe(definitions):
    expected = {
        "texts": {"source"},
        "dataset": {"texts"},
        "shadow_models": {"dataset", "recipe"},
        "shadow_signals": {"dataset", "shadow_models"},
        "memorization": {"dataset", "shadow_signals"},
        "version_pool": {"dataset", "checkpoint", "shadow_signals"},
        "target_signals": {"dataset", "checkpoint", "shadow_signals"},
        "attack_scores": {"dataset", "version_pool", "target_signals"},
    }
    assert {name: parents(definitions, name, "notes") for name in expected} == expected
    leakage = parents(definitions, "leakage", "notes")
    assert leakage == {*expected, "checkpoint"} - {"shadow_models", "shadow_signals"}


def test_only_what_depends_on_a_version_is_partitioned(definitions):
    graph = definitions.resolve_asset_graph()
    partitioned = {
        key.path[-1]
        for key in graph.get_all_asset_keys()
        if key.path[0] == "digits" and graph.get(key).is_partitioned
    }
    by_version = {
        "checkpoint",
        "version_pool",
        "target_signals",
        "attack_scores",
        "leakage",
        "roi_report",
    }
    assert by_version <= partitioned
    assert not partitioned & {"dataset", "shadow_models", "shadow_signals", "memorization"}


def test_every_asset_says_what_it_is(definitions):
    for spec in definitions.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name, spec.key


def test_checks_block_what_hangs_below_the_report(definitions):
    graph = definitions.resolve_asset_graph()
    checks = [
        k for k in graph.asset_check_keys if k.asset_key == dg.AssetKey(["digits", "roi_report"])
    ]
    blocking = {k.name for k in checks if graph.get(k).blocking}
    assert {"gate", "control_negative", "control_positive", "control_blind_baseline"} <= blocking


def test_history_gathers_the_reports_of_every_subject(definitions):
    graph = definitions.resolve_asset_graph()
    reports = {k for k in graph.get_all_asset_keys() if k.path[-1] == "roi_report"}
    assert graph.get(dg.AssetKey(["portfolio", "history"])).parent_keys == reports


def test_sensors_run_by_default(definitions):
    sensors = (
        {s.name: s.default_status for s in definitions.resolve_sensors()}
        if hasattr(definitions, "resolve_sensors")
        else {s.name: s.default_status for s in definitions.sensors or []}
    )
    assert sensors["digits_versions"] == dg.DefaultSensorStatus.RUNNING
    assert sensors["automation"] == dg.DefaultSensorStatus.RUNNING


def test_workspace_and_pyproject_name_the_same_location():
    workspace = yaml.safe_load((CHECKOUT / "workspace.yaml").read_text())
    module = workspace["load_from"][0]["python_module"]
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert module["module_name"] == project["code_location_target_module"]
    assert module["location_name"] == project["code_location_name"]


def test_loading_the_graph_imports_nothing_heavy():
    code = (
        "import sys; from dagster_project.definitions import defs; "
        f"defs(); print([m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
