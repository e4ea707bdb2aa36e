"""Which files of the owner's code belong to a function or script: all that it imports.

They are found without running any: imports anywhere in a file, also within functions; packages and
their modules, relative imports; modules that a text names, where code imports by name; scripts that
a text names. The owner's are all that is neither installed in a Python environment nor part of
this program. What code reads from elsewhere (data files, names from the environment) is not known.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import all_suffixes
from os.path import relpath
from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.owner.imports import Mentions, mentions, script_mentions
from memory_assets.store.paths import is_file, is_folder

_PROGRAM = Path(__file__).absolute().parents[1]
_GRAPH = _PROGRAM.parent / "dagster_project"
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_SHELLS = ("", ".sh", ".bash")
_MOST_BYTES = 5_000_000

Places = tuple[Path, ...]


@dataclass(frozen=True)
class Module:
    """A file of code: its dotted name (empty for a script), and where its imports are looked for.

    `within` are the folders of a package, where its modules lie; empty for a plain module.
    """

    name: str
    file: Path
    places: Places
    within: Places = ()

    @property
    def package(self) -> str:
        """What its relative imports start from."""
        return self.name if self.within else self.name.rpartition(".")[0]


@dataclass
class Traced:
    """What was found: the owner's files, and top-level names of modules that are not the owner's.

    `modules` are by dotted name, `scripts` by their path relative to the file that names them.
    `importers` are, by module, those that import it themselves.
    """

    modules: dict[str, Path] = field(default_factory=dict)
    scripts: dict[str, Path] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    importers: dict[str, set[str]] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, Path]:
        """All files by name; where they lie does not matter."""
        return {**self.modules, **self.scripts}

    def resting_on(self, changed: set[str]) -> set[str]:
        """These modules, and all that import one of them, however indirectly."""
        found, more = set(changed), set(changed)
        while more := {i for name in more for i in self.importers.get(name, ())} - found:
            found |= more
        return found


def module_places() -> Places:
    """Where modules of the owner are looked for: as Python does, then the current folder."""
    return tuple(dict.fromkeys(Path(p).absolute() for p in (*sys.path, Path.cwd())))


def find(name: str, places: Places) -> list[Module]:
    """The packages that lead to a module, and itself, as far as they are files; outermost first."""
    found: list[Module] = []
    within, parts = places, name.split(".")
    for i, part in enumerate(parts, 1):
        file, within = _step(part, within)
        if i == 1 and not within and file is None:
            file, within = _hooked(part)
        if file is not None:
            found.append(Module(".".join(parts[:i]), file, places, within))
        if not within:
            break
    return found


def is_owners(file: Path) -> bool:
    """Whether a file is the owner's: not installed, not of Python, not of this program."""
    file = file.absolute()
    if {"site-packages", "dist-packages"} & set(file.parts):
        return False
    if any(file.is_relative_to(folder) for folder in _STANDARD if folder):
        return False
    if file.is_relative_to(_GRAPH):  # subjects stand in its folder `defs`
        return file.is_relative_to(_GRAPH / "defs") and file != _GRAPH / "defs" / "__init__.py"
    return not file.is_relative_to(_PROGRAM)


def module_path(name: str) -> Path | None:
    """The file of a module, found without running it or the packages it is in."""
    found = find(name, module_places())
    return found[-1].file if found and found[-1].name == name else None


def trace_module(name: str) -> Traced:
    """All that a module belongs to and imports; nothing where it is not the owner's."""
    trace, places = _Trace(), module_places()
    trace.follow(trace.resolve(name, places))
    return trace.found


def trace_script(file: Path, root: Path) -> Traced:
    """All that a script imports and runs, without itself."""
    trace = _Trace()
    trace.begin(file)
    trace.follow([Module("", file, (file.absolute().parent, *module_places(), root.absolute()))])
    return trace.found


def trace_run(name: str, root: Path) -> Traced:
    """All that `python -m name` runs."""
    trace, places = _Trace(), (*module_places(), root.absolute())
    trace.follow(trace.resolve(name, places) + trace.resolve(f"{name}.__main__", places))
    return trace.found


def _step(part: str, places: Sequence[Path]) -> tuple[Path | None, Places]:
    """One name: its file, and the folders of its modules, which a namespace alone has too."""
    spaces: list[Path] = []
    for place in places:
        folder = place / part
        for suffix in all_suffixes():
            if is_file(file := folder / f"__init__{suffix}"):
                return file, (folder,)
        for suffix in all_suffixes():
            if is_file(file := place / f"{part}{suffix}"):
                return file, ()
        if is_folder(folder):
            spaces.append(folder)
    return None, tuple(spaces)


def _hooked(name: str) -> tuple[Path | None, Places]:
    """The same of a top-level name that an import hook finds, as of a package under development.

    Raises:
        InputError: code of the owner's within an archive, which is not read.
    """
    for finder in sys.meta_path:
        with suppress(Exception):  # a hook may do anything
            if (spec := finder.find_spec(name, None)) is not None:
                file = Path(spec.origin).absolute() if spec.origin and spec.has_location else None
                within = tuple(map(Path, spec.submodule_search_locations or ()))
                break
    else:
        return None, ()
    if file is not None and is_owners(file) and not is_file(file):
        raise InputError(
            f"{name}: its code lies in an archive ({file}), where changes are not followed; "
            "unpack it, or install it as a package"
        )
    return file, within


def _modules_in(folder: Path, deep: bool) -> Iterator[str]:
    """Dotted names, below a package, of the modules in its folder; `deep`: in all below it too."""
    for file in sorted(folder.glob("**/*.py" if deep else "*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__")
    if not deep:
        yield from sorted(file.parent.name for file in folder.glob("*/__init__.py"))


class _Trace:
    """Follows imports from file to file; every file once."""

    def __init__(self) -> None:
        self.found = Traced()
        self._seen: set[Path] = set()

    def begin(self, file: Path) -> None:
        """A file that is known already, and no finding."""
        self._seen.add(file.absolute())

    def resolve(
        self, name: str, places: Places, spare: Places = (), said: bool = True
    ) -> list[Module]:
        """The owner's modules that importing a name runs; else it is noted as somebody else's.

        `spare` are looked in where nothing is found in `places`. `said`: the name is an import's,
        and no mere text.
        """
        for where in (places, (*spare, *places)):
            found = find(name, where)
            if owners := [module for module in found if is_owners(module.file)]:
                return owners
            if found or not spare:
                break
        if said:
            self.found.outside.add(name.partition(".")[0])
        return []

    def follow(self, queue: list[Module]) -> None:
        """Note these files and all that they import."""
        queue = list(queue)
        while queue:
            module = queue.pop()
            file = module.file.absolute()
            if file in self._seen and module.name:
                continue
            self._seen.add(file)
            if module.name:
                self.found.modules[module.name] = file
            for other in self._named_in(module, file):
                queue.append(other)
                if module.name and other.name:
                    self.found.importers.setdefault(other.name, set()).add(module.name)

    def _named_in(self, module: Module, file: Path) -> Iterator[Module]:
        if file.stat().st_size > _MOST_BYTES:
            return
        if file.suffix not in (".py", *_SHELLS) or b"\0" in (source := file.read_bytes()):
            return
        said = mentions(source) if file.suffix == ".py" else script_mentions(source)
        spare = _spare(said, file) if said.moves_path or not module.name else ()
        for name in said.names:
            if absolute := _absolute(name, module):
                yield from self.resolve(absolute, module.places, spare)
        for name in said.whole:
            yield from self._all_in(_absolute(name, module), module.places, spare, deep=False)
        for text in said.named:
            absolute = _absolute(text.rstrip("."), module)
            yield from self.resolve(absolute, module.places, spare, said=False)
            if text.endswith("."):
                yield from self._all_in(absolute, module.places, spare, deep=True)
        if said.computed and module.package:
            top = module.package.partition(".")[0]
            yield from self._all_in(top, module.places, spare, deep=True)
        yield from self._scripts(said, module, file)

    def _all_in(self, package: str, places: Places, spare: Places, deep: bool) -> Iterator[Module]:
        within = places
        for part in package.split("."):
            within = _step(part, within)[1]
        for folder in within:
            if not is_owners(folder / "module.py"):
                continue
            for name in _modules_in(folder, deep):
                full = f"{package}.{name}" if name else package
                yield from self.resolve(full, places, spare, said=False)

    def _scripts(self, said: Mentions, module: Module, file: Path) -> Iterator[Module]:
        """Files of code that a text names by a path."""
        texts = [s for s in said.strings if s.endswith((".py", ".sh")) and "\n" not in s]
        for text in texts:
            # What stands before a slash may be put there when it runs: `f"{here}/train.py"`.
            paths = [p / t for t in (text, text.lstrip("/")) for p in _spare(said, file)]
            for script in (path.absolute() for path in paths):
                if not is_file(script) or not is_owners(script) or script in self._seen:
                    continue
                self._seen.add(script)
                self.found.scripts[relpath(script, file.parent)] = script
                yield Module("", script, (script.parent, *module.places))


def _absolute(name: str, module: Module) -> str:
    """The name of a module without leading dots; empty where they lead out of every package."""
    bare = name.lstrip(".")
    if bare == name:
        return name
    base = module.package.split(".")
    up = len(name) - len(bare) - 1
    if not module.package or up >= len(base):
        return ""
    return ".".join([*base[: len(base) - up], *([bare] if bare else [])])


def _spare(said: Mentions, file: Path) -> Places:
    """Where else what a file names may lie: beside it, above it in the project, and in folders
    there that it names."""
    here = Path.cwd()
    above = [file.parent, *(p for p in file.parent.parents if p.is_relative_to(here))]
    names = [s for s in said.strings if "\n" not in s and "\0" not in s and not s.endswith(".py")]
    folders = [f for place in above for s in names if s.strip("./ ") and is_folder(f := place / s)]
    return (*above, *folders)
