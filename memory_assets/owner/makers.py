"""The files that say how shadow models are made: the owner's code, or a table of their outputs."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.owner.files import is_owners, module_path, trace_module, trace_run, trace_script
from memory_assets.owner.packages import versions_of

PROGRAM = frozenset({"memory_assets", "dagster_project"})
TRAINER_STANDS_ON = frozenset({"torch", "numpy"})
"""Packages by which recipes are trained whoever wrote the model: the trainer's own version."""


def module_file(reference: str, field: str) -> Path:
    """The Python file behind `package.module:function`, found without running the module.

    Raises:
        InputError: there is no such module, or it is not a Python file.
    """
    file = module_path(reference.partition(":")[0])
    if file is None:
        raise InputError(f"{field}: {reference!r}; expected a function of a Python file")
    return file


def code_files(reference: str, field: str) -> dict[str, Path]:
    """The file of a function under its reference, and by name all of the owner's that it imports.

    Raises:
        InputError: there is no such module, or it is not a Python file.
    """
    file = module_file(reference, field)
    found = trace_module(reference.partition(":")[0]).files
    return {reference: file, **{n: f for n, f in found.items() if f != file.absolute()}}


def packages(reference: str, field: str, besides: frozenset[str] = frozenset()) -> dict[str, str]:
    """Versions of the installed packages that a function of the owner's is in or imports.

    Those `besides` are left out; a function of this program has none.

    Raises:
        InputError: there is no such module, or it is not a Python file.
    """
    module = reference.partition(":")[0]
    top = module.partition(".")[0]
    own = not is_owners(module_file(reference, field))
    if own and top in PROGRAM:
        return {}
    outside = trace_module(module).outside - besides - PROGRAM
    return versions_of(outside - {top}, exact=top if own else "")


def command_files(run: str, root: Path) -> dict[str, Path]:
    """The project's files that a command names, and those that these import or run."""
    words, files = shlex.split(run), command_words(run, root)[1]
    traced = {word: trace_script(file, root) for word, file in files.items()}
    modules = [name for flag, name in pairwise(words) if flag == "-m"]
    traced |= {f"-m {name}": trace_run(name, root) for name in modules}
    known = {file.absolute() for file in files.values()}
    for word, found in traced.items():
        files |= {f"{word}: {n}": f for n, f in found.files.items() if f not in known}
    return files


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
