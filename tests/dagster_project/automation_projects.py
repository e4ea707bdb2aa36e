"""A project of tiny subjects, and a daemon that can be stepped: ticks and runs in this process."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import numpy as np
import yaml
from dagster._core.definitions.partitions.context import partition_loading_context

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.dagster.automation import RUN_BY_AUTOMATION
from memory_assets.dagster.components.classifier_audit import ClassifierAudit
from memory_assets.dagster.components.subject_graph import SubjectGraph
from memory_assets.dagster.definitions import with_portfolio
from memory_assets.dagster.sensors.sources import source_sensor
from memory_assets.dagster.sensors.versions import versions_sensor
from memory_assets.models.checkpoints import Manifest, save_checkpoint
from memory_assets.workflows.home import find_home
from memory_assets.workflows.released import Released

CHECKOUT = Path(__file__).parents[2]
MLP = {"inputs": 4, "hidden": 4, "classes": 2}
PRICE = ("risk", "audit_plan", "roi_report")
CONCLUSION = ("leakage", *PRICE)
VERSION_ASSETS = ("version_pool", "target_signals", "attack_scores", *CONCLUSION)
POOL_ASSETS = ("dataset", "shadow_models", "shadow_signals", "memorization", "information")


def copy_project(root: Path, *kept: str) -> Path:
    """The shipped project with these of its subjects alone; returns the folder `defs` of it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "dagster_project", root / "dagster_project", ignore=ignored)
    for name in ("pyproject.toml", "workspace.yaml"):
        shutil.copy(CHECKOUT / name, root / name)
    defs = root / "dagster_project" / "defs"
    for shipped in defs.glob("*/defs.yaml"):
        if shipped.parent.name not in kept:
            shutil.rmtree(shipped.parent)
    return defs


def declare(defs: Path, subject: ClassifierSubject) -> None:
    """Write the file that describes a subject, as its owner does."""
    attributes = subject.model_dump(exclude_unset=True)
    described = {"type": "memory_assets.ClassifierAudit", "attributes": attributes}
    (defs / subject.subject).mkdir()
    (defs / subject.subject / "__init__.py").touch()
    (defs / subject.subject / "defs.yaml").write_text(yaml.safe_dump(described))


def write_records(folder: Path, seed: int = 0, n: int = 60) -> None:
    """Records of two classes, half of them members."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 4)).astype(np.float32) + y[:, None]
    np.savez(folder / "records.npz", x=x, label=y, id=np.array([f"r{i}" for i in range(n)]))
    with (folder / "members.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id"], *([f"r{i}"] for i in range(n // 2))])


def write_checkpoint(folder: Path, version: str, seed: int) -> None:
    """A model that was never trained: what is tested is who asks it, not what it answers."""
    rng = np.random.default_rng(seed)
    state = {
        "1.weight": rng.normal(size=(4, 4)).astype(np.float32),
        "1.bias": np.zeros(4, dtype=np.float32),
        "3.weight": rng.normal(size=(2, 4)).astype(np.float32),
        "3.bias": np.zeros(2, dtype=np.float32),
    }
    path = folder / "checkpoints" / f"{version}.safetensors"
    save_checkpoint(path, state, Manifest({}, "", "", note=str(seed)))


def tiny_subject(name: str, **changes: object) -> ClassifierSubject:
    return ClassifierSubject.model_validate(
        {
            "subject": name,
            "records": {"path": f"{name}/records.npz", "members": f"{name}/members.csv"},
            "recipe": {
                "model": "memory_assets.models.mlp:mlp",
                "model_args": MLP,
                "epochs": 1,
                "batch_size": 64,
            },
            "checkpoints": f"{name}/checkpoints",
            "pool": {"models": 6},
            "attacks": ["loss", "lira_offline_fixed"],
            **changes,
        }
    )


def _broke(event: dg.DagsterEvent) -> bool:
    """A step that failed; a failed check is a result."""
    if not event.is_step_failure:
        return False
    error = event.step_failure_data.error
    return error is None or error.cls_name != "DagsterAssetCheckFailedError"


@dataclass
class SteppedDaemon:
    """The sensors, the automation and the runs of a daemon, one after the other."""

    root: Path
    instance: dg.DagsterInstance
    subjects: dict[str, ClassifierSubject]
    cursor: object = None
    cursors: dict[str, str | None] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @property
    def definitions(self) -> dg.Definitions:
        graphs = [
            ClassifierAudit(subject, self.root).build_defs(None)  # type: ignore[arg-type]
            for subject in self.subjects.values()
        ]
        return with_portfolio(
            dg.Definitions.merge(*graphs), list(self.subjects.values()), self.root
        )

    def look(self, *names: str) -> list[str]:
        """One tick of the sensors that watch files, or of these; returns the assets reported."""
        reported = []
        for subject in self.subjects.values():
            graph = SubjectGraph(subject, self.root)
            for sensor in (
                source_sensor(graph),
                versions_sensor(subject, self.root, graph.versions),
            ):
                if not names or sensor.name in names:
                    reported += self._evaluate(sensor)
        return reported

    def _evaluate(self, sensor: dg.SensorDefinition) -> list[str]:
        """What a daemon does with what a sensor returns."""
        context = dg.build_sensor_context(
            self.instance,
            cursor=self.cursors.get(sensor.name),
            resources={"home": find_home()} if sensor.required_resource_keys else None,
        )
        found = sensor.evaluate_tick(context)
        self.cursors[sensor.name] = found.cursor
        for request in found.dynamic_partitions_requests or ():
            keys = list(request.partition_keys)
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(request.partitions_def_name, keys)
            else:
                for key in keys:
                    self.instance.delete_dynamic_partition(request.partitions_def_name, key)
        for event in found.asset_events:
            self.instance.report_runless_asset_event(event)
        return [str(event.asset_key.path[-1]) for event in found.asset_events]

    def versions(self, subject: str) -> list[str]:
        """The versions of a subject that Dagster knows."""
        name = SubjectGraph(self.subjects[subject], self.root).versions.name
        return sorted(self.instance.get_dynamic_partitions(str(name)))

    def released(self, subject: str) -> list[str]:
        """The versions of a subject that lie in its folder, oldest first."""
        return list(Released(find_home().root).of(self.subjects[subject], self.root))

    def tick(self, definitions: dg.Definitions) -> dict[str | None, list[dg.AssetKey]]:
        """One evaluation of all conditions: what it asks for, by partition."""
        # A daemon asks for the versions once a tick; left alone, this function asks 800 times.
        versions = lru_cache(self.instance.get_dynamic_partitions)
        with patch.object(self.instance, "get_dynamic_partitions", versions):
            found = dg.evaluate_automation_conditions(
                definitions,
                self.instance,
                cursor=self.cursor,  # type: ignore[arg-type]
            )
        self.cursor = found.cursor
        asked: dict[str | None, list[dg.AssetKey]] = {}
        for result in found.results:
            if not isinstance(result.key, dg.AssetKey) or result.true_subset.is_empty:
                continue
            # What is asked of all versions is spelled out by the instance that knows them.
            with partition_loading_context(dynamic_partitions_store=self.instance):
                for part in result.true_subset.expensively_compute_asset_partitions():
                    asked.setdefault(part.partition_key, []).append(result.key)
        return asked

    def execute(
        self, definitions: dg.Definitions, asked: dict[str | None, list[dg.AssetKey]]
    ) -> list[str]:
        """Run what was asked for, a run a partition and subject; returns what was materialized."""
        job = definitions.resolve_implicit_global_asset_job_def()
        done: list[str] = []
        for partition, keys in asked.items():
            for subject in dict.fromkeys(key.path[0] for key in keys):
                result = job.execute_in_process(
                    instance=self.instance,
                    asset_selection=[key for key in keys if key.path[0] == subject],
                    partition_key=partition,
                    raise_on_error=False,
                    tags={RUN_BY_AUTOMATION: "yes"},
                    run_id=str(uuid.uuid4()),
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
                self.failed += [e.step_key for e in result.all_events if _broke(e)]
                for event in result.get_asset_materialization_events():
                    name = "/".join(event.asset_key.path)
                    done.append(f"{name}[{partition}]" if partition else name)
        return done

    def settle(self, most: int = 12) -> Counter[str]:
        """Let sensors and automation work until nothing is left to do; what re-ran, how often."""
        definitions, done, quiet = self.definitions, Counter(), 0
        for _ in range(most):
            self.look()
            asked = self.tick(definitions)
            done.update(self.execute(definitions, asked))
            quiet = 0 if asked else quiet + 1
            if quiet == 2:
                return done
        raise AssertionError(f"still busy after {most} ticks: {done}")


class Kept:
    """A project, its home and what Dagster knows of it, to be had back at the same paths."""

    def __init__(self, daemon: SteppedDaemon, home: Path, folder: Path) -> None:
        self._daemon, self._home, self._folder = daemon, home, folder
        shutil.copytree(daemon.root, folder / "root")
        shutil.copytree(home, folder / "home")
        self._databases = [sqlite3.connect(":memory:") for _ in self._storages()]
        for database, kept in zip(self._storages(), self._databases, strict=True):
            database.backup(kept)

    def _storages(self) -> list[sqlite3.Connection]:
        instance = self._daemon.instance
        storages = (instance.run_storage, instance.event_log_storage)
        return [s._held_conn.connection.dbapi_connection for s in storages]  # type: ignore[attr-defined]

    def back(self) -> SteppedDaemon:
        daemon = self._daemon
        for place, kept in ((daemon.root, "root"), (self._home, "home")):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self._folder / kept, place)
        for database, kept in zip(self._storages(), self._databases, strict=True):
            kept.backup(database)
        return replace(
            daemon, subjects=dict(daemon.subjects), cursors=dict(daemon.cursors), failed=[]
        )


@contextmanager
def stepped(root: Path, names: Sequence[str] = ("tiny",)) -> Iterator[SteppedDaemon]:
    """Subjects with records, no versions yet, and a daemon that has not looked yet."""
    for name in names:
        write_records(root / name)
        (root / name / "checkpoints").mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        subjects = {name: tiny_subject(name) for name in names}
        yield SteppedDaemon(root, instance, subjects)


def of(subject: str, *names: str, versions: Sequence[str] = ()) -> Counter[str]:
    """Each of these assets once; of each version where versions are given."""
    if not versions:
        return Counter(f"{subject}/{name}" for name in names)
    return Counter(f"{subject}/{name}[{version}]" for name in names for version in versions)
