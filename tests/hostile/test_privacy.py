"""Marked records, texts, labels and secrets are looked for in everything that an audit wrote."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from marked_project import CELL, CHECKOUT, MARKS, failing, make_project
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.store.artifacts import ArtifactStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("privacy")]

BY_DESIGN = (
    "artifacts/records/*/x.npy",  # the records, for every later step
    "artifacts/texts/*/members.jsonl",  # the texts
    "artifacts/texts/*/held_out.jsonl",
    "artifacts/texts/*/canaries.json",  # the secrets, to ask the model for
    "commands/*/shadow-*/output.log",  # what the owner's training printed, if anything
    "commands/*/shadow-*/*.npy",  # what a training command was given, where it failed
)
"""All that holds records in a home, and must: docs/trust.md lists the same."""


@dataclass
class Ran:
    root: Path
    home: Path
    secrets: list[str]
    heard: list[bytes] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    said: str = ""

    @property
    def temporary(self) -> Path:
        return self.home.parent / "temporary"

    def run(self, *commands: list[str], tell: str = "") -> dict[str, int]:
        self.temporary.mkdir(exist_ok=True)
        codes = self.home.parent / "codes.json"
        environment = os.environ | {
            "MEMORY_ASSETS_HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{self.root}{os.pathsep}{CHECKOUT}",
            **({"MEMORY_ASSETS_WEBHOOK": tell} if tell else {}),
        }
        environment.pop("DAGSTER_HOME", None)
        driver = [sys.executable, str(Path(__file__).with_name("marked_driver.py"))]
        arguments = [json.dumps(commands), str(codes), *(["--tell"] if tell else [])]
        done = subprocess.run(
            [*driver, *arguments], cwd=self.root, env=environment, capture_output=True, timeout=1500
        )
        text = (done.stdout + done.stderr).decode()
        self.said += text
        assert done.returncode == 0, text[-4000:]
        return {" ".join(command): code for command, code in json.loads(codes.read_text())}


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("marked")
    root = folder / "project"
    made = Ran(root, folder / "outer" / "home", make_project(root))
    made.home.parent.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    good = [["audit", name] for name in ("wards", "wards-twin", "notes")]
    bad = [["audit", name] for name in failing(root)]
    look = [
        ["report", "wards"],
        ["gate", "wards"],
        ["gate", "notes", "--format", "json"],
        ["doctor"],
    ]
    look += [["query", "most_exposed_records"], ["query", "failed_controls", "--format", "csv"]]
    url = f"http://127.0.0.1:{server.server_address[1]}"
    made.codes = made.run(*good, *bad, *look, tell=url)
    yield made
    server.shutdown()
    server.server_close()


def _readable(path: Path) -> Iterator[bytes]:
    """What a file says: its bytes, and what its format hides from a plain search."""
    content = path.read_bytes()
    yield content
    if path.suffix == ".parquet":
        yield str(pq.read_table(path).to_pylist()).encode()
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as con:
            for (table,) in con.execute("select table_name from duckdb_tables()").fetchall():
                yield str(con.execute(f'select * from "{table}"').fetchall()).encode()
    elif path.suffix == ".html":
        for data in re.findall(rb"base64,([A-Za-z0-9+/=]+)", content):
            yield base64.b64decode(data)


def _leaks(files: dict[str, Path], needles: list[bytes]) -> list[str]:
    return [
        f"{name}: {needle!r}"
        for name, path in files.items()
        for said in _readable(path)
        for needle in needles
        if needle in said
    ]


def _needles(secrets: list[str]) -> list[bytes]:
    numbers = [np.float32(CELL).tobytes() * 2, np.float64(CELL).tobytes()]
    return [*(mark.encode() for mark in (*MARKS, *secrets)), *numbers]


def _files(home: Path) -> dict[str, Path]:
    return {str(p.relative_to(home)): p for p in sorted(home.rglob("*")) if p.is_file()}


def _allowed(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for pattern in BY_DESIGN for path in home.glob(pattern)}


def test_the_audits_ran_and_the_bad_ones_were_refused(ran: Ran) -> None:
    assert [ran.codes[f"audit {name}"] for name in ("wards", "wards-twin", "notes")] == [0, 0, 0]
    for name in failing(ran.root):
        # 3 is a fault inside the program, which nobody foresaw: it may not talk either.
        assert ran.codes[f"audit {name}"] == (3 if name == "bad-library" else 2), (name, ran.said)
    assert ran.said.count("memory-assets: ") >= len(failing(ran.root))
    assert "Traceback" not in ran.said


def test_nothing_marked_was_written_but_where_it_must(ran: Ran, tally) -> None:
    files, allowed = _files(ran.home), _allowed(ran.home)
    assert {"history.duckdb", "dagster/history/runs/index.db", "reports/notes/v1/ja.html"} <= set(
        files
    )
    needles = _needles(ran.secrets)
    found = _leaks({name: p for name, p in files.items() if name not in allowed}, needles)
    assert found == []
    # The search does find what is there: every kind of allowed file but one that may be empty.
    kept = {leak.partition(": ")[0] for leak in _leaks({n: files[n] for n in allowed}, needles)}
    for pattern in BY_DESIGN[:5]:
        assert any(Path(name).match(pattern) for name in kept), pattern
    tally("privacy: files searched for marks", len(files))


def test_nothing_marked_was_said(ran: Ran, tally) -> None:
    needles = [needle for needle in _needles(ran.secrets) if needle.isascii()]
    assert [needle for needle in needles if needle in ran.said.encode()] == []
    assert ran.heard  # the failed runs were told of
    assert [needle for needle in needles for body in ran.heard if needle in body] == []
    tally("privacy: notices searched for marks", len(ran.heard))


def test_no_temporary_file_is_left_that_is_marked(ran: Ran) -> None:
    assert _leaks(_files(ran.temporary), _needles(ran.secrets)) == []
    assert not list((ran.home / "tmp").glob("*"))


def test_what_was_written_is_its_owners_alone(ran: Ran, tally) -> None:
    """The umask was 0: nothing was left to it."""
    open_to_others = [
        f"{path.relative_to(ran.home.parent)} {stat.filemode(path.stat().st_mode)}"
        for path in (ran.home, *ran.home.rglob("*"))
        if path.stat().st_mode & 0o077
    ]
    assert open_to_others == []
    tally("privacy: files and folders that are private", len(_files(ran.home)))


# Below this line the home is being taken apart: pytest runs tests in the order of the file.


@pytest.fixture
def purge(ran: Ran, monkeypatch) -> Callable:
    """The command in this process, as it would run in the project."""
    monkeypatch.chdir(ran.root)
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(ran.home))
    monkeypatch.setenv("DAGSTER_HOME", str(ran.home / "dagster"))
    return lambda *arguments: CliRunner().invoke(app, ["purge", *arguments])


def test_an_unknown_subject_is_one_line(purge) -> None:
    for name in ("ward", "../home", "portfolio"):
        found = purge(name, "--yes")
        assert found.exit_code == 2
        assert found.stderr.count("\n") == 1
    assert "did you mean 'wards'" in purge("ward", "--yes").stderr


def test_it_asks_first(ran: Ran, purge) -> None:
    before = _files(ran.home).keys()
    assert "give --yes" in purge("wards").stderr
    assert _files(ran.home).keys() == before


def test_a_subject_under_audit_is_not_purged(ran: Ran, purge) -> None:
    with ArtifactStore(ran.home).lock("audit-wards"):
        assert "another process audits it" in purge("wards", "--yes").stderr
    with dg.DagsterInstance.get() as instance:
        keys = frozenset([dg.AssetKey(["wards", "dataset"])])
        run = dg.DagsterRun("job", asset_selection=keys, status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        assert "its audit is running" in purge("wards", "--yes").stderr
        instance.delete_run(run.run_id)
    assert _records_of(ran.home, "wards") > 0


def test_purge_forgets_records_and_keeps_figures_and_what_others_share(
    ran: Ran, purge, tally
) -> None:
    before, store = _figures(ran.home), ArtifactStore(ran.home)
    shared = set(store.claims("wards")) & set(store.claims("wards-twin"))
    alone = set(store.claims("wards")) - shared
    assert {kind for kind, _ in shared} >= {"records", "shadow-models", "signals"}
    assert {kind for kind, _ in alone} >= {"audit", "risk"}
    killed = ran.home / "tmp" / f"{socket.gethostname()}@{_dead()}@12345678"
    killed.mkdir(parents=True)
    (killed / "x.npy").write_text(ran.secrets[0])
    done = purge("wards", "--yes")
    assert done.exit_code == 0, done.output
    assert re.search(r"deleted: \d+ artifacts .* 48 scores of records, \d+ runs", done.stdout)
    assert "is still defined in dagster_project/defs" in done.stdout

    assert all(store.path(kind, name).exists() for kind, name in shared)
    assert not [name for kind, name in alone if store.path(kind, name).exists()]
    assert not (ran.home / "reports" / "wards").exists()
    assert not killed.exists()
    assert _figures(ran.home) == before
    assert _records_of(ran.home, "wards") == 0
    assert _records_of(ran.home, "wards-twin") == 48
    with dg.DagsterInstance.get() as instance:
        assert instance.get_dynamic_partitions("wards_versions") == []
        assert instance.get_dynamic_partitions("wards_twin_versions") == ["v1"]
        kept = {key.path[0] for key in instance.all_asset_keys()}
        assert "wards" not in kept
        assert {"wards-twin", "notes", "portfolio"} <= kept
    tally("privacy: artifacts purged", len(alone))


def test_the_last_owner_takes_the_records_along_and_purging_again_finds_nothing(
    ran: Ran, purge
) -> None:
    figures = _figures(ran.home)
    for name in ("wards-twin", "notes", *failing(ran.root)):
        assert purge(name, "--yes").exit_code == 0
    for name in ("wards-twin", "wards"):
        assert "deleted: 0 artifacts and 0 folders" in purge(name, "--yes").stdout
    assert _figures(ran.home) == figures

    # Nothing that holds records is left, nor any id of one in the lineage.
    assert _leaks(_files(ran.home), _needles(ran.secrets)) == []
    lineage = {n: p for n, p in _files(ran.home).items() if n.startswith("dagster/")}
    assert _leaks(lineage, [b"| r1 ", b"| r2 ", b"m-001", b"h-001"]) == []
    assert CliRunner().invoke(app, ["history", "rebuild"]).exit_code == 0
    assert _figures(ran.home) == figures
    assert _records_of(ran.home, "wards-twin") == 0


def _dead() -> int:
    """The id of a process that is over."""
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", ""])
    os.waitpid(pid, 0)
    return pid


def _figures(home: Path) -> list[tuple]:
    sql = """
        select subject, model_version, verdict, attack, population, metric, threshold, value,
            ci_low, ci_high
        from audits join measurements using (audit_id) order by all
    """
    with duckdb.connect(str(home / "history.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def _records_of(home: Path, subject: str) -> int:
    sql = "select count(*) from record_scores join audits using (audit_id) where subject = ?"
    with duckdb.connect(str(home / "history.duckdb"), read_only=True) as con:
        return con.execute(sql, [subject]).fetchall()[0][0]
