"""The installed packages that the owner's code imports, in the versions that are here."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import Distribution, distribution, packages_distributions

from memory_assets.store.digest import digest


@lru_cache(maxsize=4)
def _distributions(path: tuple[str, ...]) -> dict[str, list[str]]:
    """Which distributions bring a top-level module, as `path` is; this reads what all installed."""
    del path
    return {module: sorted(set(found)) for module, found in packages_distributions().items()}


def versions_of(modules: Iterable[str], exact: str = "") -> dict[str, str]:
    """By distribution, the version of each that brings one of these top-level modules.

    Of what comes from an index it is major and minor: fixes train another sample of the same
    models. What was installed from a folder, a repository or an address keeps its version while it
    is written, and that of the module `exact` holds the code itself: these are known by their
    contents.
    """
    found: dict[str, str] = {}
    asked = {*modules, *([exact] if exact else [])} - sys.stdlib_module_names
    brought = _distributions(tuple(sys.path)) if asked else {}
    for module in sorted(asked):
        for name in brought.get(module, ()):
            found[name] = version_here(name, module == exact)
    return found


@lru_cache
def version_here(name: str, exact: bool) -> str:
    """What is installed, as this process found it first: an upgrade does not reach what it runs."""
    installed = distribution(name)
    if exact or installed.read_text("direct_url.json") is not None:
        return _contents(installed)
    return _series(installed)


def _series(installed: Distribution) -> str:
    return ".".join(installed.version.partition("+")[0].split(".")[:2])


def _contents(installed: Distribution) -> str:
    """The version and what its files of code are, as they were installed."""
    code = [f for f in installed.files or () if f.suffix == ".py"]
    files = sorted([str(file), file.hash.value] for file in code if file.hash is not None)
    return f"{installed.version} {digest(files)}"
