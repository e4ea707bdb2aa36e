"""Does an artifact still hold the bytes that were written? A list of digests beside the store says.

`<home>/digests/<kind>/<name>` has the form that `sha256sum --check` reads, with paths taken from
`<home>/artifacts/<kind>`. An artifact without a list, from an older version, is taken as it is.
"""

from __future__ import annotations

from pathlib import Path

from memory_assets.store.digest import digest_file
from memory_assets.store.disk import write_private

_SHA256_HEX = 64

# What this process has compared already, by size and time of every file: once is enough.
_State = tuple[tuple[str, int, int], ...]
_sound: dict[Path, _State] = {}


def listing(artifact: Path) -> Path:
    """Where the digests of an artifact `<home>/artifacts/<kind>/<name>` are kept."""
    return artifact.parents[2] / "digests" / artifact.parent.name / artifact.name


def _files(artifact: Path) -> list[Path]:
    if not artifact.is_dir():
        return [artifact]
    return sorted(path for path in artifact.rglob("*") if path.is_file())


def _names(made: Path, name: str) -> dict[str, Path]:
    return {
        name if file == made else f"{name}/{file.relative_to(made).as_posix()}": file
        for file in _files(made)
    }


def _state(names: dict[str, Path]) -> _State:
    stats = {name: file.stat() for name, file in names.items()}
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items())


def write_listing(made: Path, artifact: Path) -> None:
    """Note the digests of what was made, before it is put in the artifact's place."""
    names = _names(made, artifact.name)
    lines = [f"{digest_file(file)}  {name}\n" for name, file in names.items()]
    write_private(listing(artifact), "".join(lines))
    _sound[artifact] = _state(names)


def damage(artifact: Path) -> str:
    """Say what is wrong with an artifact, "" when it is as it was written.

    Reads every byte once a process (1.7 GB/s where the processor has SHA-256); a file whose size
    and time have not changed since is not read again.
    """
    if len(artifact.parents) < 3 or not (noted := listing(artifact)).is_file():
        return ""
    try:
        found = _names(artifact, artifact.name)
        state = _state(found)
        if _sound.get(artifact) == state:
            return ""
        wanted = _read(noted)
        if not wanted or set(wanted) != set(found):
            return f"its files are not those of {noted}"
        for name, file in found.items():
            if digest_file(file) != wanted[name]:
                return f"{name} is not as it was written"
    except FileNotFoundError as error:
        return f"{error.filename} is gone"
    _sound[artifact] = state
    return ""


def _read(noted: Path) -> dict[str, str]:
    """File names and their digests; empty where the list itself is not whole."""
    wanted: dict[str, str] = {}
    for line in noted.read_text(encoding="utf-8", errors="replace").splitlines():
        sha256, _, name = line.partition("  ")
        if len(sha256) != _SHA256_HEX or not name:
            return {}
        wanted[name] = sha256
    return wanted
