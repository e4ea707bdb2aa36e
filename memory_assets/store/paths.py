"""Whether a name from a configuration or a command line is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

_LONGEST = 255
_LONGEST_PATH = 4095


def _holds(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except OSError as error:
        # `Path` calls only some errors "not there": a name of 300 characters would raise.
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def possible(name: str) -> str:
    """The name of a file or folder, as it is.

    Raises:
        ValueError: no file system has such a name.
    """
    raw = os.fsencode(name)
    if b"\0" in raw or len(raw) > _LONGEST_PATH or max(map(len, raw.split(b"/"))) > _LONGEST:
        raise ValueError(
            f"not a name of a file; expected at most {_LONGEST_PATH} bytes, {_LONGEST} between two "
            "separators, and none that is NUL"
        )
    return name


def is_file(path: Path) -> bool:
    """`Path.is_file`, and no where no file system has such a name."""
    return _holds(path.is_file)


def is_folder(path: Path) -> bool:
    """`Path.is_dir`, and no where no file system has such a name."""
    return _holds(path.is_dir)
