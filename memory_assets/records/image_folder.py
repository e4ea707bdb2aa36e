"""Records as images in folders: one folder a class, one file a record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.dataset import Dataset

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def image_files(folder: Path) -> list[Path]:
    """The images in the sub-folders of `folder`, in order of class and name."""
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [
        file
        for each in classes
        for file in sorted(each.iterdir())
        if file.suffix.lower() in SUFFIXES
    ]


def _pixels(file: Path) -> NDArray[np.float32]:
    """An image as `[channels, height, width]` in 0..1: one channel if it is grey, else three."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            grey = image.mode in ("1", "L", "LA", "I", "I;16", "F")
            values = np.asarray(image.convert("L" if grey else "RGB"), np.float32)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise InputError(f"{file}: not a readable image ({type(error).__name__})") from error
    values = values / np.float32(255)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def read_images(folder: Path) -> Dataset:
    """Records `[N, channels, height, width]`; ids are paths such as `cat/001.png`.

    Raises:
        InputError: no images, one that cannot be read, or one of another size than the first.
    """
    files = image_files(folder)
    if not files:
        raise InputError(
            f"{folder}: no images; expected one folder a class with files {', '.join(SUFFIXES)}"
        )
    images = [_pixels(file) for file in files]
    for file, pixels in zip(files, images, strict=True):
        if pixels.shape != images[0].shape:
            raise InputError(
                f"{file}: image of shape {list(pixels.shape)}, the first is "
                f"{list(images[0].shape)}; bring all to one size and colour mode"
            )
    names, labels = np.unique([file.parent.name for file in files], return_inverse=True)
    ids = np.array([f"{file.parent.name}/{file.name}" for file in files])
    return Dataset(ids, np.stack(images), labels.astype(np.int64), len(names), str(folder))
