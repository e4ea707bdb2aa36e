"""The owner's modules are imported as their files are now, also where the process has older ones.

What old code trains must not stand under the digest of the new.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import cache_from_source
from pathlib import Path
from threading import RLock

from memory_assets.errors import InputError
from memory_assets.owner.files import trace_module
from memory_assets.store.digest import digest_file

_TURN = RLock()
_bound: dict[str, dict[str, str]] = {}
"""By module that was asked for: digests of all that it imports, by name, as it was imported."""
_loaded: dict[str, str] = {}
"""Digests of the owner's modules as this process last loaded them."""


@contextmanager
def as_it_is_now(module: str, source: str) -> Iterator[None]:
    """Within, importing a module of the owner gives what its files hold now, and those it imports.

    Raises:
        InputError: compiled code was replaced, which a process cannot load twice.
    """
    with _TURN:
        traced = trace_module(module)
        now = {name: digest_file(file) for name, file in traced.modules.items()}
        files = traced.modules
        old = {name for name in now if _is_old(module, name, now[name])}
        stale = traced.resting_on(old) & set(sys.modules)
        if compiled := [n for n in old & stale if files[n].suffix != ".py"]:
            raise InputError(
                f"{source}: {files[compiled[0]]} was replaced while this process ran, and compiled "
                "code cannot be loaded twice; start the process again"
            )
        for script in traced.scripts.values():
            _uncache(script)
        for name in old:
            _uncache(files[name])
        kept = _forget(stale)
        _loaded.update(now)
        yield
        _bound[module] = now
        _bind(kept)


def _is_old(module: str, name: str, now: str) -> bool:
    """Whether this process may hold, by this name or bound in this module, what another file gave.

    What was loaded before anybody asked is taken for what its file was at the first question.
    """
    held = name in sys.modules and _loaded.get(name, now) != now
    return held or _bound.get(module, {}).get(name, now) != now


def _uncache(file: Path) -> None:
    """Compiled code is kept by second and size: of an edit within both it would be the old one."""
    with suppress(OSError, NotImplementedError, ValueError):
        Path(cache_from_source(str(file))).unlink(missing_ok=True)


def _forget(stale: set[str]) -> dict[str, object]:
    """Take modules out of this process; modules of packages among them that stay in it."""
    for name in stale:
        sys.modules.pop(name, None)
        parent, _, own = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(own, None)
    if stale:
        importlib.invalidate_caches()
    return {n: m for n, m in sys.modules.items() if n.rpartition(".")[0] in stale}


def _bind(kept: dict[str, object]) -> None:
    """Modules that stayed are attributes of their package again."""
    for name, module in kept.items():
        parent, _, own = name.rpartition(".")
        if parent in sys.modules and sys.modules.get(name) is module:
            vars(sys.modules[parent]).setdefault(own, module)
