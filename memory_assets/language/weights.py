"""The tensors of a model folder, held against the model that was opened from it.

A library that opens a model fills what is missing at random, leaves out what it does not know and
ties what its settings say; it tells of that in a log that nobody reads. Here all of it is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_assets.errors import InputError
from memory_assets.language.folders import ADAPTER, read_json
from memory_assets.models.hub import INDEX
from memory_assets.models.tensor_names import Names, kind_of, listed, misfit, undo_wrappers

if TYPE_CHECKING:
    import torch

WEIGHTS = "model.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_BUFFERS = re.compile(
    r"(rotary_emb\.inv_freq|\.masked_bias|attn\.bias|attention\.bias|position_ids)$"
)
"""Tables that older programs stored and that a model makes by itself."""
_KEEP_COUNT = frozenset(
    ("Chunk", "Concatenate", "MergeModulelist", "SplitModulelist", "Transpose", "PermuteForRope")
)
"""Ways of converting tensors that lose no number."""


@dataclass(frozen=True)
class Stored:
    """One tensor as the header of its file describes it."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, those that are read and no others.

    Raises:
        InputError: more than one set of weights lies there, so that it is not said which ships.
    """
    there = sorted(p for p in folder.glob("*.safetensors") if not p.name.startswith("."))
    parts: set[str] = set()
    if (folder / INDEX).is_file():
        parts = set(read_json(folder / INDEX).get("weight_map", {}).values())
    read = [p for p in there if p.name in parts] if parts else there
    other = [p.name for p in there if p.name not in parts] if parts else []
    if not parts and len(there) > 1 and (folder / WEIGHTS).is_file():
        other = [p.name for p in there if p.name != WEIGHTS]
        read = [folder / WEIGHTS]
    # A program that reads no safetensors would read these.
    other += sorted(p.name for p in folder.glob("pytorch_model*.bin"))
    if read and other:
        raise InputError(
            f"{folder}: two sets of weights: {read[0].name} and {other[0]}; it is not said which "
            "of them ships: leave one set there"
        )
    return read


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Every tensor of a model folder by the name that its file gives it, from headers alone.

    Raises:
        InputError: two sets of weights, a file that is not whole, or an index that names other
            tensors than its files hold.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, Stored] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt") as f:
                for name in f.keys():  # noqa: SIM118
                    part = f.get_slice(name)
                    if name in found:
                        raise InputError(
                            f"{folder}: tensor {name!r} stands in {found[name].file.name} and in "
                            f"{file.name}; save the model anew"
                        )
                    found[name] = Stored(file, str(part.get_dtype()), tuple(part.get_shape()))
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(
                f"{file}: cannot be opened as a causal language model (not a whole safetensors "
                "file); copy it again"
            ) from error
    _check_index(folder, found)
    return found


def _check_index(folder: Path, found: dict[str, Stored]) -> None:
    """An index names each tensor and its file, and no other."""
    if not (folder / INDEX).is_file():
        return
    named = read_json(folder / INDEX)["weight_map"]
    lost = {
        name for name, file in named.items() if name not in found or found[name].file.name != file
    }
    if lost:
        raise InputError(
            f"{folder}: {INDEX} names tensors that its files do not hold: {listed(lost)}; the "
            "files are of another model, or were not copied whole"
        )
    if more := set(found) - set(named):
        raise InputError(
            f"{folder}: its files hold tensors that {INDEX} does not name: {listed(more)}; the "
            "files are of another model: save it anew into an empty folder"
        )


@dataclass(frozen=True)
class Shell:
    """A model's own names, from its settings alone: `[name] -> tensor without numbers`."""

    state: dict[str, torch.Tensor]
    parameters: frozenset[str]
    prefix: str

    @classmethod
    def of(cls, model: Any) -> Shell:
        """Of a model on the meta device or another."""
        parameters = frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))
        return cls(model.state_dict(keep_vars=True), parameters, model.base_model_prefix)

    def place(self, name: str) -> str | None:
        """Which tensor of the model a name means: with or without the body's prefix."""
        bare = name.removeprefix(f"{self.prefix}.")
        for own in (name, bare, f"{self.prefix}.{name}"):
            if own in self.state:
                return own
        return None

    def missing(self, places: Collection[str]) -> set[str]:
        """Parameters that neither stand at `places` nor are tied to one that does."""
        filled = {id(self.state[name]) for name in places}
        return {n for n in self.parameters if n in self.state and id(self.state[n]) not in filled}

    def misfits(self, names: Collection[str]) -> int:
        """How many names are missing or unknown."""
        places = {name: self.place(name) for name in names}
        known = {place for place in places.values() if place is not None}
        return len(self.missing(known)) + sum(place is None for place in places.values())

    def tied(self) -> Iterator[tuple[str, str]]:
        """Pairs of names of one tensor."""
        first: dict[int, str] = {}
        for name, tensor in self.state.items():
            if (other := first.setdefault(id(tensor), name)) != name:
                yield other, name


def match_names(folder: Path, stored: dict[str, Stored], shell: Shell, quantized: bool) -> Names:
    """What the model calls the tensors of a folder, wrappers undone.

    Raises:
        InputError: numbers of another kind than the model's.
    """
    names = undo_wrappers(list(stored), shell.misfits)
    for name, tensor in stored.items():
        place = shell.place(names.of[name])
        ours = "floating-point" if place is None else kind_of(str(shell.state[place].dtype))
        theirs = kind_of(tensor.dtype)
        if theirs != ours and not quantized and not _BUFFERS.search(name):
            raise InputError(
                f"{folder}: tensor {name[:120]!r} holds {theirs} numbers ({tensor.dtype}); its "
                f"model has {ours} ones: these are quantized weights without their "
                "quantization_config, or another file; save the model in its own precision"
            )
    return names


def check_opened(
    folder: Path,
    stored: dict[str, Stored],
    names: Names,
    shell: Shell,
    model: Any,
    report: dict[str, Any],
) -> list[str]:
    """Hold an opened model against its files; what was left out with good reason, in words.

    Raises:
        InputError: a tensor that was not used, a parameter that no tensor filled, another shape,
            a tie that the files contradict, other numbers than the files hold, or numbers that are
            not finite.
    """
    _check_report(folder, report)
    own = {pattern for pattern, _ in names.rules}
    converted = [
        each
        for each in getattr(model, "_weight_conversions", None) or []
        if not own & set(each.source_patterns)
    ]
    _check_ties(folder, shell, model)
    notices = []
    if getattr(model, "hf_quantizer", None) is None:
        if converted:
            _check_count(folder, stored, names, model, converted)
        else:
            notices = _check_each(folder, stored, names, shell, model)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(
                f"{folder}: tensor {name!r} holds a number that is not finite; this model cannot "
                "be audited, export it again"
            )
    return notices


def _check_report(folder: Path, report: dict[str, Any]) -> None:
    """What the library says that it did not load."""
    if mismatched := sorted(report["mismatched_keys"]):
        name, theirs, ours = mismatched[0]
        more = f" (and {len(mismatched) - 1} more)" if len(mismatched) > 1 else ""
        raise InputError(
            f"{folder}: tensor {name!r} has shape {list(theirs)}; config.json describes "
            f"{list(ours)}{more}: give the configuration that belongs to these weights"
        )
    missing, unknown = set(report["missing_keys"]), set(report["unexpected_keys"])
    if missing or unknown:
        raise InputError(
            f"{folder}: its weights do not fit its config.json: {misfit(missing, unknown)}"
        )
    if report.get("error_msgs"):
        raise InputError(f"{folder}: not all of its weights could be read; save the model anew")


def _check_ties(folder: Path, shell: Shell, model: Any) -> None:
    """What the settings tie and the files hold twice must be the same: programs differ in which
    of the two they take."""
    state = model.state_dict(keep_vars=True)
    for first, second in shell.tied():
        if state[first] is not state[second]:
            raise InputError(
                f"{folder}: config.json ties {second!r} to {first!r}, and its files hold other "
                "numbers for it; say tie_word_embeddings: false if it has a head of its own, or "
                "leave the head out of the files"
            )


def _check_count(
    folder: Path, stored: dict[str, Stored], names: Names, model: Any, converted: list[Any]
) -> None:
    """As many numbers in the files as in the model, where a library renamed, cut or joined them:
    of two tensors for one place it takes one and says nothing."""
    steps = {type(op).__name__ for each in converted for op in getattr(each, "operations", ())}
    ignored = getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ()
    unused = [n for n in stored if any(re.search(p, names.of[n]) for p in ignored)]
    if not steps <= _KEEP_COUNT or unused:
        return
    state = model.state_dict(keep_vars=True)
    sizes = {id(tensor): tensor.numel() for tensor in state.values()}
    twice = sum(tensor.numel() for tensor in state.values()) - sum(sizes.values())
    held = sum(math.prod(t.shape) for n, t in stored.items() if not _BUFFERS.search(n))
    if not 0 <= held - sum(sizes.values()) <= twice:
        raise InputError(
            f"{folder}: its files hold {held:,} numbers and its model {sum(sizes.values()):,}: "
            "some tensors stand there twice, under an old and a new name; save the model anew"
        )


def _check_each(
    folder: Path, stored: dict[str, Stored], names: Names, shell: Shell, model: Any
) -> list[str]:
    """Every tensor of the files against the one of the model, where no library renamed any."""
    from safetensors import safe_open

    state = model.state_dict(keep_vars=True)
    places: dict[str, str] = {}
    left_out = set()
    for name in stored:
        place = shell.place(names.of[name])
        if place is None:
            left_out.add(name)
        elif place in places.values():
            raise InputError(
                f"{folder}: two tensors for {place!r}, one of them {name!r}; save the model anew"
            )
        else:
            places[name] = place
    if missing := shell.missing(set(places.values())):
        raise InputError(f"{folder}: its weights do not fit its config.json: {misfit(missing, ())}")
    for file in sorted({stored[name].file for name in places}):
        with safe_open(file, framework="pt") as f:
            for name in (n for n in places if stored[n].file == file):
                ours = state[places[name]].detach()
                if not _same(f.get_tensor(name), ours):
                    raise InputError(
                        f"{folder}: tensor {name!r} reads otherwise than its file says; save the "
                        "model anew with save_pretrained"
                    )
    left_out = {name for name in left_out if not _BUFFERS.search(name)}
    if not left_out:
        return []
    return [f"{folder.name}: parts that its architecture does not use: {listed(left_out)}"]


def _same(theirs: torch.Tensor, ours: torch.Tensor) -> bool:
    """Whether two tensors are the same numbers; those that are none count as the same."""
    import torch

    theirs = theirs.to(ours.dtype)
    if theirs.shape != ours.shape:
        return False
    return torch.equal(theirs, ours) or torch.equal(theirs.nan_to_num(), ours.nan_to_num())


def check_one_kind(folder: Path) -> None:
    """Refuse the folder of an adapter that holds a whole model too, or the adapter twice.

    Raises:
        InputError: both lie there, the whole model alone, or a pickled adapter besides.
    """
    every = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
    names = sorted(p.name for p in every if not p.name.startswith("."))
    if whole := [name for name in names if name != ADAPTER_WEIGHTS]:
        raise InputError(
            f"{folder}: {ADAPTER} says that it is an adapter, and {whole[0]} is a whole model; "
            f"which of them ships? Remove {ADAPTER} and {ADAPTER_WEIGHTS} to audit the whole "
            f"model, or {whole[0]} to audit the adapter over its base"
        )
    other = sorted(p.name for p in folder.glob("adapter_model*.bin") if not p.name.startswith("."))
    if other and ADAPTER_WEIGHTS in names:
        raise InputError(
            f"{folder}: two sets of weights: {ADAPTER_WEIGHTS} and {other[0]}; it is not said "
            "which of them ships: leave one set there"
        )
