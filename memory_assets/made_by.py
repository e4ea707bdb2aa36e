"""The files that say how shadow models are made: the owner's code, or a table of their outputs."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

from memory_assets.errors import InputError


def module_file(reference: str, field: str) -> Path:
    """The Python file behind `package.module:function`, found without running the module.

    Raises:
        InputError: there is no such module, or it is not a Python file.
    """
    module = reference.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise InputError(f"{field}: {reference!r}; expected a function of a Python file")
    return Path(spec.origin)


def command_words(run: str, root: Path) -> tuple[list[str], dict[str, Path]]:
    """A command's words, and the files of the project among them by the words that name them.

    The command runs in a folder of its own: what it names of the project is made absolute.
    """
    words, files = [], {}
    for word in shlex.split(run):
        file = root / word
        if file.is_file():
            files[word] = file
        words.append(str(file.absolute()) if file.is_file() else word)
    return words, files


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a tokenizer's folder.

    Raises:
        InputError: there is none.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix in (".json", ".txt", ".model"))
    if not files:
        raise InputError(
            f"recipe.tokenizer: no tokenizer in {folder}; save it there with save_pretrained"
        )
    return files


def table_file(shadows: str, root: Path) -> Path:
    """The file of shadow models' outputs.

    Raises:
        InputError: it is not there.
    """
    if not (root / shadows).is_file():
        raise InputError(f"predictions.shadows: no file {root / shadows}")
    return root / shadows
