"""What travels between assets: paths and digests, as JSON; never objects, never pickles."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from memory_assets.artifacts import Artifact, home

_RUN_SCOPED_DAYS = 1.0


@dataclass(frozen=True)
class Reference:
    """An artifact by kind, key and path, and what its maker wants the next step to know."""

    kind: str
    key: str
    path: Path
    reused: bool
    facts: dict[str, Any]

    @classmethod
    def to(cls, artifact: Artifact, **facts: Any) -> Reference:
        return cls(artifact.kind, artifact.key, artifact.path, artifact.reused, facts)

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"path": str(self.path)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Reference:
        fields = json.loads(text)
        return cls(**fields | {"path": Path(fields["path"])})


class ReferenceIOManager(dg.IOManager):
    """Keeps each asset's last reference in one small file; op outputs inside a run beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, context: dg.OutputContext) -> Path:
        if context.has_asset_key:
            parts = [*context.asset_key.path]
            if context.has_asset_partitions:
                # A version's name comes from outside: it must not become a path of its own.
                parts.append(context.asset_partition_key.replace("/", "%2F"))
            return self.root / "assets" / Path(*parts).with_suffix(".json")
        return self.root / "runs" / Path(*context.get_identifier()).with_suffix(".json")

    def handle_output(self, context: dg.OutputContext, obj: Reference | None) -> None:
        if obj is None:
            return
        path = self._path(context)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(obj.to_json(), encoding="utf-8")
        temporary.replace(path)

    def load_input(self, context: dg.InputContext) -> Reference:
        upstream = context.upstream_output
        if upstream is None:
            raise dg.DagsterInvariantViolationError("an input without an upstream asset")
        return Reference.from_json(self._path(upstream).read_text(encoding="utf-8"))


@dg.io_manager
def reference_io_manager() -> ReferenceIOManager:
    return ReferenceIOManager(home() / "references")


def sweep_runs(root: Path) -> None:
    """Forget what ops of runs long over handed to each other."""
    oldest = time.time() - _RUN_SCOPED_DAYS * 86_400
    for folder in (root / "runs").glob("*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
