"""LoRA adapters over their base: attached and never merged, every tensor of theirs used.

Merging one that stands on an embedding into a base whose head is tied to it changes the head too,
which the adapter never did; attached it answers as it was trained.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_assets.errors import InputError
from memory_assets.language.folders import ADAPTER, read_json
from memory_assets.language.safe_loading import SAFE, Opened, open_model, quietly
from memory_assets.language.settings import check_adapter, check_files
from memory_assets.language.weights import ADAPTER_WEIGHTS, check_one_kind
from memory_assets.models.tensor_names import kind_of, listed, undo_wrappers

if TYPE_CHECKING:
    import torch

_PREFIX = "base_model.model."
_NAME = ".default"
"""What peft calls the one adapter of a model; a state dict that was saved whole has it in names."""


def open_adapter(folder: Path, base: Path) -> Opened:
    """The base with a LoRA adapter attached to it.

    Raises:
        InputError: no LoRA adapter, more than one, a whole model beside it, no package peft, an
            adapter that changes nothing, or one that does not fit its base: tensors that were not
            used, or places in the base that no tensor filled.
    """
    check_one_kind(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise InputError(f"{folder}: no {ADAPTER_WEIGHTS}; {SAFE}")
    check_files(folder)
    check_adapter(folder)
    try:
        import peft  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"{folder}: a LoRA adapter needs the package peft; pip install 'memory-assets[lora]', "
            "or merge the adapter into its base and give that folder"
        ) from error
    _check_known(folder, {field.name for field in fields(peft.LoraConfig)})
    state = _read(folder)
    silent = _silent(state)
    under = open_model(base)
    try:
        with quietly():
            settings = peft.LoraConfig.from_pretrained(str(folder), local_files_only=True)
            settings.inference_mode = True
            model = peft.get_peft_model(under.model, settings)
            said = _attach(model, state, folder, base)
    except InputError:
        raise
    except Exception as error:  # unknown settings, damaged files and wrong shapes all differ
        raise InputError(
            f"{folder}: does not fit its base {base} ({type(error).__name__}); give the base that "
            "it was trained on under base"
        ) from error
    notices = [*under.notices, *said]
    if silent:
        notices.append(f"{folder.name}: parts of the adapter that change nothing: {listed(silent)}")
    return Opened(model.get_base_model().eval(), tuple(notices))


def _check_known(folder: Path, known: Collection[str]) -> None:
    """A setting that peft does not know it leaves out, with a warning."""
    settings = read_json(folder / ADAPTER)
    if unknown := [name for name, value in settings.items() if value and name not in known]:
        raise InputError(
            f"{folder}: its adapter sets {unknown[0][:80]!r}, which the installed peft does not "
            "know and would leave out; install the peft that it was made with"
        )


def _read(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of an adapter's file.

    Raises:
        InputError: numbers that are no floating-point ones, or not finite.
    """
    from safetensors.torch import load_file

    state = load_file(folder / ADAPTER_WEIGHTS)
    for name, tensor in state.items():
        if kind_of(str(tensor.dtype)) != "floating-point":
            raise InputError(
                f"{folder}: tensor {name[:120]!r} holds {kind_of(str(tensor.dtype))} numbers; an "
                "adapter has floating-point ones: export it again"
            )
        if not tensor.float().isfinite().all():
            raise InputError(
                f"{folder}: tensor {name[:120]!r} holds a number that is not finite; export the "
                "adapter again"
            )
    return state


def _silent(state: dict[str, torch.Tensor]) -> set[str]:
    """Tensors of those products of which one factor is zero."""
    zero = {name for name, tensor in state.items() if not tensor.any()}
    sides = (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"))
    found = set()
    for name in state:
        for pair in sides:
            for mine, other in (pair, pair[::-1]):
                if f".{mine}" in name and {name, name.replace(f".{mine}", f".{other}")} & zero:
                    found.add(name)
    return found


def _changes_nothing(given: dict[str, torch.Tensor], before: dict[str, torch.Tensor]) -> bool:
    """Whether every product is zero and all else is what the base holds already."""
    import torch

    silent = _silent(given)
    return all(
        name in silent
        or ("lora_" not in name and name in before and torch.equal(before[name].to(tensor), tensor))
        for name, tensor in given.items()
    )


def _placed(
    folder: Path, state: dict[str, torch.Tensor], placed: dict[str, str]
) -> dict[str, torch.Tensor]:
    """The tensors under the names of their places, which no two may share."""
    given: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if placed[name] in given:
            raise InputError(
                f"{folder}: two tensors of its adapter for {placed[name]!r}, one of them "
                f"{name[:120]!r}; save the adapter anew with save_pretrained"
            )
        given[placed[name]] = tensor
    return given


def _check_shapes(
    folder: Path, base: Path, given: dict[str, torch.Tensor], places: dict[str, torch.Tensor]
) -> None:
    for name, tensor in given.items():
        ours = places.get(name)
        if ours is not None and ours.shape != tensor.shape:
            raise InputError(
                f"{folder}: does not fit its base {base}: tensor {name!r} has shape "
                f"{list(tensor.shape)}, the base with {ADAPTER} expects {list(ours.shape)}; give "
                "the base that it was trained on (with its added tokens, if there are any)"
            )


def _attach(model: Any, state: dict[str, torch.Tensor], folder: Path, base: Path) -> list[str]:
    """Give an adapter's tensors to a model that is ready for them; what was undone, in words.

    Raises:
        InputError: tensors that were not used, or places that none filled.
    """
    from peft import (  # pyright: ignore[reportMissingImports]
        get_peft_model_state_dict,
        set_peft_model_state_dict,
    )

    def asked() -> dict[str, torch.Tensor]:
        # The embeddings of the base are no part of an adapter, and to find out whether they were
        # resized peft would ask the hub.
        return get_peft_model_state_dict(model, save_embedding_layers=False)

    wanted, whole = asked(), model.state_dict()

    def place(name: str) -> str | None:
        owns = (name, name.replace(f"{_NAME}.", "."), name.removesuffix(_NAME))
        fulls = [full for own in owns for full in (own, _PREFIX + own)]
        for held in (wanted, whole):
            for full in fulls:
                if full in held:
                    return full
        return None

    def misfits(names: Collection[str]) -> int:
        places = {place(name) for name in names}
        return len(set(wanted) - places) + sum(place(name) is None for name in names)

    # As they are first: peft writes base_model.model before every name.
    names = undo_wrappers(list(state), misfits)
    placed = {name: place(names.of[name]) or names.of[name] for name in state}
    given = _placed(folder, state, placed)
    missing = set(wanted) - set(given)
    unknown = {name for name in state if placed[name] not in wanted and placed[name] not in whole}
    converted = bool(missing or unknown) and _renames(model)
    if (missing or unknown) and not converted:
        raise InputError(
            f"{folder}: its adapter does not fit its base {base}, or its own {ADAPTER}: "
            f"{_why(missing, unknown)}"
        )
    _check_shapes(folder, base, given, whole | wanted)
    if _changes_nothing(given, whole | wanted):
        raise InputError(
            f"{folder}: its adapter changes nothing: one factor of every product is zero, as "
            "before training; its base alone would be audited: export the trained adapter"
        )
    result = set_peft_model_state_dict(model, given)
    lost = [name for name in result.missing_keys if "lora_" in name]
    if lost or result.unexpected_keys:
        raise InputError(
            f"{folder}: its adapter does not fit its base {base}: "
            f"{_why(lost, result.unexpected_keys)}"
        )
    if not converted:
        _check_given(folder, given, model.state_dict() | asked())
    return [f"{folder.name}: {names.said}"] if names.undone else []


def _renames(model: Any) -> bool:
    """Whether the library knows older names of this architecture's tensors."""
    from transformers.conversion_mapping import get_model_conversion_mapping

    return bool(get_model_conversion_mapping(model.get_base_model(), add_legacy=False))


def _why(missing: Collection[str], unknown: Collection[str]) -> str:
    if unknown and not missing:
        return (
            f"unknown tensors: {listed(unknown)}; this is usually a target_modules in {ADAPTER} "
            "that names fewer modules than were trained, or another base"
        )
    if missing and not unknown:
        return (
            f"missing tensors: {listed(missing)}; this is usually an adapter that was not saved "
            f"whole, or a target_modules in {ADAPTER} that names more modules than were trained"
        )
    return (
        f"missing tensors: {listed(missing)}; unknown tensors: {listed(unknown)}; this is usually "
        "another base than it was trained on"
    )


def _check_given(
    folder: Path, given: dict[str, torch.Tensor], now: dict[str, torch.Tensor]
) -> None:
    """What the model holds must be what the file gave."""
    import torch

    for name, tensor in given.items():
        if name not in now or not torch.equal(now[name], tensor.to(now[name].dtype)):
            raise InputError(
                f"{folder}: tensor {name!r} of its adapter was not taken as its file says; save "
                "the adapter anew with save_pretrained"
            )
