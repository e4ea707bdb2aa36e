"""What the files of a model folder may say: nothing from elsewhere, nothing without bound.

transformers and peft believe them. A line of JSON can name weights of somebody else, a repository
with code, or a number that a loop runs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory_assets.errors import InputError
from memory_assets.language.folders import ADAPTER, read_json
from memory_assets.models.hub import INDEX
from memory_assets.records.budget import afford
from memory_assets.records.formats import JSON, SAFETENSORS
from memory_assets.store.confined import hub_blobs, inside

_ELSEWHERE = ("configuration_files", "transformers_weights")
"""Settings that have another file read in the place of the one that was checked."""
_ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_KNOWN_ATTENTION = (
    "eager",
    "sdpa",
    "flash_attention_2",
    "flash_attention_3",
    "flash_attention_4",
    "flex_attention",
)
# What is built one by one, by the words in its name; a size of something is checked as weights.
_COUNTED = re.compile(r"label|layer|block|depth|stage|stack|expert|head|group|type|codebook")
_SIZE = re.compile(r"size|dim|length|window")
_MOST = 10_000
_MOST_LABELS = 100_000
_LOADS_MORE = ("megatron_config", "corda_config", "arrow_config", "eva_config")
"""Settings of an adapter that name modules or further files."""
_PATTERNS = ("target_modules", "exclude_modules", "target_parameters", "modules_to_save")
_PATTERNS += ("layers_pattern", "rank_pattern", "alpha_pattern")
"""Settings of an adapter that peft reads as regular expressions, in texts, lists or keys."""
_MOST_REPEATS = 5
_LEAST_SCALE = 1e-6
"""Of an adapter's lora_alpha: below it, float32 rounds away what it adds to its base."""


def check_files(folder: Path) -> None:
    """Refuse links that lead out of a model folder, and JSON that takes more than memory has."""
    blobs = hub_blobs(folder)
    for path in sorted(folder.iterdir()):
        inside(path, folder, blobs)
        if path in JSON and path.is_file():
            # Lists in lists take fifty times what they take in the file.
            afford(50 * path.stat().st_size, path, "its contents")
    check_index(folder)


def check_index(folder: Path) -> None:
    """Refuse an index that takes weights from anywhere but the files beside it."""
    if not (folder / INDEX).is_file():
        return
    parts = read_json(folder / INDEX).get("weight_map")
    if not isinstance(parts, dict) or not all(isinstance(part, str) for part in parts.values()):
        raise InputError(f"{folder / INDEX}: no weight_map from names to files; save it anew")
    for part in sorted(set(parts.values())):
        # A hidden file is no part of a version.
        plain = part.endswith(SAFETENSORS.suffix) and not part.startswith(".") and "\0" not in part
        if not plain or "/" in part or "\\" in part or len(part) > 255:
            raise InputError(
                f"{folder / INDEX}: its weight_map names {part[:80]!r}; expected safetensors "
                "files beside it: put them there, and save the index anew"
            )
        inside(folder / part, folder, hub_blobs(folder))
        if not (folder / part).is_file():
            raise InputError(f"{folder}: {part[:80]!r} is missing, which {INDEX} names")


def _said(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with the key that it stands under, lists and tables too; lists keep their key."""
    stack = [(key, content)]
    while stack:
        key, value = stack.pop()
        yield key, value
        if isinstance(value, dict):
            stack += [(str(k), v) for k, v in value.items()]
        elif isinstance(value, list):
            stack += [(key, v) for v in value]


def check_config(folder: Path) -> None:
    """Refuse a configuration with code of its own, of other files, or of unbounded counts."""
    file = folder / "config.json"
    for key, value in _said(read_json(file)):
        if key == "auto_map" and value is not None:
            raise InputError(
                f"{folder}: its config.json wants to run code of its own (auto_map), which is "
                "never done; convert it to an architecture that transformers knows"
            )
        if key in _ELSEWHERE and value is not None:
            raise InputError(f"{file}: sets {key}, which leads to other files; leave it out")
        if key in _ATTENTION:
            _check_attention(file, key, value)
        most = _MOST_LABELS if "label" in key.lower() else _MOST
        counted = _COUNTED.search(key.lower()) and not _SIZE.search(key.lower())
        if counted and isinstance(value, int) and not isinstance(value, bool) and value > most:
            raise InputError(f"{file}: {key} is {str(value)[:40]}; expected at most {most:,}")


def _check_attention(file: Path, key: str, value: Any) -> None:
    """A name of another form is a repository on the hub, with code in it."""
    for each in value.values() if isinstance(value, dict) else [value]:
        if each is not None and each not in _KNOWN_ATTENTION:
            raise InputError(
                f"{file}: {key} is {str(each)[:80]!r}; expected one of "
                f"{', '.join(_KNOWN_ATTENTION)}: leave it out"
            )


def check_tokenizer(folder: Path) -> None:
    """Refuse settings of a tokenizer that lead out of its folder or say no length."""
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return
    settings = read_json(file)
    if settings.get("init_inputs"):
        raise InputError(f"{file}: sets init_inputs, which can name other files; leave it out")
    for name in _texts(settings.get("fast_tokenizer_files")):
        if "/" in name or "\\" in name:
            raise InputError(f"{file}: fast_tokenizer_files names {name[:80]!r}; expected a file "
                             "beside it")  # fmt: skip
    check_length(settings.get("model_max_length"), f"{file}: model_max_length")


def check_length(value: Any, where: str) -> None:
    """Refuse a longest text that is no number of tokens; none is no bound."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and value >= 1):
        raise InputError(f"{where} is {str(value)[:80]!r}; expected a number of tokens above 0")


def _texts(value: Any) -> list[str]:
    """The texts in a setting that is one, a list of them, or a table with them as keys."""
    given = list(value) if isinstance(value, list | dict) else [value]
    return [each for each in given if isinstance(each, str)]


def _values(table: Any) -> list[Any]:
    """What stands in a table; nothing where it is none."""
    return list(table.values()) if isinstance(table, dict) else []


def check_adapter(folder: Path) -> None:
    """Refuse an adapter that is no LoRA, or more than its weights.

    Raises:
        InputError: another type or task, settings that load modules or files or copy layers, a rank
            of 0 or larger than its weights, a scale of 0, or a pattern that can take for ever to
            compare.
    """
    settings = read_json(folder / ADAPTER)
    if settings.get("peft_type") != "LORA":
        raise InputError(
            f"{folder}: an adapter of the type {str(settings.get('peft_type'))[:80]}; expected "
            "LORA, or merge it into its base and give that folder"
        )
    task = settings.get("task_type")
    if task not in (None, "CAUSAL_LM"):
        raise InputError(
            f"{folder}: an adapter for the task {str(task)[:80]}; expected CAUSAL_LM, the adapter "
            "of a causal language model"
        )
    if settings.get("alora_invocation_tokens"):
        raise InputError(
            f"{folder}: its adapter sets alora_invocation_tokens, so it answers only behind those "
            "tokens; such adapters are not audited yet"
        )
    if more := [name for name in (*_LOADS_MORE, "layer_replication") if settings.get(name)]:
        raise InputError(f"{folder}: its adapter sets {more[0]}, which loads more than weights")
    for name in _PATTERNS:
        for pattern in _texts(settings.get(name)):
            repeats = len(re.findall(r"[*+]|\{\d*,", pattern))
            if re.search(r"\)[*+{]", pattern) or repeats > _MOST_REPEATS or len(pattern) > 2000:
                raise InputError(
                    f"{folder}: its adapter's {name} has a pattern that can take for ever; "
                    f"expected names, or at most {_MOST_REPEATS} repetitions and none of a group"
                )
    given = [settings.get("r", 8), *_values(settings.get("rank_pattern"))]
    for each in given:
        if not isinstance(each, int) or isinstance(each, bool) or each < 1:
            raise InputError(
                f"{folder}: its adapter says a rank of {str(each)[:40]}; expected a whole number, "
                "at least 1"
            )
    rank = max(given)
    scales = settings.get("alpha_pattern")
    for each in (settings.get("lora_alpha", 8), *_values(scales)):
        number = isinstance(each, int | float) and not isinstance(each, bool)
        if not number or not _LEAST_SCALE <= abs(each) <= 1 / _LEAST_SCALE:  # nor NaN
            raise InputError(
                f"{folder}: its adapter says a lora_alpha of {str(each)[:40]}, by which it changes "
                "nothing or everything; expected a number such as 16"
            )
    with _opened(folder / "adapter_model.safetensors") as file:
        sides = [side for name in file.keys() for side in file.get_slice(name).get_shape()]  # noqa: SIM118
    if rank > max(sides, default=0):
        raise InputError(
            f"{folder}: its adapter says a rank of {str(rank)[:40]}; the longest side of its "
            f"weights is {max(sides, default=0)}"
        )


def _opened(file: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file}: not a whole safetensors file") from error
