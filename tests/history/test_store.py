"""Appending, publishing, restoring and rebuilding the history."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from history_bundles import TABLES, bundle, measured, rate, scores, written

from memory_assets.errors import InputError
from memory_assets.history import schema
from memory_assets.history.bundle import AuditBundle
from memory_assets.history.money import RiskRun, write_risk
from memory_assets.history.questions import ask
from memory_assets.history.store import Action, History, Rebuilt

pytestmark = pytest.mark.slow

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def rows(root: Path, sql: str) -> list[dict]:
    return ask(root, sql).to_pylist()


def content(root: Path) -> dict[str, list[str]]:
    """Every row of every table, in an order of its own."""
    with duckdb.connect(str(root / "history.duckdb"), read_only=True) as con:
        tables = con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {
            table: sorted(map(repr, con.execute(f"FROM {table}").fetchall())) for (table,) in tables
        }


@dataclass(frozen=True)
class Estimated:
    """A row of `risk_estimates` as the risk model hands it over, less the ids."""

    option: str
    quantity: str
    unit: str
    value: float
    ci_low: float | None
    ci_high: float | None
    basis: str


@dataclass(frozen=True)
class Forecast:
    """A row of `forecasts`, less the ids."""

    option: str
    event: str
    probability: float
    within_years: float


def priced(folder: Path, audit_id: str, risk_id: str = "risk-1", at: datetime = NOW) -> Path:
    path = folder / risk_id
    path.mkdir(parents=True)
    run = RiskRun(risk_id, audit_id, "healthcare-jp", "p" * 64, "0.1.0", at)
    estimate = Estimated("as_is", "expected_loss", "JPY", 1.5e6, 1e6, 2e6, "assumed")
    write_risk(path, run, [estimate], [Forecast("as_is", "claim", 0.25, 1.0)])
    return path


def test_an_audit_comes_back_to_the_digit(tmp_path: Path) -> None:
    made = bundle(measurements=(measured("auc", rate(0.1 + 0.2)), measured("acc", rate(2 / 3))))
    History(tmp_path).append_all([written(tmp_path / "b", made)])
    folder = tmp_path / "back"
    folder.mkdir()
    for table in TABLES:
        pq.write_table(ask(tmp_path, f"FROM {table}"), folder / f"{table}.parquet")
    assert AuditBundle.read(folder).audit == made.audit
    assert AuditBundle.read(folder).measurements == made.measurements
    assert AuditBundle.read(folder).controls == made.controls
    assert AuditBundle.read(folder).record_scores == made.record_scores


def test_appending_again_adds_nothing(tmp_path: Path) -> None:
    history, folder = History(tmp_path), written(tmp_path / "b", bundle())
    assert history.append(folder)
    assert history.publish()
    before = content(tmp_path)
    assert not history.append(folder)
    assert history.append_all([folder, folder]) == 0
    assert not history.publish()
    assert content(tmp_path) == before


def test_a_replaced_model_is_a_new_audit_and_the_old_one_stays(tmp_path: Path) -> None:
    old, new = bundle(day=1), bundle(day=2, weights="other bytes")
    History(tmp_path).append_all([written(tmp_path / "b", b) for b in (old, new)])
    assert len(rows(tmp_path, "FROM audits")) == 2
    assert [r["audit_id"] for r in rows(tmp_path, "FROM latest")] == [new.audit.audit_id]


def _repeat(folder: Path, table: str) -> None:
    path = folder / f"{table}.parquet"
    whole = pq.read_table(path)
    pq.write_table(pa.concat_tables([whole, whole.slice(0, 1)]), path)


def _set(folder: Path, table: str, column: str, value: object) -> None:
    path = folder / f"{table}.parquet"
    whole = pq.read_table(path)
    i = whole.schema.get_field_index(column)
    column_of = pa.array([value] * whole.num_rows, whole.schema.field(i).type)
    pq.write_table(whole.set_column(i, whole.schema.field(i), column_of), path)


SPOILT: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "controls.parquet").unlink(), "controls.parquet"),
    (lambda f: (f / "audits.parquet").unlink(), "holds no audit"),
    (lambda f: (f / "record_scores.parquet").write_bytes(b"PAR1 cut"), "record_scores"),
    (lambda f: _repeat(f, "audits"), "must hold one row"),
    (lambda f: _repeat(f, "measurements"), "repeat another"),
    (lambda f: _repeat(f, "record_scores"), "repeat another"),
    (lambda f: _set(f, "measurements", "audit_id", "another"), "belong to another"),
    (lambda f: _set(f, "measurements", "value", float("nan")), "measurements.parquet"),
    (lambda f: _set(f, "measurements", "ci_low", 9.0), "measurements.parquet"),
    (lambda f: _set(f, "measurements", "status", "fine"), "measurements.parquet"),
    (lambda f: _set(f, "audits", "verdict", "perhaps"), "audits.parquet"),
    (lambda f: _set(f, "record_scores", "score", float("inf")), "record_scores.parquet"),
]


def test_a_spoiled_bundle_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle())])
    before = content(tmp_path)
    for i, (spoil, said) in enumerate(SPOILT):
        folder = written(tmp_path / "b", bundle(version=f"spoilt {i}"))
        spoil(folder)
        with pytest.raises(InputError, match=said) as refused:
            history.append(folder)
        assert "\n" not in str(refused.value)
    history.publish()
    assert content(tmp_path) == before


def test_paths_are_paths_and_not_patterns(tmp_path: Path) -> None:
    root = tmp_path / "it's [a] *home*; DROP TABLE audits"
    History(root).append_all([written(root / "b?", bundle(version="v'1\"; --"))])
    assert History(root).rebuild([]) == Rebuilt(appended=0, kept=1)
    assert [r["model_version"] for r in rows(root, "FROM latest")] == ["v'1\"; --"]


def test_files_are_private_and_no_temporary_file_stays(tmp_path: Path) -> None:
    history = History(tmp_path / "home")
    history.append_all([written(tmp_path / "b", bundle())])
    history.register_subject("digits", "team:x", 30)
    for path in (tmp_path / "home").rglob("*"):
        if path.parent.name == "locks":
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert not list((tmp_path / "home" / "tmp").iterdir())
    assert not (tmp_path / "home" / "history" / "pending.jsonl").exists()


def test_a_crash_between_append_and_publish_is_repaired_by_the_next_call(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle())])
    history.append(written(tmp_path / "b", bundle(version="v2")))
    assert len(rows(tmp_path, "FROM audits")) == 1
    assert history.append_all([]) == 0
    assert len(rows(tmp_path, "FROM audits")) == 2


def _damage_header(path: Path) -> None:
    path.write_bytes(b"\0" * 20_000 + path.read_bytes()[20_000:])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip_every_block(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(3 * 4096 + 1000, len(data), 64 * 1024):
        data[at] ^= 1
    path.write_bytes(bytes(data))


DAMAGE = [_damage_header, _cut, _flip_every_block, Path.unlink, lambda p: p.write_bytes(b"")]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_writer_is_restored_from_the_published_copy(tmp_path: Path, damage) -> None:
    history = History(tmp_path)
    one, two, three = (written(tmp_path / "b", bundle(version=f"v{i}")) for i in (1, 2, 3))
    history.append_all([one])
    history.append(two)  # Not yet published: the restored file must get it again.
    damage(tmp_path / "history" / "writer.duckdb")
    history.append_all([three])
    assert {r["model_version"] for r in rows(tmp_path, "FROM audits")} == {"v1", "v2", "v3"}
    assert rows(tmp_path, "FROM incomplete") == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_with_both_files_damaged_a_rebuild_gives_the_same_content(tmp_path: Path, damage) -> None:
    history = History(tmp_path)
    folders = [written(tmp_path / "b", bundle(version=f"v{i}", day=i)) for i in (1, 2, 3)]
    folders.append(priced(tmp_path / "b", bundle(version="v1", day=1).audit.audit_id))
    history.append_all(reversed(folders))
    before = content(tmp_path)
    damage(tmp_path / "history" / "writer.duckdb")
    damage(tmp_path / "history.duckdb")
    assert history.rebuild(folders) == Rebuilt(appended=4, kept=0)
    # In which order they came into force is in no folder, and lost with both files.
    assert content(tmp_path) == before | {"in_force_since": []}


def test_damage_beyond_repair_says_what_to_do_and_touches_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle())])
    for name in ("history/writer.duckdb", "history.duckdb"):
        _damage_header(tmp_path / name)
    before = (tmp_path / "history.duckdb").read_bytes()
    with pytest.raises(InputError, match="history rebuild"):
        history.append(written(tmp_path / "b", bundle(version="v2")))
    with pytest.raises(InputError, match="history rebuild"):
        ask(tmp_path, "verdicts")
    assert (tmp_path / "history.duckdb").read_bytes() == before


def test_a_damaged_block_is_never_published(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle(records=2000))])
    before = content(tmp_path)
    _flip_every_block(tmp_path / "history" / "writer.duckdb")
    (tmp_path / "history" / "pending.jsonl").write_text("")
    history.publish()
    assert content(tmp_path) == before


def test_what_is_kept_by_hand_survives_a_rebuild(tmp_path: Path) -> None:
    history, made = History(tmp_path), bundle()
    folders = [written(tmp_path / "b", made)]
    folders.append(priced(tmp_path / "b", made.audit.audit_id))
    history.append_all(folders)
    history.register_subject("digits", "team:x", 30, ["v1"])
    action = Action("digits", "v1", "corrective action", "stop early", "team:x")
    action_id = history.record_action(action, "ann")
    history.record_action(replace(action, status="done", due_on=date(2026, 3, 1)), "bob", action_id)
    history.record_outcome("risk-1", "as_is", "claim", True, "ann")
    before = content(tmp_path)
    assert history.rebuild(folders) == Rebuilt(appended=2, kept=0)
    assert content(tmp_path) == before
    assert history.rebuild(folders[:1]) == Rebuilt(appended=1, kept=1)
    assert content(tmp_path) == before


def test_an_action_keeps_its_revisions(tmp_path: Path) -> None:
    history = History(tmp_path)
    action = Action("digits", "v1", "corrective action", "stop early", "team:x")
    action_id = history.record_action(action, "ann")
    assert [r["action_id"] for r in ask(tmp_path, "open_actions").to_pylist()] == [action_id]
    assert history.record_action(replace(action, status="done"), "bob", action_id) == action_id
    assert ask(tmp_path, "open_actions").num_rows == 0
    assert [r["revision"] for r in rows(tmp_path, "FROM actions ORDER BY ALL")] == [1, 2]
    with pytest.raises(InputError, match="no action"):
        history.record_action(action, "ann", "unknown")
    with pytest.raises(InputError, match="no forecast"):
        history.record_outcome("none", "as_is", "claim", True, "ann")


def test_money_needs_its_audit(tmp_path: Path) -> None:
    made, history = bundle(), History(tmp_path)
    folder = priced(tmp_path / "b", made.audit.audit_id)
    with pytest.raises(InputError, match="prices an audit"):
        history.append(folder)
    assert history.append_all([folder, written(tmp_path / "b", made)]) == 2
    history.record_outcome("risk-1", "as_is", "claim", True, "ann")
    (scored,) = ask(tmp_path, "forecasts_scored").to_pylist()
    assert scored["brier_score"] == 0.75**2
    (option,) = ask(tmp_path, "risk_by_option").to_pylist()
    assert (option["value"], option["basis"]) == (1.5e6, "assumed")


def test_a_price_that_is_asked_for_again_is_in_force_again(tmp_path: Path) -> None:
    history, made = History(tmp_path), bundle()
    history.append_all([written(tmp_path / "b", made)])
    for name, days in (("risk-1", 0), ("risk-2", 1)):
        at = NOW + timedelta(days=days)
        history.append_all([priced(tmp_path / "b", made.audit.audit_id, name, at)])

    def in_force() -> list[str]:
        return ask(tmp_path, "select distinct risk_id from latest_risk")["risk_id"].to_pylist()

    assert in_force() == ["risk-2"]
    assert not history.put_in_force({"risk-2": NOW + timedelta(days=2), "unknown": NOW})
    assert history.put_in_force({"risk-1": NOW + timedelta(days=2)})
    assert in_force() == ["risk-1"]
    assert not history.put_in_force({"risk-1": NOW + timedelta(days=3)})
    history.rebuild([])
    assert in_force() == ["risk-1"]


def test_forgotten_records_are_gone_from_the_disk(tmp_path: Path) -> None:
    history, mine, other = History(tmp_path), bundle(), bundle(subject="other")
    secret = "record-0f7a-to-forget"
    table = scores(mine.audit.audit_id)
    i = table.schema.get_field_index("record_id")
    named = table.set_column(i, "record_id", pa.array([secret] * 2 + ["x", "x"] + ["y", "y"] * 4))
    folder = written(tmp_path / "b", replace(mine, record_scores=named.slice(0, 6)))
    history.append_all([folder, written(tmp_path / "b", other)])

    def holding(name: str) -> list[Path]:
        return [p for p in tmp_path.glob("**/*.duckdb*") if name.encode() in p.read_bytes()]

    assert len(holding(secret)) == 2
    history.forget_records("digits")
    assert holding(secret) == []
    left = rows(tmp_path, "SELECT DISTINCT audit_id FROM record_scores")
    assert left == [{"audit_id": other.audit.audit_id}]
    assert len(rows(tmp_path, "FROM measurements")) == 2
    assert rows(tmp_path, "FROM incomplete") == []
    assert not history.append(folder)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle())])
    for path in (tmp_path / "history" / "writer.duckdb", tmp_path / "history.duckdb"):
        with duckdb.connect(str(path)) as con:
            con.execute("INSERT INTO applied_files VALUES ('schema/0099_later.sql', 'd')")
    before = (tmp_path / "history.duckdb").read_bytes()
    calls = (
        lambda: history.append(written(tmp_path / "b", bundle(version="v2"))),
        lambda: history.rebuild([]),
        lambda: ask(tmp_path, "verdicts"),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"newer version.*0099.*upgrade"):
            call()
    assert (tmp_path / "history.duckdb").read_bytes() == before


def test_migrations_run_once_in_order_and_fail_whole(tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    (folder / "schema").mkdir(parents=True)
    (folder / "schema" / "0001_a.sql").write_text("CREATE TABLE a (x INTEGER);")
    with duckdb.connect(":memory:") as con:
        assert schema.migrate(con, folder)
        assert not schema.migrate(con, folder)
        two = folder / "schema" / "0002_b.sql"
        two.write_text("ALTER TABLE a ADD COLUMN y INTEGER; CREATE TABLE a (z INTEGER);")
        with pytest.raises(duckdb.CatalogException):
            schema.migrate(con, folder)
        con.execute("ROLLBACK")
        assert con.sql("FROM a").columns == ["x"]
        two.write_text("ALTER TABLE a ADD COLUMN y INTEGER;")
        assert schema.migrate(con, folder)
        assert con.sql("FROM a").columns == ["x", "y"]
        two.write_text("ALTER TABLE a ADD COLUMN other INTEGER;")
        with pytest.raises(InputError, match=r"0002_b\.sql has changed"):
            schema.migrate(con, folder)


@pytest.mark.parametrize("known", range(1, len(list(schema.sql_folder().glob("schema/*.sql")))))
def test_every_earlier_schema_is_brought_up_to_date(tmp_path: Path, known: int) -> None:
    earlier = tmp_path / "sql" / "schema"
    earlier.mkdir(parents=True)
    for path in sorted(schema.sql_folder().glob("schema/*.sql"))[:known]:
        (earlier / path.name).write_bytes(path.read_bytes())
    for name in ("history/writer.duckdb", "history.duckdb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with duckdb.connect(str(tmp_path / name)) as con:
            schema.migrate(con, tmp_path / "sql")
    with pytest.raises(InputError, match="older than this version"):
        ask(tmp_path, "verdicts")
    made = bundle()
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", made)])
    history.append_all([priced(tmp_path / "b", made.audit.audit_id)])
    assert ask(tmp_path, "risk_by_option").num_rows == 1


def test_a_changed_view_is_replaced(tmp_path: Path) -> None:
    view = tmp_path / "views" / "10_v.sql"
    view.parent.mkdir()
    with duckdb.connect(":memory:") as con:
        for answer in (1, 2):
            view.write_text(f"CREATE OR REPLACE VIEW v AS SELECT {answer} AS answer;")
            assert schema.migrate(con, tmp_path)
            assert con.execute("FROM v").fetchone() == (answer,)


def test_every_table_and_column_is_described(tmp_path: Path) -> None:
    History(tmp_path).publish()
    undescribed = rows(
        tmp_path,
        """
        SELECT table_name, column_name FROM duckdb_columns()
        WHERE NOT internal AND comment IS NULL AND table_name <> 'applied_files'
            AND table_name IN (SELECT table_name FROM duckdb_tables())
        UNION ALL
        SELECT view_name, '' FROM duckdb_views() WHERE NOT internal AND comment IS NULL
        """,
    )
    assert undescribed == []


def test_a_writer_that_is_open_elsewhere_is_not_mistaken_for_damage(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle())])
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        con = duckdb.connect(str(tmp_path / "history" / "writer.duckdb"))
        os.write(write, b"1")
        signal.pause()
        con.close()
    try:
        os.read(read, 1)
        with pytest.raises(InputError, match="open in another program"):
            history.append(written(tmp_path / "b", bundle(version="v2")))
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_takes_nothing_is_one_line(tmp_path: Path, monkeypatch, number) -> None:
    history = History(tmp_path)
    history.append_all([written(tmp_path / "b", bundle())])
    history.append(written(tmp_path / "b", bundle(version="v2")))

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("memory_assets.history.files.shutil.copyfile", refuse)
        with pytest.raises(InputError, match=r"no space left|may not be written"):
            history.publish()
    assert len(rows(tmp_path, "FROM audits")) == 1
    assert not list((tmp_path / "tmp").iterdir())
    history.publish()
    assert len(rows(tmp_path, "FROM audits")) == 2
