"""What changed against what re-ran, on the real definitions with tiny subjects."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import automation_projects as tiny
import dagster as dg
import pytest
from automation_projects import (
    CONCLUSION,
    POOL_ASSETS,
    PRICE,
    VERSION_ASSETS,
    SteppedDaemon,
    of,
)
from matplotlib.figure import Figure

import memory_assets
from memory_assets.dagster import auditing
from memory_assets.dagster.components.mitigation_assets import OPTION_ASSETS
from memory_assets.dagster.confirmations import RISK_ID
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.questions import ask
from memory_assets.reports import canvas
from memory_assets.results import formulas
from memory_assets.risk import profile_file
from memory_assets.store.artifacts import ArtifactStore
from memory_assets.validity.scope import standing
from memory_assets.workflows.home import Home
from memory_assets.workflows.pricing import Audited, price_version

pytestmark = pytest.mark.slow

HISTORY = Counter({"portfolio/history": 1, "portfolio/dashboard": 1})


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Pages are looked at elsewhere; drawing them takes a fourth of an audit as small as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "_draw", lambda *_: Figure())
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("automation")


@pytest.fixture
def home(folder: Path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(folder / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.rmtree(folder / "home", ignore_errors=True)
    return folder / "home"


@pytest.fixture(scope="module")
def settled(folder: Path) -> Iterator[tiny.Kept]:
    """One subject, one audited version, nothing left to do."""
    root, home = folder / "project", folder / "home"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch, tiny.stepped(root) as daemon:
        patch.setenv("MEMORY_ASSETS_HOME", str(home))
        patch.setenv("OMP_NUM_THREADS", "1")
        tiny.write_checkpoint(root / "tiny", "v1", seed=1)
        daemon.settle()
        assert not daemon.failed
        yield tiny.Kept(daemon, home, folder / "kept")


@pytest.fixture
def daemon(settled: tiny.Kept, home: Path) -> SteppedDaemon:  # noqa: ARG001
    return settled.back()


def audits(home: Path) -> list[tuple]:
    found = ask(home, "select subject, model_version from audits order by all").to_pylist()
    return [tuple(row.values()) for row in found]


def without_history(done: Counter[str]) -> Counter[str]:
    return Counter({name: n for name, n in done.items() if not name.startswith("portfolio/")})


def test_from_nothing_everything_runs_once(tmp_path, home):
    root = tmp_path / "project"
    root.mkdir()
    with tiny.stepped(root) as daemon:
        tiny.write_checkpoint(root / "tiny", "v1", seed=1)
        done = daemon.settle()
    assert without_history(done) == of("tiny", *POOL_ASSETS) + of(
        "tiny", *VERSION_ASSETS, versions=["v1"]
    )
    assert audits(home) == [("tiny", "v1")]


def test_the_same_bytes_run_nothing(daemon: SteppedDaemon):
    folder = daemon.root / "tiny"
    for path in (folder / "checkpoints" / "v1.safetensors", folder / "members.csv"):
        path.write_bytes(path.read_bytes())
        os.utime(path, ns=(1, 1))
    assert daemon.settle() == Counter()


def test_a_new_checkpoint_runs_its_own_version_only(daemon: SteppedDaemon, home: Path):
    tiny.write_checkpoint(daemon.root / "tiny", "v2", seed=2)
    done = daemon.settle()
    assert without_history(done) == of("tiny", *VERSION_ASSETS, versions=["v2"])
    assert audits(home) == [("tiny", "v1"), ("tiny", "v2")]


def test_other_bytes_under_an_old_name_are_a_new_audit_and_the_old_one_stays(
    daemon: SteppedDaemon, home: Path
):
    tiny.write_checkpoint(daemon.root / "tiny", "v1", seed=3)
    done = daemon.settle()
    assert without_history(done) == of("tiny", *VERSION_ASSETS, versions=["v1"])
    assert audits(home) == [("tiny", "v1"), ("tiny", "v1")]


def test_a_renamed_version_is_audited_under_its_new_name_from_what_is_there(
    daemon: SteppedDaemon, home: Path
):
    folder = daemon.root / "tiny" / "checkpoints"
    answers = sorted((home / "artifacts" / "signals").rglob("*"))
    (folder / "v1.safetensors").rename(folder / "final.safetensors")
    done = daemon.settle()
    assert without_history(done) == of("tiny", *VERSION_ASSETS, versions=["final"])
    assert sorted((home / "artifacts" / "signals").rglob("*")) == answers
    assert audits(home) == [("tiny", "final"), ("tiny", "v1")]
    assert daemon.versions("tiny") == ["final"]


def test_a_deleted_version_keeps_its_audits_and_comes_back_for_nothing(
    daemon: SteppedDaemon, home: Path
):
    path = daemon.root / "tiny" / "checkpoints" / "v1.safetensors"
    weights = path.read_bytes()
    path.unlink()
    assert without_history(daemon.settle()) == Counter()
    assert daemon.versions("tiny") == []
    path.write_bytes(weights)
    assert without_history(daemon.settle()) == Counter()
    assert daemon.versions("tiny") == ["v1"]
    assert audits(home) == [("tiny", "v1")]


def test_new_data_retrain_the_pool_and_re_audit_every_version(daemon: SteppedDaemon, home: Path):
    tiny.write_checkpoint(daemon.root / "tiny", "v2", seed=2)
    daemon.settle()
    tiny.write_records(daemon.root / "tiny", seed=5)
    done = daemon.settle()
    assert without_history(done) == of("tiny", *POOL_ASSETS) + of(
        "tiny", *VERSION_ASSETS, versions=["v1", "v2"]
    )
    assert not daemon.failed
    assert audits(home) == [("tiny", "v1")] * 2 + [("tiny", "v2")] * 2


def test_records_written_anew_but_equal_stop_at_the_data_set(daemon: SteppedDaemon):
    # The list of members in another order: other bytes, the same records.
    path = daemon.root / "tiny" / "members.csv"
    head, *ids = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(ids)]) + "\n")
    assert daemon.settle() == of("tiny", "dataset")


def test_a_bumped_instrument_runs_what_it_computes_and_what_reads_that(
    daemon: SteppedDaemon, monkeypatch
):
    monkeypatch.setattr(formulas.INFORMATION, "number", 99)
    done = without_history(daemon.settle())
    assert done == of("tiny", "information") + of("tiny", *CONCLUSION, versions=["v1"])


@pytest.mark.parametrize(
    ("formula", "of_pool", "of_version"),
    [
        (formulas.RATES, (), ("attack_scores", *CONCLUSION)),
        (formulas.GATE, (), CONCLUSION),
        (formulas.RISK, (), PRICE),
        (formulas.SIGNALS, POOL_ASSETS[2:], VERSION_ASSETS),
    ],
    ids=lambda value: value.name if isinstance(value, formulas.Formula) else "",
)
def test_any_formula_runs_what_it_computes_and_what_reads_that(
    daemon: SteppedDaemon, home: Path, monkeypatch, formula, of_pool, of_version
):
    before = len(audits(home))
    monkeypatch.setattr(formula, "number", 99)
    done = without_history(daemon.settle())
    assert done == of("tiny", *of_pool) + of("tiny", *of_version, versions=["v1"])
    assert len(audits(home)) == before + (formula is not formulas.RISK)


def test_a_new_release_of_the_program_runs_nothing(daemon: SteppedDaemon, monkeypatch):
    monkeypatch.setattr(memory_assets, "__version__", "99.0.0")
    assert daemon.settle() == Counter()


def test_a_changed_gate_gives_a_new_verdict_and_runs_no_attack(daemon: SteppedDaemon):
    daemon.subjects["tiny"] = tiny.tiny_subject("tiny", gate={"auc": 0.9})
    done = without_history(daemon.settle())
    assert done == of("tiny", *CONCLUSION, versions=["v1"])


def test_a_declared_recipe_of_one_version_audits_that_version_alone(
    daemon: SteppedDaemon, home: Path
):
    tiny.write_checkpoint(daemon.root / "tiny", "v2", seed=2)
    daemon.settle()
    before = audits(home)
    daemon.subjects["tiny"] = tiny.tiny_subject("tiny", recipes={"v2": {"epochs": 2}})
    done = daemon.settle()
    assert not daemon.failed
    assert not any(name in done for name in ("tiny/shadow_models", "tiny/shadow_signals"))
    assert done["tiny/version_pool[v2]"] == done["tiny/leakage[v2]"] == 1
    assert audits(home) == sorted([*before, ("tiny", "v2")])
    pools = ask(home, "select model_version, pool_digest from audits_in_force").to_pylist()
    assert len({row["pool_digest"] for row in pools}) == len(pools) == 2
    assert daemon.settle() == Counter()


def test_a_changed_recipe_retrains_the_pool(daemon: SteppedDaemon):
    recipe = daemon.subjects["tiny"].recipe
    assert recipe is not None
    changed = replace(recipe, lr=0.2)
    daemon.subjects["tiny"] = tiny.tiny_subject("tiny", recipe=asdict(changed))
    done = without_history(daemon.settle())
    pool = [name for name in POOL_ASSETS if name != "dataset"]
    assert done == of("tiny", *pool) + of("tiny", *VERSION_ASSETS, versions=["v1"])


def test_edited_code_of_the_model_retrains_the_pool(tmp_path, home, monkeypatch):  # noqa: ARG001
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    code = "from memory_assets.models.mlp import mlp as build\n"
    module = root / "owners_model.py"
    module.write_text(code)
    with tiny.stepped(root) as daemon:
        recipe = asdict(daemon.subjects["tiny"].recipe) | {"model": "owners_model:build"}
        daemon.subjects["tiny"] = tiny.tiny_subject("tiny", recipe=recipe)
        tiny.write_checkpoint(root / "tiny", "v1", seed=1)
        daemon.settle()
        module.write_text(code + "# another line\n")
        done = without_history(daemon.settle())
    pool = [name for name in POOL_ASSETS if name != "dataset"]
    assert done == of("tiny", *pool) + of("tiny", *VERSION_ASSETS, versions=["v1"])


def test_an_edited_profile_prices_anew_and_audits_nothing(daemon: SteppedDaemon, home: Path):
    shipped = profile_file("retail-eu", daemon.root)
    profile = daemon.root / "ours.toml"
    profile.write_bytes(shipped.read_bytes())
    daemon.subjects["tiny"] = tiny.tiny_subject("tiny", profile="ours.toml")
    daemon.settle()
    profile.write_text(profile.read_text() + "# looked through again\n")
    done = without_history(daemon.settle())
    assert done == of("tiny", *PRICE, versions=["v1"])
    assert not daemon.failed
    assert audits(home) == [("tiny", "v1")]


@pytest.fixture
def priced(tmp_path, home):  # noqa: ARG001
    """A subject whose option `early-stop` was built as `v2`, and a daemon that has not looked."""
    root = tmp_path / "project"
    root.mkdir()
    with tiny.stepped(root) as daemon:
        daemon.subjects["tiny"] = tiny.tiny_subject(
            "tiny", profile="healthcare-us", mitigations={"early-stop": "v2"}
        )
        yield daemon


def last(daemon: SteppedDaemon, asset: str, version: str, said: str) -> str:
    """What the last materialization of an asset says of a version."""
    wanted = dg.AssetRecordsFilter(dg.AssetKey(["tiny", asset]), [version])
    (record,) = daemon.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization is not None
    return str(record.asset_materialization.metadata[said].value)


def stands(daemon: SteppedDaemon, home: Path, *versions: str) -> bool:
    """Whether each of these prices is the one that would be made now."""
    for version in versions:
        bundle = AuditBundle.read(Path(last(daemon, "leakage", version, "path")))
        audited = Audited(bundle.audit, standing(bundle.measurements, bundle.controls))
        made = price_version(
            daemon.subjects["tiny"],
            daemon.root,
            audited,
            daemon.released("tiny"),
            ArtifactStore(home),
        )
        assert made is not None
        if last(daemon, "risk", version, RISK_ID) != made.key:
            return False
    return True


def test_a_sibling_that_is_audited_later_prices_anew_what_reads_it(
    priced: SteppedDaemon, home: Path
):
    versions = ["v1", "v2", "v3"]
    for i, version in enumerate(versions):
        tiny.write_checkpoint(priced.root / "tiny", version, seed=i)
    done = without_history(priced.settle())
    first = of("tiny", *POOL_ASSETS) + of("tiny", *VERSION_ASSETS, versions=versions)
    read_v2 = of("tiny", *PRICE, versions=["v1", "v3"])
    assert done == first + read_v2
    assert stands(priced, home, *versions)
    # What a price does not read is none of its business; what it reads is, once.
    tiny.write_checkpoint(priced.root / "tiny", "v3", seed=30)
    assert without_history(priced.settle()) == of("tiny", *VERSION_ASSETS, versions=["v3"])
    tiny.write_checkpoint(priced.root / "tiny", "v2", seed=20)
    done = without_history(priced.settle())
    assert done == of("tiny", *VERSION_ASSETS, versions=["v2"]) + read_v2
    assert stands(priced, home, *versions)
    assert priced.settle() == Counter()
    assert not priced.failed


def test_a_mitigated_recipe_that_is_audited_later_prices_anew_what_reads_it(
    priced: SteppedDaemon, home: Path
):
    priced.subjects["tiny"] = tiny.tiny_subject(
        "tiny",
        profile="healthcare-us",
        pool={"models": 6, "option_models": 4},
        options={"early-stop": {"epochs": 2}},
        mitigations={"early-stop": "option:early-stop"},
    )
    tiny.write_checkpoint(priced.root / "tiny", "v1", seed=1)
    done = without_history(priced.settle())
    options = of("tiny/options/original", *OPTION_ASSETS)
    options += of("tiny/options/early-stop", *OPTION_ASSETS)
    first = of("tiny", *POOL_ASSETS) + of("tiny", *VERSION_ASSETS, versions=["v1"])
    assert done == first + options + of("tiny", *PRICE, versions=["v1"])
    assert stands(priced, home, "v1")
    assert priced.settle() == Counter()
    assert not priced.failed


def test_prices_of_the_command_line_need_no_second_run(
    priced: SteppedDaemon, home: Path, monkeypatch
):
    priced.settle()
    for i, version in enumerate(("v1", "v2")):
        tiny.write_checkpoint(priced.root / "tiny", version, seed=i)
    monkeypatch.setattr(auditing, "build_definitions", lambda _: priced.definitions)
    monkeypatch.setattr(auditing, "open_instance", lambda _: nullcontext(priced.instance))
    auditing.run_audits([priced.subjects["tiny"]], priced.root, Home(home), None, lambda _: None)
    assert stands(priced, home, "v1", "v2")
    # Automation ticks before the sensors look.
    definitions = priced.definitions
    done = Counter(priced.execute(definitions, priced.tick(definitions)))
    assert without_history(done + priced.settle()) == Counter()


@pytest.mark.parametrize("count", [8, pytest.param(50, marks=pytest.mark.long)])
def test_one_of_many_versions_does_not_touch_the_others(tmp_path, home, count: int):
    root = tmp_path / "project"
    root.mkdir()
    with tiny.stepped(root) as daemon:
        for i in range(count):
            tiny.write_checkpoint(root / "tiny", f"v{i:02d}", seed=i)
        daemon.settle()
        assert len(audits(home)) == count
        tiny.write_checkpoint(root / "tiny", "v05", seed=99)
        done = without_history(daemon.settle())
    assert done == of("tiny", *VERSION_ASSETS, versions=["v05"])
    assert len(audits(home)) == count + 1


def test_a_blocked_version_is_reported_recorded_and_not_repeated(daemon: SteppedDaemon, home: Path):
    daemon.subjects["tiny"] = tiny.tiny_subject("tiny", gate={"auc": 0.51})
    done = daemon.settle()
    assert done == of("tiny", *CONCLUSION, versions=["v1"]) + HISTORY
    assert daemon.settle() == Counter()
    last = "select verdict from audits order by finished_at desc limit 1"
    assert ask(home, last)["verdict"].to_pylist() == ["insufficient evidence"]


def test_a_missing_input_holds_back_its_subject_until_it_is_there(tmp_path, home):
    root = tmp_path / "project"
    root.mkdir()
    with tiny.stepped(root) as daemon:
        tiny.write_checkpoint(root / "tiny", "v1", seed=1)
        members = (root / "tiny" / "members.csv").read_text()
        definitions = daemon.definitions
        (root / "tiny" / "members.csv").unlink()
        for _ in range(3):
            daemon.look()
            asked = daemon.tick(definitions)
            assert not any("tiny" in key.path for keys in asked.values() for key in keys)
            daemon.execute(definitions, asked)
        (root / "tiny" / "members.csv").write_text(members)
        daemon.settle()
    assert audits(home) == [("tiny", "v1")]


def test_a_refused_checkpoint_fails_once_and_holds_back_nobody(daemon: SteppedDaemon, home: Path):
    (daemon.root / "tiny" / "checkpoints" / "v2.safetensors").write_bytes(b"not a model")
    tiny.write_checkpoint(daemon.root / "tiny", "v3", seed=3)
    done = without_history(daemon.settle())
    assert done == of("tiny", *VERSION_ASSETS, versions=["v3"])
    assert sorted(daemon.failed) == ["tiny__target_signals", "tiny__version_pool"]
    assert audits(home) == [("tiny", "v1"), ("tiny", "v3")]


def test_two_subjects_do_not_touch_each_other(tmp_path, home):
    root = tmp_path / "project"
    root.mkdir()
    with tiny.stepped(root, ["one", "two"]) as daemon:
        tiny.write_checkpoint(root / "one", "v1", seed=1)
        tiny.write_checkpoint(root / "two", "v1", seed=2)
        daemon.settle()
        assert not daemon.failed
        tiny.write_records(root / "one", seed=9)
        done = without_history(daemon.settle())
    assert done == of("one", *POOL_ASSETS) + of("one", *VERSION_ASSETS, versions=["v1"])
    assert audits(home) == [("one", "v1"), ("one", "v1"), ("two", "v1")]


def test_versions_that_come_at_once_are_audited_once_each(daemon: SteppedDaemon, home: Path):
    names = [f"v{i}" for i in (2, 3, 10, 11)]
    for i, name in enumerate(names):
        tiny.write_checkpoint(daemon.root / "tiny", name, seed=10 + i)
    done = daemon.settle()
    assert without_history(done) == of("tiny", *VERSION_ASSETS, versions=names)
    assert len(audits(home)) == 5


def test_a_change_during_a_run_is_not_forgotten(daemon: SteppedDaemon, home: Path):
    """Other bytes reported after a run was asked for, before the next tick sees that request."""
    definitions = daemon.definitions
    tiny.write_checkpoint(daemon.root / "tiny", "v1", seed=4)
    daemon.look()
    asked = daemon.tick(definitions)
    daemon.execute(definitions, asked)
    tiny.write_checkpoint(daemon.root / "tiny", "v1", seed=5)
    done = without_history(daemon.settle())
    assert done == of("tiny", *VERSION_ASSETS, versions=["v1"])
    assert len(audits(home)) == 3


def test_an_audit_by_hand_needs_no_second_run(daemon: SteppedDaemon):
    tiny.write_checkpoint(daemon.root / "tiny", "v2", seed=2)
    daemon.look()
    definitions = daemon.definitions
    job = definitions.resolve_implicit_global_asset_job_def()
    keys = [tiny.SubjectGraph(daemon.subjects["tiny"], daemon.root).key(n) for n in VERSION_ASSETS]
    tags = {"memory-assets/process": "here:1"}
    job.execute_in_process(
        instance=daemon.instance,
        asset_selection=keys,
        partition_key="v2",
        tags=tags,
        raise_on_error=False,
    )
    assert daemon.settle() == HISTORY
