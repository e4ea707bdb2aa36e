"""What travels between assets: paths and digests, as JSON; never objects, never pickles."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg

from memory_assets.errors import InputError
from memory_assets.store.artifacts import Artifact
from memory_assets.store.disk import explaining_disk, write_private
from memory_assets.store.integrity import damage

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


def _asset_file(root: Path, key: dg.AssetKey, partition: str | None) -> Path:
    parts = list(key.path)
    if partition is not None:
        # A version's name comes from outside: it must not become a path of its own.
        parts.append(quote(partition, safe=""))
    return root / "assets" / f"{'/'.join(parts)}.json"


def refers_to(root: Path, key: dg.AssetKey, artifact: str) -> bool:
    """Whether the last reference of an asset without partitions names this artifact's key."""
    try:
        text = _asset_file(root, key, None).read_text(encoding="utf-8")
        return Reference.from_json(text).key == artifact
    except (OSError, ValueError, TypeError):
        return False


class ReferenceIOManager(dg.IOManager):
    """Keeps each asset's last reference in one small file; op outputs inside a run beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _asset_file(self, context: dg.OutputContext | dg.InputContext) -> Path:
        partition = context.asset_partition_key if context.has_asset_partitions else None
        return _asset_file(self.root, context.asset_key, partition)

    def _op_file(self, context: dg.OutputContext) -> Path:
        return self.root / "runs" / f"{'/'.join(context.get_identifier())}.json"

    def handle_output(self, context: dg.OutputContext, obj: Reference | None) -> None:
        if obj is None:
            return
        path = self._asset_file(context) if context.has_asset_key else self._op_file(context)
        with explaining_disk(self.root.parent):
            write_private(path, obj.to_json())

    def load_input(self, context: dg.InputContext) -> Reference:
        if context.has_asset_key:
            path = self._asset_file(context)
        elif context.upstream_output is not None:
            path = self._op_file(context.upstream_output)
        else:
            raise dg.DagsterInvariantViolationError("an input that nothing was written for")
        try:
            reference = Reference.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            raise InputError(
                f"{path} cannot be read; run `memory-assets audit`, which writes it again"
            ) from None
        if what := damage(reference.path):
            raise InputError(
                f"{reference.path} is damaged ({what}); run `memory-assets audit`, which finds "
                "that, too, and makes it again"
            )
        return reference


@dg.io_manager(required_resource_keys={"home"})
def reference_io_manager(context: dg.InitResourceContext) -> ReferenceIOManager:
    return ReferenceIOManager(context.resources.home.references)


def sweep_runs(root: Path) -> None:
    """Forget what ops of runs long over handed to each other."""
    oldest = time.time() - _RUN_SCOPED_DAYS * 86_400
    for folder in (root / "runs").glob("*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
