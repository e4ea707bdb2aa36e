"""A data set made ready for audit, as files that every later step reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memory_assets.records.dataset import Dataset
from memory_assets.records.pairing import Pairing
from memory_assets.records.texts import Texts
from memory_assets.results.formulas import LABELS, TEXT_PAIRS
from memory_assets.store.digest import digest


@dataclass(frozen=True)
class Prepared:
    """Records, who the target trained on (`members` `[N]`), and the audit set drawn from both."""

    data: Dataset
    members: NDArray[np.bool_]
    pairing: Pairing

    @property
    def key(self) -> str:
        return digest(self.data.digest, self.members, self.pairing.key, LABELS.number)

    @property
    def members_digest(self) -> str:
        return members_digest(self.data.ids[self.members])

    @property
    def pair_ids(self) -> NDArray[np.str_]:
        """Record ids of the audit set, `[n, 2]`."""
        return self.data.ids[self.pairing.pairs]

    def save(self, folder: Path) -> None:
        """Write `records.parquet` (id, label, member, part, pair, side) and `x.npy`."""
        folder.mkdir()
        np.save(folder / "x.npy", self.data.x, allow_pickle=False)
        table = pa.table(
            {
                "id": self.data.ids.astype(object),
                "label": self.data.y,
                "member": self.members,
                **_parts(self.pairing, len(self.data)),
            }
        ).replace_schema_metadata(
            {
                "classes": str(self.data.classes),
                "source": self.data.source,
                "names_digest": self.data.names_digest,
            }
        )
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
            names_digest=meta.get("names_digest", ""),
        )
        members = columns["member"].astype(bool)
        pairing = _pairing(columns, members)
        return cls(data, members, pairing)


@dataclass(frozen=True)
class PreparedTexts:
    """Texts, which of them the target trained on (`members` `[N]`), and the audit set.

    `texts` holds every text that the target trained on, copies and planted lines too, and after
    them the held-out ones. Members with near-copies among the members are common to all shadow
    models: left out of one, they would be learned from the other.
    """

    texts: Texts
    members: NDArray[np.bool_]
    pairing: Pairing

    @property
    def key(self) -> str:
        return digest(self.texts.digest, self.members, self.pairing.key, TEXT_PAIRS.number)

    @property
    def pair_ids(self) -> NDArray[np.str_]:
        """Text ids of the audit set, `[n, 2]`."""
        return np.array(self.texts.ids)[self.pairing.pairs]

    def save(self, folder: Path) -> None:
        """Write `records.parquet` (id, text, member, part, pair, side)."""
        folder.mkdir(mode=0o700)
        table = pa.table(
            {
                "id": list(self.texts.ids),
                "text": list(self.texts.texts),
                "member": self.members,
                **_parts(self.pairing, len(self.texts)),
            }
        ).replace_schema_metadata({"source": self.texts.source})
        pq.write_table(table, folder / "records.parquet")

    @classmethod
    def load(cls, folder: Path) -> PreparedTexts:
        """Read back what `save` wrote."""
        table = pq.read_table(folder / "records.parquet")
        columns = {n: table[n].to_numpy() for n in ("member", "part", "pair", "side")}
        members = columns["member"].astype(bool)
        texts = Texts(
            tuple(table["id"].to_pylist()),
            tuple(table["text"].to_pylist()),
            (table.schema.metadata or {})[b"source"].decode(),
        )
        return cls(texts, members, _pairing(columns, members))


AuditSet = Prepared | PreparedTexts
"""What a pool of shadow models is drawn for."""


def _parts(pairing: Pairing, records: int) -> dict[str, NDArray]:
    """Columns that say for each record which part of the audit it has."""
    part = np.full(records, "dropped", dtype="<U8")
    pair, side = np.full(records, -1), np.full(records, -1)
    part[pairing.common], part[pairing.held_out] = "common", "held out"
    for s in (0, 1):
        rows = pairing.pairs[:, s]
        part[rows], pair[rows], side[rows] = "pair", np.arange(len(rows)), s
    return {"part": part.astype(object), "pair": pair, "side": side}


def _pairing(columns: Mapping[str, NDArray], members: NDArray[np.bool_]) -> Pairing:
    """The pairing that `_parts` wrote."""
    part = columns["part"]
    rows = np.flatnonzero(part == "pair")
    pairs = np.empty((len(rows) // 2, 2), dtype=np.int64)
    pairs[columns["pair"][rows], columns["side"][rows]] = rows
    return Pairing(
        pairs=pairs,
        target_side=members[pairs[:, 1]].astype(np.uint8),
        common=np.flatnonzero(part == "common"),
        held_out=np.flatnonzero(part == "held out"),
        dropped=int((part == "dropped").sum()),
    )


def members_digest(ids: NDArray[np.str_]) -> str:
    """Digest of a set of member ids, in any order: what a checkpoint's manifest carries."""
    return digest(np.sort(ids))
