"""Every parser of outside data, with small valid inputs to start from; made by code, kept nowhere.

The property tests and the fuzzer use the same list. A parser may do one of two things with any
bytes: read them, or raise an `InputError` that is one printable line.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from PIL import Image
from safetensors.numpy import save

from memory_assets.dagster.executors import _config
from memory_assets.dagster.notifications import read_settings
from memory_assets.dagster.subjects import read_subject
from memory_assets.errors import InputError
from memory_assets.language.folders import base_of
from memory_assets.language.model import load_language_model
from memory_assets.models.checkpoints import list_versions, load_checkpoint, read_manifest
from memory_assets.models.predictions import read_predictions
from memory_assets.models.recipe import Recipe
from memory_assets.models.shadow_tables import open_shadow_table
from memory_assets.records.canaries import TEMPLATES, load_templates, make_secrets
from memory_assets.records.dataset import Dataset
from memory_assets.records.loading import load_records
from memory_assets.records.members import load_members
from memory_assets.records.outcomes import read_outcomes
from memory_assets.records.overlap import measure_overlap
from memory_assets.records.secrets import Manifest, load_secrets
from memory_assets.records.settings import RecordsSpec
from memory_assets.records.texts import load_texts
from memory_assets.risk.reading import load_profile
from memory_assets.store.digest import digest

N = 8
X = np.arange(N * 3, dtype=np.float32).reshape(N, 3)
Y = np.arange(N) % 2
IDS = np.array([f"r{i}" for i in range(N)])
RECIPE = Recipe(
    model="memory_assets.models.mlp:mlp", model_args={"inputs": 3, "hidden": 2, "classes": 2}
)
PROFILES = Path(__file__).parents[2] / "memory_assets" / "risk" / "profiles"


def _middle(content: bytes) -> list[slice]:
    return [slice(len(content) // 2, len(content) // 2)]


@dataclass(frozen=True)
class Parser:
    """`parse` is given bytes and an empty folder to put them in; `seeds` makes valid ones.

    `words` are what its format is made of, for mutations that a flipped bit would take ages to;
    each is put at least once into each of the `places` of a valid input.
    """

    parse: Callable[[bytes, Path], object]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    examples: int = 80
    places: Callable[[bytes], list[slice]] = _middle


def _of_yaml(content: bytes) -> list[slice]:
    """Every value, and some of the keys."""
    values = re.finditer(rb"(?<=: )[^\n]+|(?<=- )[^\n]+", content)
    keys = list(re.finditer(rb"(?m)^ *[-\w]+(?=:)", content))[::5]
    return [slice(*found.span()) for found in (*values, *keys)]


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def parse(content: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(content)
        return read(path)

    return parse


def _records(name: str, id_column: str | None = None) -> Callable[[bytes, Path], object]:
    spec = RecordsSpec(members="members.csv", path=name, id=id_column)
    return _file(name, lambda path: load_records(spec, path.parent))


def _npy(content: bytes, folder: Path) -> object:
    np.save(folder / "label", Y)
    (folder / "label.npy").rename(folder / "label")
    return _records("a.npy")(content, folder)


def _image(content: bytes, folder: Path) -> object:
    for name in ("a", "b"):
        (folder / name).mkdir(exist_ok=True)
    Image.new("L", (4, 4)).save(folder / "a" / "1.png")
    (folder / "b" / "1.png").write_bytes(content)
    return load_records(RecordsSpec(members="members.csv", path="."), folder)


def _predictions(name: str, *, shadows: bool) -> Callable[[bytes, Path], object]:
    def read_all(path: Path) -> object:
        with open_shadow_table(path, IDS, np.arange(N), 2, path.parent) as found:
            return [found.read(model) for model in found.models]

    if shadows:
        return _file(name, read_all)
    return _file(name, lambda path: read_predictions(path, IDS, np.arange(N), 2))


def _versions(path: Path) -> object:
    list_versions(path.parent, strict=True)
    read_manifest(path)
    return load_checkpoint(path, RECIPE)


def _texts(path: Path) -> object:
    texts = load_texts(path)
    return measure_overlap(texts, texts)


def _manifest(path: Path) -> object:
    manifest = Manifest.read(path)
    return [(s.masked(), s.references(3, 1)) for s in manifest.secrets]


def _secrets(path: Path) -> object:
    return [(s.masked(), s.references(3, 1)) for s in load_secrets(path)]


def _members(path: Path) -> object:
    return load_members(path, Dataset(IDS, X, Y, 2)).mask


@lru_cache(maxsize=1)
def language_model() -> dict[str, bytes]:
    """The files of a tiny causal model in two parts, with a tokenizer and an adapter to it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    config = GPT2Config(
        n_layer=1, n_head=1, n_embd=4, vocab_size=8, n_positions=8, bos_token_id=0, eos_token_id=0
    )
    low, high = np.ones((2, 4), np.float32), np.ones((12, 2), np.float32)
    layer = "base_model.model.transformer.h.0.attn.c_attn.lora_"
    adapter = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "base",
        "r": 2,
        "lora_alpha": 4,
        "target_modules": ["c_attn"],
        "fan_in_fan_out": True,
    }
    with tempfile.TemporaryDirectory() as temporary:
        GPT2LMHeadModel(config).save_pretrained(temporary, max_shard_size="1KB")
        PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(temporary)
        files = {path.name: path.read_bytes() for path in Path(temporary).iterdir()}
    files["adapter_config.json"] = json.dumps(adapter).encode()
    files["adapter_model.safetensors"] = save({f"{layer}A.weight": low, f"{layer}B.weight": high})
    return files


def write_model(folder: Path, **changed: bytes) -> tuple[Path, Path]:
    """A model folder and an adapter to it, with other contents in the files that are named."""
    base, adapter = folder / "base", folder / "adapter"
    for place in (base, adapter):
        place.mkdir(exist_ok=True)
    for name, content in (language_model() | changed).items():
        (adapter if name.startswith("adapter") else base).joinpath(name).write_bytes(content)
    return base, adapter


def _model_file(name: str) -> Parser:
    def parse(content: bytes, folder: Path) -> object:
        base, adapter = write_model(folder, **{name: content})
        if not name.startswith("adapter"):
            return load_language_model(base, device="cpu")
        load_language_model(adapter, base=base, device="cpu")
        return base_of(adapter, None, folder)

    return Parser(parse, lambda: [language_model()[name]], _SETTINGS, 40)


def _environment_config(content: bytes, folder: Path) -> object:
    del folder
    import os

    text = content.decode("utf-8", "replace").replace("\0", " ")
    os.environ["MEMORY_ASSETS_EXECUTOR_CONFIG"] = text
    try:
        return _config("in_process")
    finally:
        del os.environ["MEMORY_ASSETS_EXECUTOR_CONFIG"]


def _subject(path: Path) -> object:
    """A subject, and what is made of it first: digests when the graph is loaded, its title."""
    subject = read_subject(path)
    if subject is None:
        return None
    recipe = getattr(subject, "recipe", None)
    made = None if recipe is None else digest(recipe)
    shown = json.dumps(subject.model_dump(mode="json"), allow_nan=False, ensure_ascii=False)
    return subject.config_digest, made, shown.encode()


def _yaml(content: object) -> bytes:
    return yaml.safe_dump(content).encode()


def _subjects() -> list[bytes]:
    classifier = {
        "subject": "claims",
        "title": "Claims",
        "claimed_epsilon": 2.5,
        "records": {"path": "a.parquet", "label": "decision", "id": "n", "members": "m.csv"},
        "recipe": {
            "model": "a.b:c",
            "model_args": {"hidden": 8},
            "lr": 1e-3,
            "epochs": 3,
            "dp": {"noise_multiplier": 1.0},
        },
        "checkpoints": "models/claims",
        "pool": {"models": 64},
        "gate": {"tpr_at_fpr_0.01": 0.05},
        "options": {"early-stop": {"epochs": 1}},
    }
    language = {
        "subject": "notes",
        "members": {"path": "m.jsonl", "id": "id"},
        "held_out": {"path": "h.jsonl"},
        "recipe": {"model": "a.b:c", "model_args": {"layers": 2}, "tokenizer": "t"},
        "checkpoints": {"mlflow": {"uri": "http://127.0.0.1:5000", "model": "m"}},
        "probes": {"prefix": 8, "attacks": ["loss"], "duplication_shares": {1: 0.5, 2: 0.5}},
    }
    kinds = {"ClassifierAudit": classifier, "LanguageModelAudit": language}
    return [_yaml({"type": f"memory_assets.{k}", "attributes": a}) for k, a in kinds.items()]


def _parquet(columns: dict, **options) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, **options)
    return target.getvalue()


def _table() -> dict:
    return {"label": Y, "n": IDS, "a": X[:, 0], "b": X[:, 1].astype(np.int32)}


def _csv(columns: dict) -> bytes:
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)]).encode()


def _saved(save_to: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    save_to(target)
    return target.getvalue()


def _outputs(*, shadows: bool) -> dict:
    table: dict = {"record_id": IDS, "prob_0": np.full(N, 0.25), "prob_1": np.full(N, 0.75)}
    return table | ({"model": np.zeros(N, int), "trained": Y} if shadows else {})


def _state() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return {name: value.numpy() for name, value in RECIPE.build_model().state_dict().items()}


def _checkpoint() -> list[bytes]:
    manifest = {"recipe": {"epochs": 3}, "members_digest": "m", "data_digest": "d"}
    return [save(_state(), metadata={"memory_assets": json.dumps(manifest)}), save(_state())]


def _torch_file() -> list[bytes]:
    state = {name: torch.from_numpy(value) for name, value in _state().items()}
    return [
        _saved(lambda f: torch.save(state, f)),
        _saved(lambda f: torch.save(state, f, _use_new_zipfile_serialization=False)),
    ]


def _images() -> list[bytes]:
    image = Image.new("L", (4, 4), 7)
    kinds = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
    return [_saved(lambda f, kind=kind: image.save(f, kind)) for kind in kinds]


def _canaries() -> list[bytes]:
    from dataclasses import asdict

    secrets = make_secrets([TEMPLATES["account-en"]], (0, 2), 2, seed=1)
    content = {"format": 1, **asdict(Manifest(secrets, "digest", 1))}
    return [json.dumps(content).encode()]


def _json_lines() -> list[bytes]:
    rows = [{"id": f"t{i}", "text": f"a text of number {i} \u00e9"} for i in range(4)]
    return ["\n".join(json.dumps(row) for row in rows).encode()]


_YAML = (
    b"&a ",
    b"*a",
    b"<<: *a",
    b"!!python/object:os.system ",
    b"[",
    b"{",
    b"? ",
    b"\x00",
    b"---\n",
)
_YAML += (
    b".nan",
    b".inf",
    b'"\\ud800"',
    b"1" + b":1" * 3000,
    b"2024-01-01",
    b"{a: 2024-01-01}",
    b"!!timestamp x",
    b"!!set {a}",
    b"{a: !!set {b}}",
    b"!!omap [a: 1]",
    b"!!bool x",
    b"{a: .nan}",
    b"1e999",
    b"0x" + b"f" * 5000,
    b"9" * 5000,
    b"2024-99-99",
    b"!!binary x",
    b"- " * 90,
)
_JSON = (b"[" * 2000, b"NaN", b"1e999", b"9" * 5000, b'"\\ud800"', b"null", b"{}", b"\x00")
_ROWS = (b",", b'"', b"\n", b"nan", b"inf", b"1e999", b"-1", b"9" * 400, b"\x00", b"\xff")
_SETTINGS = (
    *_JSON,
    b'"num_labels": 10000000, ',
    b'"n_layer": 1000000000, ',
    b'"attention_types": [[["global"], 1000000000]], "model_type": "gpt_neo", ',
    b'"model_type": "llama", "num_hidden_layers": 1000000000, ',
    b'"_attn_implementation": "a/b", ',
    b'"model_max_length": -1, ',
    b'"../outside/x.safetensors"',
    b'"r": 1000000000, ',
    b'"layer_replication": [[0, 1000000]], ',
    b'"target_modules": "(.*)*x", ',
    b'"revision": ["x"], ',
    b'"bos_token": {}, ',
)

PARSERS: dict[str, Parser] = {
    "subject YAML": Parser(_file("defs.yaml", _subject), _subjects, _YAML, places=_of_yaml),
    "notifications.yaml": Parser(
        _file("notifications.yaml", lambda path: read_settings(path.parent)),
        lambda: [_yaml({"webhook": "https://h/x", "format": "slack", "events": ["regression"]})],
        _YAML,
        places=_of_yaml,
    ),
    "executor configuration": Parser(
        _environment_config, lambda: [b"{max_concurrent: 4}", b"a: {b: [1, 2]}"], _YAML
    ),
    "profile TOML": Parser(
        _file("p.toml", load_profile),
        lambda: [(PROFILES / f"{name}.toml").read_bytes() for name in ("retail-us", "finance-jp")],
        (b"nan", b"inf", b"1e999", b"[[", b"]]", b"[" * 2000, b"true", b'""', b"9" * 5000),
        40,
    ),
    "records Parquet": Parser(
        _records("a.parquet", "n"),
        lambda: [
            _parquet(_table()),
            _parquet(_table(), compression="none", use_dictionary=False),
            _parquet(_table() | {"deep": [[[i]] for i in range(N)]}),
        ],
        (b"\xff\xff\xff\x7f", b"\x00" * 8, b"\xff" * 8, b"PAR1"),
    ),
    "records CSV": Parser(_records("a.csv", "n"), lambda: [_csv(_table())], _ROWS),
    "records npz": Parser(
        _records("a.npz"),
        lambda: [
            _saved(lambda f: np.savez(f, x=X, label=Y, id=IDS)),
            _saved(lambda f: np.savez_compressed(f, x=X, label=IDS)),
        ],
        (b"'|O'", b"(1000000000000,)", b"True", b"\xff\xff\xff\xff"),
    ),
    "records npy": Parser(
        _npy,
        lambda: [_saved(lambda f: np.save(f, X)), _saved(lambda f: np.save(f, X.astype(">i2")))],
        (b"'|O'", b"(1000000000000, 3)", b"(" * 200, b"True", b"\x80\x04"),
    ),
    "records safetensors": Parser(
        _records("a.safetensors"),
        lambda: [save({"x": X, "label": Y}), save({"x": X, "label": Y, "id": np.arange(N)})],
        (b'"BF16"', b'"F8_E4M3"', b"\xff" * 8, b"18446744073709551615", b'"shape":[]'),
    ),
    "records images": Parser(_image, _images, (b"\xff\xff\xff\xff", b"IHDR", b"\x00" * 4)),
    "texts Parquet": Parser(
        _file("t.parquet", _texts),
        lambda: [_parquet({"text": ["a b c", "d e f", "\u00e9"]}), _parquet({"text": ["", None]})],
        (b"\xff\xff\xff\x7f", b"\xff" * 8, b"\xc3"),
    ),
    "texts JSON lines": Parser(_file("t.jsonl", _texts), _json_lines, _JSON),
    "texts plain": Parser(
        _file("t.txt", _texts),
        lambda: [b"one\n\ntwo\n\nthree \xc3\xa9"],
        (b"\n\n", b"\x00", b"\xff"),
    ),
    "checkpoint safetensors": Parser(
        _file("v1.safetensors", _versions),
        _checkpoint,
        (b'"BF16"', b'"F8_E4M3"', b"\xff" * 8, b"__metadata__", b"[" * 500, b"null"),
    ),
    "checkpoint torch": Parser(
        _file("v1.pt", _versions),
        _torch_file,
        (b"cos\nsystem\n", b"\x80\x02", b"R.", b"\xff\xff\xff\xff", b"PK\x03\x04"),
    ),
    "predictions Parquet": Parser(
        _predictions("p.parquet", shadows=False),
        lambda: [_parquet(_outputs(shadows=False))],
        (b"\xff" * 8, b"prob_9", b"logit_0"),
    ),
    "predictions CSV": Parser(
        _predictions("p.csv", shadows=False), lambda: [_csv(_outputs(shadows=False))], _ROWS
    ),
    "shadow predictions": Parser(
        _predictions("p.csv", shadows=True), lambda: [_csv(_outputs(shadows=True))], _ROWS
    ),
    "canary manifest": Parser(_file("canaries.json", _manifest), _canaries, _JSON),
    "secrets list": Parser(
        _file("s.csv", _secrets),
        lambda: [b"id,prefix,value,pattern,repetitions\na,my code ,123456,######,2\nb,p ,v1,,\n"],
        (*_ROWS, b"faker:name", b"faker:../../x", b"#" * 2000),
    ),
    "canary templates": Parser(
        _file("templates.toml", load_templates),
        lambda: [
            '[loan]\ntext = "{name}様: {value}"\npattern = "LN-####"\nlocale = "ja_JP"\n'.encode(),
            b'[a]\ntext = "of {city}: {value}"\npattern = "faker:name"\n[b]\ntext = "{value}"\n',
        ],
        (b"[" * 2000, b"{value}", b"{x}", b'"""', b"faker:../x", b"xx_XX", b"9" * 5000),
    ),
    "outcomes": Parser(
        _file("cases.csv", read_outcomes),
        lambda: [b"version,case,right\nv1,a,1\nv1,b,no\nv2,a,true\n", b"right,version\n1,v1\n"],
        (*_ROWS, b"version", b"case", b"right", b"0"),
    ),
    "model configuration": _model_file("config.json"),
    "model index": _model_file("model.safetensors.index.json"),
    "tokenizer configuration": _model_file("tokenizer_config.json"),
    "adapter configuration": _model_file("adapter_config.json"),
    "list of members": Parser(_file("m.csv", _members), lambda: [b"id\nr0\nr1\nr2\n"], _ROWS),
}


def attempt(parser: Parser, content: bytes, folder: Path) -> str | None:
    """Parse; the one line that refused the input, or None. Anything else is a failure."""
    try:
        parser.parse(content, folder)
    except InputError as error:
        line = str(error)
        assert line.isprintable(), f"not one printable line: {line!r}"
        assert 0 < len(line) < 1200, f"a line of {len(line)} characters"
        return line
    return None
