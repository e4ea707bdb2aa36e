"""The shipped subject `digits`: 1,797 real handwritten digits, and two models trained on half.

Scikit-learn's copy of the UCI optical digits test set (Alpaydin and Kaynak, 1998), 8 x 8 pixels.
`v1` is trained until it fits its members, `v2` is the same training stopped early: what an owner
has who would like to know what the difference costs and what it spares.

Run `python -m memory_assets.examples.digits FOLDER` to make the checkpoints and the list of
members; those that are there stay as they are.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from memory_assets.models.checkpoints import Manifest, save_checkpoint
from memory_assets.models.recipe import Recipe
from memory_assets.records.dataset import Dataset
from memory_assets.records.prepared import members_digest
from memory_assets.store.disk import replacing

RECIPE = Recipe(
    model="memory_assets.models.mlp:mlp",
    model_args={"inputs": 64, "hidden": 128, "classes": 10},
    optimizer="sgd",
    lr=0.05,
    momentum=0.9,
    epochs=100,
    batch_size=32,
    seed=7,
)
EPOCHS = {"v1": 100, "v2": 40}
_SPLIT_SEED = 20


def load() -> Dataset:
    """The digits as records `[1797, 64]` in 0..1, with ids `digit-0000` to `digit-1796`."""
    from sklearn.datasets import load_digits

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    return Dataset(
        ids=np.array([f"digit-{i:04d}" for i in range(len(labels))]),
        x=(pixels / 16).astype(np.float32),
        y=labels.astype(np.int64),
        classes=10,
        source="scikit-learn digits",
    )


def draw_members(data: Dataset) -> np.ndarray:
    """Rows of the random half that the owner's models were trained on."""
    rng = np.random.default_rng(_SPLIT_SEED)
    return np.sort(rng.permutation(len(data))[: len(data) // 2])


def make(folder: Path) -> list[Path]:
    """Train what is missing in `folder`; returns the files that were made."""
    from memory_assets.pool.trainer import train_target

    data = load()
    rows = draw_members(data)
    made: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    if not (listing := folder / "members.csv").exists():
        with replacing(listing) as temporary, temporary.open("w", newline="") as f:
            csv.writer(f).writerows([["id"], *([str(name)] for name in data.ids[rows])])
        made.append(listing)
    for version, epochs in EPOCHS.items():
        path = folder / f"{version}.safetensors"
        if path.exists():
            continue
        recipe = replace(RECIPE, epochs=epochs)
        state = train_target(recipe, data.x, data.y, rows)
        manifest = Manifest(
            recipe=asdict(recipe),
            members_digest=members_digest(data.ids[rows]),
            data_digest=data.digest,
        )
        save_checkpoint(path, state, manifest)
        made.append(path)
    return made


if __name__ == "__main__":
    for file in make(Path(sys.argv[1])):
        print(f"made {file}")
