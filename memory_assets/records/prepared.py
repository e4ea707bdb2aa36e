"""A data set made ready for audit, as files that every later step reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memory_assets.digest import digest
from memory_assets.records.dataset import Dataset
from memory_assets.records.pairing import Pairing


@dataclass(frozen=True)
class Prepared:
    """Records, who the target trained on (`members` `[N]`), and the audit set drawn from both."""

    data: Dataset
    members: NDArray[np.bool_]
    pairing: Pairing

    @property
    def key(self) -> str:
        return digest(self.data.digest, self.members, self.pairing.key)

    @property
    def members_digest(self) -> str:
        return members_digest(self.data.ids[self.members])

    @property
    def pair_ids(self) -> NDArray[np.str_]:
        """Record ids of the audit set, `[n, 2]`."""
        return self.data.ids[self.pairing.pairs]

    @property
    def pair_members(self) -> NDArray[np.bool_]:
        """Which record of each pair the target trained on, `[n, 2]`."""
        return self.members[self.pairing.pairs]

    def save(self, folder: Path) -> None:
        """Write `records.parquet` (id, label, member, part, pair, side) and `x.npy`."""
        n = len(self.data)
        part = np.full(n, "dropped", dtype="<U8")
        pair, side = np.full(n, -1), np.full(n, -1)
        part[self.pairing.common], part[self.pairing.held_out] = "common", "held out"
        for s in (0, 1):
            rows = self.pairing.pairs[:, s]
            part[rows], pair[rows], side[rows] = "pair", np.arange(len(rows)), s
        folder.mkdir()
        np.save(folder / "x.npy", self.data.x, allow_pickle=False)
        table = pa.table(
            {
                "id": self.data.ids.astype(object),
                "label": self.data.y,
                "member": self.members,
                "part": part.astype(object),
                "pair": pair,
                "side": side,
            }
        ).replace_schema_metadata({"classes": str(self.data.classes), "source": self.data.source})
        pq.write_table(table, folder / "records.parquet")

    @classmethod
    def load(cls, folder: Path) -> Prepared:
        """Read back what `save` wrote; inputs are memory-mapped."""
        table = pq.read_table(folder / "records.parquet")
        meta = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        columns = {name: table[name].to_numpy() for name in table.column_names}
        data = Dataset(
            ids=columns["id"].astype(str),
            x=np.load(folder / "x.npy", mmap_mode="r", allow_pickle=False),
            y=columns["label"],
            classes=int(meta["classes"]),
            source=meta["source"],
        )
        part, members = columns["part"], columns["member"].astype(bool)
        rows = np.flatnonzero(part == "pair")
        pairs = np.empty((len(rows) // 2, 2), dtype=np.int64)
        pairs[columns["pair"][rows], columns["side"][rows]] = rows
        pairing = Pairing(
            pairs=pairs,
            target_side=members[pairs[:, 1]].astype(np.uint8),
            common=np.flatnonzero(part == "common"),
            held_out=np.flatnonzero(part == "held out"),
            dropped=int((part == "dropped").sum()),
        )
        return cls(data, members, pairing)


def members_digest(ids: NDArray[np.str_]) -> str:
    """Digest of a set of member ids, in any order: what a checkpoint's manifest carries."""
    return digest(np.sort(ids))
