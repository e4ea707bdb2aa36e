"""The SQL files that make the database: numbered migrations, then the views over them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from memory_assets.errors import InputError
from memory_assets.history.conversion import (
    RESULTS_AS_DATA,
    OlderRows,
    registry_digest,
    write_metrics,
)
from memory_assets.store.digest import digest, digest_file

_APPLIED = """
CREATE TABLE IF NOT EXISTS applied_files (file VARCHAR PRIMARY KEY, digest VARCHAR NOT NULL)
"""
_REGISTRY = "registry/metrics"


def sql_folder() -> Path:
    """Where `schema`, `views` and `queries` lie: in an installed package, or in a checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "sql"
    return installed if installed.is_dir() else here.parents[1] / "sql"


def _files(kind: str, folder: Path) -> dict[str, Path]:
    return {f"{kind}/{path.name}": path for path in sorted((folder / kind).glob("*.sql"))}


def sql_version() -> str:
    """Digest of the migrations and views: what the published history is made by."""
    files = _files("schema", sql_folder()) | _files("views", sql_folder())
    return digest({name: digest_file(path) for name, path in files.items()})[:12]


def _applied(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    try:
        return dict(con.execute("SELECT file, digest FROM applied_files").fetchall())
    except duckdb.CatalogException:
        return {}


def _refuse_newer(applied: dict[str, str], known: dict[str, Path]) -> None:
    unknown = sorted(f for f in applied if f.startswith("schema/") and f not in known)
    if unknown:
        raise InputError(
            f"the history was written by a newer version of memory-assets: it has {unknown[-1]}, "
            f"this version knows {max(known, default='no migration')} as the last; "
            "upgrade memory-assets"
        )


def migrate(con: duckdb.DuckDBPyConnection, folder: Path | None = None) -> bool:
    """Bring a database to the schema of this code; True if anything changed.

    Each migration is applied once, in order, in a transaction of its own that also records its
    digest. Views hold no data: they are replaced whenever one of their files changed.

    Raises:
        InputError: the database is newer than the code, or a file that was applied has changed.
    """
    folder = folder or sql_folder()
    migrations, views = _files("schema", folder), _files("views", folder)
    applied = _applied(con)
    _refuse_newer(applied, migrations)
    digests = {name: digest_file(path) for name, path in (migrations | views).items()}
    for name in migrations:
        if applied.get(name, digests[name]) != digests[name]:
            raise InputError(
                f"sql/{name} has changed since it was applied to this history; put it back and "
                "write the change as a new migration, or run `memory-assets history rebuild`"
            )
    new = [{name: path} for name, path in migrations.items() if name not in applied]
    if any(applied.get(name) != digests[name] for name in views):
        new.append(views)
    for group in new:
        con.execute("BEGIN")
        con.execute(_APPLIED)
        for name, path in group.items():
            older = OlderRows.read(con) if name == RESULTS_AS_DATA else None
            con.execute(path.read_text(encoding="utf-8"))
            if older is not None:
                older.write(con)
            _note(con, name, digests[name])
        con.execute("COMMIT")
    registry = registry_digest()
    if applied.get(_REGISTRY) == registry or RESULTS_AS_DATA not in migrations:
        return bool(new)
    con.execute("BEGIN")
    write_metrics(con)
    _note(con, _REGISTRY, registry)
    con.execute("COMMIT")
    return True


def _note(con: duckdb.DuckDBPyConnection, name: str, digest_of: str) -> None:
    con.execute("INSERT OR REPLACE INTO applied_files VALUES (?, ?)", [name, digest_of])


def refuse_newer(con: duckdb.DuckDBPyConnection) -> None:
    """Raise InputError when a newer version of the code has migrated the database."""
    _refuse_newer(_applied(con), _files("schema", sql_folder()))


def _missing(applied: dict[str, str]) -> list[str]:
    folder = sql_folder()
    return [f for f in _files("schema", folder) | _files("views", folder) if f not in applied]


def is_current(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether every migration and view of this code was applied, none of them changed since.

    Raises:
        InputError: the database is newer than the code.
    """
    applied = _applied(con)
    _refuse_newer(applied, _files("schema", sql_folder()))
    views = _files("views", sql_folder())
    same_views = all(applied.get(f) == digest_file(p) for f, p in views.items())
    return not _missing(applied) and same_views and applied.get(_REGISTRY) == registry_digest()


def is_older(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether tables of this database will be changed by migrations that it lacks."""
    applied = _applied(con)
    return bool(applied) and any(f not in applied for f in _files("schema", sql_folder()))


def refuse_other_schema(con: duckdb.DuckDBPyConnection) -> None:
    """For readers, who cannot migrate.

    Raises:
        InputError: the database is newer or older than the code.
    """
    applied = _applied(con)
    _refuse_newer(applied, _files("schema", sql_folder()))
    if missing := _missing(applied):
        raise InputError(
            f"the history is older than this version of memory-assets: it lacks {missing[0]}; "
            "any command of memory-assets that may write there brings it up to date"
        )
