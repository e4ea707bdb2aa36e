"""A project whose records, texts, labels and secrets carry marks that must not be found again.

It has a classifier whose training prints and logs what it is given, its twin, a language model that
was trained on its texts, and subjects that fail in every way that could quote a record.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from memory_assets.examples.notes import train, train_tokenizer
from memory_assets.records.canaries import Template, make_secrets, plant
from memory_assets.records.texts import Texts

sys.path.append(str(Path(__file__).parents[1] / "language"))
from tiny_language import TINY, sentences

CHECKOUT = Path(__file__).parents[2]
CELL = 73219.4375
"""A number that stands twice in every record; exact in float32, so its bytes can be looked for."""
MARKS = ("ZQTEXT", "ZQSECRET", "ZQLABEL", "ZQROW", "ZQPRINTED", str(CELL))
N = 60

MODEL = '''
import logging, sys, warnings
import numpy as np
from memory_assets.records.dataset import Dataset

def fit(x, y, seed):
    print("ZQPRINTED", x[0]); print("ZQPRINTED", x[0], file=sys.stderr)
    warnings.warn(f"ZQPRINTED {x[0]}"); logging.getLogger("ward").warning("ZQPRINTED %s", x[0])
    means = np.stack([x[y == c].mean(axis=0) for c in (0, 1)])
    def predict(asked):
        d = ((asked[:, None] - means[None]) ** 2).sum(axis=2)
        p = np.exp(-d + d.min(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)
    return predict

def raises(x, y, seed):
    raise ValueError(f"ZQROW cannot fit {x[0]} of {len(x)}")

def chained(x, y, seed):
    try:
        raises(x, y, seed)
    except ValueError as error:
        raise KeyError(f"ZQROW {x[1]}") from error

def load():
    print("ZQPRINTED")
    raise RuntimeError("ZQROW 17, 73219.4375")

def crash():
    """What no rule foresees: an error from within the library, quoting a value."""
    class Odd(float):
        def __float__(self): raise ZeroDivisionError("ZQROW")
    x = np.ones((60, 2), np.float32)
    data = Dataset(np.array([f"r{i}" for i in range(60)]), x, np.arange(60) % 2, 2)
    object.__setattr__(data, "x", Poison(x))
    return data

class Poison:
    def __init__(self, x): self.x = x
    def __len__(self): return len(self.x)
    def __getattr__(self, name): raise LookupError("ZQROW 73219.4375")
'''


def _define(root: Path, kind: str, **attributes: object) -> None:
    folder = root / "dagster_project" / "defs" / str(attributes["subject"]).replace("-", "_")
    folder.mkdir()
    (folder / "__init__.py").touch()
    content = {"type": f"memory_assets.{kind}", "attributes": attributes}
    (folder / "defs.yaml").write_text(yaml.safe_dump(content))


def _write_csv(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def _wards(root: Path) -> None:
    rng = np.random.default_rng(0)
    data = root / "data"
    labels = [f"ZQLABEL-{'ill' if i % 2 else 'well'}" for i in range(N)]
    rows = [
        [f"r{i}", *np.round(rng.normal(i % 2, 1, 2), 3), CELL, CELL, labels[i]] for i in range(N)
    ]
    header = ["id", "a", "b", "c", "d", "label"]
    _write_csv(data / "records.csv", [header, *rows])
    _write_csv(data / "ragged.csv", [header, *rows[:3], [*rows[3], "ZQROW", CELL]])
    _write_csv(data / "texts.csv", [header, *rows[:3], ["r9", "ZQROW", 1, 2, 3, labels[0]]])
    _write_csv(data / "headless.csv", rows)
    _write_csv(data / "members.csv", [["id"], *([f"r{i}"] for i in range(N // 2))])
    _write_csv(data / "wrong-members.csv", [["id"], ["ZQROW of a text"], ["r1"]])
    (root / "ward_model.py").write_text(MODEL)
    p = rng.uniform(0.2, 0.8, N)
    outputs = [["record_id", "prob_0", "prob_1"], *([f"r{i}", p[i], 1 - p[i]] for i in range(N))]
    for name, table in (("wards", outputs), ("odd", [*outputs[:5], ["ZQROW", 0.5, 0.5]])):
        (root / "outputs" / name).mkdir(parents=True)
        _write_csv(root / "outputs" / name / "v1.csv", table)

    def subject(name: str, records: dict, **changes: object) -> None:
        spec = {"path": "data/records.csv", "members": "data/members.csv", "id": "id", **records}
        spec = {key: value for key, value in spec.items() if value is not None}
        given = {"fit": "ward_model:fit", "checkpoints": "outputs/wards", "pool": {"models": 4}}
        given |= {"attacks": ["loss"]}
        _define(root, "ClassifierAudit", subject=name, records=spec, **(given | changes))

    subject("wards", {}, gate={"auc": 0.51}, profile="healthcare-us")
    subject("wards-twin", {})
    subject("bad-fit", {}, fit="ward_model:raises", pool={"models": 4, "seed": 1})
    subject("bad-chain", {}, fit="ward_model:chained", pool={"models": 4, "seed": 2})
    subject("bad-rows", {"path": "data/ragged.csv"})
    subject("bad-cells", {"path": "data/texts.csv"})
    subject("bad-header", {"path": "data/headless.csv"})
    subject("bad-members", {"members": "data/wrong-members.csv"})
    subject("bad-loader", {"path": None, "id": None, "loader": "ward_model:load"})
    subject("bad-library", {"path": None, "id": None, "loader": "ward_model:crash"})
    subject("bad-outputs", {}, checkpoints="outputs/odd")
    # A comma that nobody put in quotes moves what follows into the next column.
    (data / "shifted.csv").write_text("version,case,right\nv1,a,1\nv1,ZQTEXT of, ZQROW,1\n")
    subject("bad-outcomes", {}, profile="healthcare-us", outcomes="data/shifted.csv")


def _notes(root: Path) -> list[str]:
    """The language model and its texts; returns the values of its secrets."""

    def marked(texts: Texts) -> Texts:
        return Texts(texts.ids, tuple(f"{t} ZQTEXT{i:03d}." for i, t in enumerate(texts.texts)))

    data = root / "data"
    template = Template("ward", "The key of {name} is {value}", "ZQSECRET-####")
    secrets = make_secrets([template], (0, 8), 3, seed=3)
    members, manifest = plant(marked(sentences("m", 40, 1)), secrets, seed=3)
    members.write(data / "members.jsonl")
    marked(sentences("h", 70, 2)).write(data / "held_out.jsonl")
    manifest.write(data / "canaries.json")
    model = root / "models" / "notes" / "v1"
    model.mkdir(parents=True)
    recipe = replace(TINY, epochs=16)
    train_tokenizer(list(sentences("t", 200, 4).texts), recipe, model)
    train(members, model, recipe, model)
    bad = json.loads((data / "canaries.json").read_text())
    bad["secrets"][0]["repetitions"] = "ZQSECRET"
    (data / "bad-canaries.json").write_text(json.dumps(bad))
    (data / "bad.jsonl").write_text('{"id": "a", "text": "ZQTEXT"}\n{"id": ZQTEXT}\n')
    (data / "numbers.jsonl").write_text('{"id": "a", "text": ["ZQTEXT"]}\n')
    (data / "bad-secrets.csv").write_text("prefix,value\nZQSECRET,ZQSECRET,ZQSECRET\n")
    probes = {"prefix": 8, "suffix": 8, "references": 100, "generated": 3, "control_texts": 30}
    given = {
        "members": {"path": "data/members.jsonl", "id": "id"},
        "held_out": {"path": "data/held_out.jsonl", "id": "id"},
        "manifest": "data/canaries.json",
        "checkpoints": "models/notes",
        "probes": probes,
        "gate": {"extraction_rate": 0.05},
    }
    for name, changes in (
        ("notes", {}),
        ("bad-lines", {"members": {"path": "data/bad.jsonl", "id": "id"}}),
        ("bad-numbers", {"members": {"path": "data/numbers.jsonl", "id": "id"}}),
        ("bad-canaries", {"manifest": "data/bad-canaries.json"}),
        ("bad-secrets", {"manifest": None, "secrets": "data/bad-secrets.csv"}),
    ):
        attributes = {k: v for k, v in (given | changes).items() if v is not None}
        _define(root, "LanguageModelAudit", subject=name, **attributes)
    return [secret.value for secret in manifest.secrets]


def make_project(root: Path) -> list[str]:
    """Write the project; returns the values of the secrets that were planted."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "dagster_project", root / "dagster_project", ignore=ignored)
    for shipped in (root / "dagster_project" / "defs").glob("*/defs.yaml"):
        shutil.rmtree(shipped.parent)
    for name in ("pyproject.toml", "workspace.yaml"):
        shutil.copy(CHECKOUT / name, root / name)
    (root / "data").mkdir()
    _wards(root)
    return _notes(root)


def failing(root: Path) -> list[str]:
    """The subjects whose audit must fail."""
    folders = (root / "dagster_project" / "defs").glob("bad_*")
    return sorted(folder.name.replace("_", "-") for folder in folders)
