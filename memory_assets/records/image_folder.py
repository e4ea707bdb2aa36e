"""Records as images in folders: one folder a class, one file a record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError
from memory_assets.records.budget import afford
from memory_assets.records.dataset import Dataset
from memory_assets.records.formats import IMAGES, either, suffixes
from memory_assets.records.labels import as_labels
from memory_assets.store.confined import inside

# Whatever a file is called: other formats bring decoders that start programs.
_DECODERS = tuple(each.name for each in IMAGES)
_GREY = ("1", "L", "LA", "I", "I;16", "F")


def image_files(folder: Path) -> list[Path]:
    """The images in the sub-folders of `folder`, in order of class and name.

    Raises:
        InputError: a link among them leads out of the folder.
    """
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [
        inside(file, folder)
        for each in classes
        for file in sorted(inside(each, folder).iterdir())
        if file.suffix.lower() in suffixes(IMAGES) and file.is_file()
    ]


def _pixels(file: Path, shape: tuple[int, ...] | None, count: int) -> NDArray[np.float32]:
    """An image as `[channels, height, width]` in 0..1: one channel if it is grey, else three.

    Its size is known before it is unpacked; `shape` is what it must be, and `count` how many
    images of this size there are to be.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=_DECODERS) as image:
            grey = image.mode in _GREY
            own = (1 if grey else 3, image.height, image.width)
            if shape is None:
                # A byte a channel as it is unpacked, four as a number.
                afford(count * int(np.prod(own, dtype=np.int64)) * 5, file, f"{count} such images")
            elif own != shape:
                raise InputError(
                    f"{file}: image of shape {list(own)}, the first is {list(shape)}; bring all "
                    "to one size and colour mode"
                )
            values = np.asarray(image.convert("L" if grey else "RGB"), np.float32)
    except InputError:
        raise
    except Exception as error:  # a damaged image raises whatever its decoder stumbles over
        raise InputError(f"{file}: not a readable image ({type(error).__name__})") from error
    values = values / np.float32(255)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def read_images(folder: Path) -> Dataset:
    """Records `[N, channels, height, width]`; ids are paths such as `cat/001.png`.

    Raises:
        InputError: no images, one that cannot be read, one of another size than the first, a link
            out of the folder, or more than the memory holds.
    """
    files = image_files(folder)
    if not files:
        raise InputError(
            f"{folder}: no images; expected one folder a class with files {either(IMAGES)}"
        )
    first = _pixels(files[0], None, len(files))
    images = [first, *(_pixels(file, first.shape, len(files)) for file in files[1:])]
    labels = as_labels(np.array([file.parent.name for file in files]), f"{folder}: its folders")
    ids = np.array([f"{file.parent.name}/{file.name}" for file in files])
    return Dataset.labelled(ids, np.stack(images), labels, str(folder))
