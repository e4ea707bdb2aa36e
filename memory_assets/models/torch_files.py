"""State dicts of torch's own formats, read as plain tensors or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from memory_assets.errors import InputError

if TYPE_CHECKING:
    import torch

SUFFIXES = (".pt", ".pth", ".bin")
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


def read_torch(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict, by name.

    Raises:
        InputError: not such a file, compressed, or with more in it than plain tensors.
    """
    import torch

    if file.suffix not in SUFFIXES:
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
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"{file}: not a state dict of tensors; {CONVERT}")
    return {str(name): value for name, value in state.items()}
