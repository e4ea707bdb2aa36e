"""Names of tensors in a file and in a model: wrappers undone, and what does not fit said."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

Rule = tuple[str, str]
"""A regular expression and what it is replaced by, once a name."""

_INSIDE = (
    (r"(^|\.)_orig_mod\.", r"\1", "_orig_mod (a compiled model)"),
    (r"(^|\.)_fsdp_wrapped_module\.", r"\1", "_fsdp_wrapped_module (sharded training)"),
    (r"(^|\.)_checkpoint_wrapped_module\.", r"\1", "_checkpoint_wrapped_module (checkpointing)"),
    (r"\.base_layer\.", r".", "base_layer (an adapter's wrapper)"),
)
"""Parts that stand anywhere in a name, and that no model calls its own layers."""
_LEADING = (
    ("module", "data-parallel training"),
    ("base_model.model", "an adapter saved whole"),
    ("_forward_module", "a training framework"),
    ("model", "a training framework"),
    ("net", "a training framework"),
)
"""Parts that stand before every name of a file, undone only where that makes the names fit."""
_MOST_DEEP = 6
_SHOWN = 3
_LAYER = re.compile(r"\.(\d+)\.")
_CAUSES: tuple[tuple[str, str], ...] = (
    (r"(^|\.)lora_|\.base_layer\.", "an adapter saved whole: merge it into its base and save that, "
     "or save the adapter alone with save_pretrained"),
    (r"(^|\.)(_orig_mod|module)\.", "a compiled or data-parallel model of which some names carry "
     "the wrapper's prefix: save the model inside"),
    (r"^(optimizer|state_dict|model_state_dict|scheduler)\b", "a whole training state: save the "
     "model's own state dict"),
    (r"(^|\.)(score|classifier|qa_outputs|cls|pooler|v_head|value_head|multiple_choice_head|"
     r"classification_head|pre_classifier)\.", "a model with a head of another kind"),
    (r"(qweight|qzeros|scales|\.SCB|absmax|weight_scale\w*|quant_state\S*|weight_packed)$",
     "quantized weights: save the model in its own precision"),
)  # fmt: skip
_SETTINGS = "settings of another model than these weights are of: give the two that belong together"


@dataclass(frozen=True)
class Names:
    """What a file calls its tensors, and what they are called once `rules` have undone wrappers.

    `undone` says in words which wrappers, in the order in which they were taken off.
    """

    of: dict[str, str]
    rules: tuple[Rule, ...] = ()
    undone: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """One clause on what was undone; empty where nothing was."""
        return f"its tensors are named inside {', then '.join(self.undone)}: taken off"


def undo_wrappers(stored: Collection[str], misfits: Callable[[Collection[str]], int]) -> Names:
    """Take well-known wrappers off names where that makes them fit.

    Args:
        stored: the names in the file.
        misfits: how many names are missing or unknown if these were the names.

    Returns:
        The names with the fewest misfits; of several, those with the fewest wrappers taken off. Two
        tensors never become one.
    """
    names = Names({name: name for name in stored})
    best, fewest = names, misfits(set(stored))
    for _ in range(_MOST_DEEP):
        if not fewest:
            break
        following = _next(names)
        if following is None:
            break
        names = following
        if (count := misfits(set(names.of.values()))) < fewest:
            best, fewest = names, count
    return best


def _next(names: Names) -> Names | None:
    """One more wrapper taken off, or None where there is none."""
    rules = [(pattern, into, said) for pattern, into, said in _INSIDE]
    for prefix, why in _LEADING:
        if all(name.startswith(f"{prefix}.") for name in names.of.values()):
            rules.append((rf"^{re.escape(prefix)}\.", "", f"{prefix} ({why})"))
    for pattern, into, said in rules:
        changed = {old: re.sub(pattern, into, new, count=1) for old, new in names.of.items()}
        if changed != names.of and len(set(changed.values())) == len(changed):
            undone = names.undone if said in names.undone else (*names.undone, said)
            return Names(changed, (*names.rules, (pattern, into)), undone)
    return None


def listed(names: Collection[str]) -> str:
    """The first three names, and how many more there are."""
    first = sorted(names)[:_SHOWN]
    more = len(names) - len(first)
    return ", ".join(repr(name[:120]) for name in first) + (f" and {more} more" if more else "")


def misfit(missing: Collection[str], unknown: Collection[str]) -> str:
    """What of a file does not fit a model, the first names of each, and what usually causes it."""
    parts = [
        f"{what} tensors: {listed(names)}"
        for what, names in (("missing", missing), ("unknown", unknown))
        if names
    ]
    return f"{'; '.join(parts)}; this is usually {_cause(missing, unknown)}"


def _cause(missing: Collection[str], unknown: Collection[str]) -> str:
    for pattern, cause in _CAUSES:
        if any(re.search(pattern, name) for name in unknown):
            return cause
    if not unknown and all(re.search(r"head|embed_out|output", name) for name in missing):
        return "a head that was left out on saving, while the settings say that it is not tied"
    if unknown and not missing and all(_LAYER.search(name) for name in unknown):
        return "a configuration with fewer layers than the weights have"
    if missing and not unknown and all(_LAYER.search(name) for name in missing):
        return "a layer that was left out, or a configuration with more layers than the weights"
    return _SETTINGS


def kind_of(dtype: str) -> str:
    """The kind of a type of numbers, by the name that safetensors or torch give it."""
    name = dtype.removeprefix("torch.").lower()
    if name.startswith(("c", "complex")):
        return "complex"
    if name.startswith("bool"):
        return "boolean"
    return "floating-point" if name.startswith(("f", "bf", "float", "bfloat")) else "whole-number"
