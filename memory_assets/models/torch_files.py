"""State dicts of torch's own formats, read as plain tensors or not at all."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from memory_assets.errors import InputError
from memory_assets.records.formats import TORCH

if TYPE_CHECKING:
    import torch

_MOST_DEEP = 3
CONVERT = (
    "export the state dict with safetensors.torch.save_file; "
    "pickled weights can run code and are never loaded"
)


def _stored_plainly(file: Path) -> bool:
    """Whether a zip of torch's holds no compressed entry: torch writes none, a bomb needs one."""
    if not zipfile.is_zipfile(file):
        return True  # the older form, which is no archive
    with zipfile.ZipFile(file) as archive:
        return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def _state_dicts(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in what a training program saved a table of nothing but tensors by name lies."""
    import torch

    if not isinstance(value, Mapping) or not value or len(path) > _MOST_DEEP:
        return
    if all(isinstance(n, str) and isinstance(v, torch.Tensor) for n, v in value.items()):
        yield path
        return
    for name, part in value.items():
        if isinstance(name, str) and "optim" not in name.lower():
            yield from _state_dicts(part, (*path, name))


def _shapes(values: Iterable[object]) -> Counter[tuple[int, ...]]:
    import torch

    return Counter(tuple(v.shape) for v in values if isinstance(v, torch.Tensor))


def _second_set(whole: object, own: object) -> str | None:
    """Where, besides `own`, more than half of the same shapes lie together: an average of the
    weights, say, as a list or with a step among them. What an optimizer holds does not count."""
    assert isinstance(own, Mapping)
    shapes = _shapes(own.values())
    fewest = max(1, sum(shapes.values()) // 2)
    stack: list[tuple[object, str]] = [(whole, "")]
    seen = {id(own)}
    while stack:
        value, path = stack.pop()
        if id(value) in seen or not isinstance(value, Mapping | list | tuple):
            continue
        seen.add(id(value))
        parts = list(value.items() if isinstance(value, Mapping) else enumerate(value))
        if sum((_shapes(part for _, part in parts) & shapes).values()) > fewest:
            return path
        for name, part in parts:
            if "optim" not in str(name).lower():
                stack.append((part, f"{path}.{name}" if path else str(name)))
    return None


def read_torch(file: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of a state dict, by name, and under which key of a training state they lay (""
    where the file holds a state dict and nothing else).

    Raises:
        InputError: not such a file, compressed, with more in it than plain data, or with more than
            one state dict of a model.
    """
    import torch

    if file not in TORCH:
        raise InputError(f"{file}: not a checkpoint ({file.suffix or 'no suffix'}); {CONVERT}")
    try:
        if not _stored_plainly(file):
            raise InputError(f"{file}: its weights are compressed, which torch never does")
        state = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # what a damaged or forged pickle raises has no end
        raise InputError(
            f"{file}: holds more than plain tensors, or is damaged; {CONVERT}"
        ) from error
    found = list(_state_dicts(state))
    if not found:
        raise InputError(f"{file}: not a state dict of tensors; {CONVERT}")
    if len(found) > 1:
        names = ", ".join(repr(".".join(path)[:80]) for path in found[:3])
        raise InputError(
            f"{file}: holds {len(found)} sets of weights ({names}); it is not said which of them "
            f"ships: {CONVERT}"
        )
    whole = state
    for name in found[0]:
        state = state[name]
    if (second := _second_set(whole, state)) is not None:
        raise InputError(
            f"{file}: holds 2 sets of weights ({'.'.join(found[0])[:80]!r}, {second[:80]!r}); it "
            f"is not said which of them ships: {CONVERT}"
        )
    return dict(state), ".".join(found[0])
