"""Commands on money and governance: profile, action, forecast, report, history rebuild."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memory_assets.cli.main import app
from memory_assets.history.questions import ask
from memory_assets.history.store import History
from memory_assets.risk import profile_file
from memory_assets.risk.reading import shipped_profiles

sys.path.append(str(Path(__file__).parents[1] / "history"))
sys.path.append(str(Path(__file__).parents[1] / "reports"))
from history_bundles import bundle, written
from test_money_report import priced as priced_page
from test_store import priced

from memory_assets.reports.page import write_report

pytestmark = pytest.mark.slow

run = CliRunner()


def said(*arguments: str) -> str:
    """What a command that succeeds prints."""
    result = run.invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def refused(*arguments: str) -> str:
    """The one line of a command that is refused."""
    result = run.invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 1, result.output
    return lines[0]


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    # A project without subjects: what the history holds is all that is known.
    (tmp_path / "dagster_project" / "defs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def history(home: Path, tmp_path: Path) -> Path:
    """Two audited versions of `digits`, the newer one priced."""
    old, new = bundle(version="v1", day=1), bundle(version="v2", day=2)
    History(home).append_all([written(tmp_path / "b", made) for made in (old, new)])
    History(home).append_all([priced(tmp_path / "b", new.audit.audit_id)])
    return home


def test_every_shipped_profile_shows_its_grounds_and_the_three_inputs_that_decide():
    listed = said("profile")
    for name in shipped_profiles():
        assert name in listed
    shown = said("profile", "healthcare-jp")
    assert "Grounds: " in shown
    assert "cited" in shown
    last = shown.split("These three decide most; measure them first: ")[1]
    assert last.count("(") == 3


def test_a_profile_that_is_not_there_and_one_with_a_mistake_are_one_line(tmp_path, monkeypatch):
    assert "healthcare-jp" in refused("profile", "healthcare-jpp")
    text = profile_file("retail-eu", tmp_path).read_text()
    (tmp_path / "ours.toml").write_text(text.replace('currency = "EUR"', 'currency = "EURO"'))
    monkeypatch.setattr("memory_assets.cli.profile.project_root", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    line = refused("profile", str(tmp_path / "ours.toml"))
    assert "ours.toml" in line
    assert "currency" in line
    assert "EURO" in line


COMPANY = ("--records", "20000", "--queries-per-month", "30000", "--revenue", "3e8")


def test_a_small_company_is_shown_from_four_numbers():
    shown = said("profile", "--industry", "retail", *COMPANY, "--currency", "JPY")
    assert "sized to a small company" in shown
    assert "20,000" in shown
    assert "360,000" in shown
    assert "assumed (default)" in shown
    assert "These three decide most" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--industry", "retail", *COMPANY[:2]), "--queries-per-month, --revenue as well"),
        (("--industry", "retial", *COMPANY), "did you mean 'retail'"),
        (("retail-jp", "--industry", "retail", *COMPANY), "not both"),
        (COMPANY, "need --industry"),
        (("--industry", "retail", *COMPANY, "--currency", "GBP"), "unknown currency"),
    ],
)
def test_a_small_company_that_is_half_stated_is_one_line(arguments, words):
    assert words in refused("profile", *arguments)


def test_an_action_is_opened_listed_closed_and_a_version_signed(history: Path):
    assert "corrective action of digits v2, open" in said(
        "action", "add", "digits", "stop early", "--owner", "team:ml", "--due", "2027-01-31"
    )
    (row,) = ask(history, "select * from current_actions").to_pylist()
    assert (row["model_version"], row["status"], row["due_on"]) == ("v2", "open", date(2027, 1, 31))
    assert "stop early" in said("action", "list")
    said("action", "close", row["action_id"], "--remark", "trained 40 epochs")
    (row,) = ask(history, "select * from current_actions").to_pylist()
    assert row["status"] == "done"
    assert row["description"] == "stop early (trained 40 epochs)"
    revisions = ask(history, "select count(*) as n from actions")["n"].to_pylist()
    assert revisions == [2]  # nothing that was said is lost
    assert "sign-off of digits v1, rejected" in said(
        "action", "sign", "digits", "--owner", "ceo", "--version", "v1", "--refuse"
    )


def test_what_is_signed_is_the_newest_release_and_its_audit(history: Path, tmp_path: Path):
    """Neither an option that was tried since, nor an older version that was audited again."""
    later = [
        bundle(version="option:early-stop", day=8, records=0),
        bundle(version="v1", day=9, weights="again", records=0),
    ]
    History(history).append_all([written(tmp_path / "b", one) for one in later])
    History(history).register_subject("digits", "team:x", 30, ["v1", "v2"])
    assert "sign-off of digits v2, done" in said("action", "sign", "digits", "--owner", "ceo")
    (row,) = ask(history, "select * from current_actions").to_pylist()
    assert row["audit_id"] == bundle(version="v2", day=2).audit.audit_id
    said("action", "close", row["action_id"], "--reject")  # a revision speaks of the same audit
    (again,) = ask(history, "select * from current_actions").to_pylist()
    assert (again["status"], again["audit_id"]) == ("rejected", row["audit_id"])
    line = refused("action", "sign", "digits", "--owner", "ceo", "--version", "option:early-stop")
    assert "never audited as a release" in line


def test_a_version_that_was_never_audited_is_neither_signed_nor_reported(
    history: Path, tmp_path: Path
):
    del history
    defs = tmp_path / "dagster_project" / "defs" / "digits"
    defs.mkdir()
    shipped = Path(__file__).parents[2] / "dagster_project/defs/digits/defs.yaml"
    (defs / "defs.yaml").write_text(shipped.read_text())
    models = tmp_path / "models" / "digits"
    models.mkdir(parents=True)
    for version in ("v1", "v2", "v10"):
        (models / f"{version}.safetensors").touch()
    assert "digits v10" in refused("action", "sign", "digits", "--owner", "ceo")
    assert "v10: the newest version, never audited" in refused("report", "digits")


def test_actions_that_are_refused(history: Path):
    del history
    add = ("action", "add", "digits", "x", "--owner", "o")
    assert "2027-13-01" in refused(*add, "--due", "2027-13-01")
    assert "never audited" in refused("action", "add", "other", "x", "--owner", "o")
    assert "digits v9: never audited" in refused(*add, "--version", "v9")
    assert "no action 'none'" in refused("action", "close", "none")


def test_a_forecast_is_judged_and_scored(history: Path):
    assert "claim" in said("forecast", "list")
    assert "'claim' happened" in said("forecast", "judge", "digits", "cla", "--happened",
                                      "--option", "as_is")  # fmt: skip
    (score,) = ask(history, "forecasts_scored").to_pylist()
    assert score["forecasts"] == 1
    assert score["brier_score"] == pytest.approx((1 - 0.25) ** 2)
    # Said too early: it can still happen.
    early = said("forecast", "judge", "digits", "claim", "--did-not-happen", "--option", "as_is")
    assert "runs until 2" in early
    assert ask(history, "forecasts_scored").num_rows == 0
    (row,) = ask(history, "forecasts_to_judge").to_pylist()
    assert row["state"] == "open"


def test_the_oldest_due_forecast_is_judged_whatever_was_priced_since(history: Path, tmp_path: Path):
    """An edit of the profile makes a new calculation; what the old one foretold is judged still."""
    audit_id = bundle(version="v1", day=1).audit.audit_id
    for name, year in (("aa-2020", 2020), ("bb-2021", 2021)):
        at = datetime(year, 3, 1, tzinfo=UTC)
        History(history).append_all([priced(tmp_path / "old", audit_id, name, at)])
    judge = ("forecast", "judge", "digits", "claim", "--option", "as_is")

    def states() -> dict[str, str]:
        rows = ask(history, "select risk_id, state from forecasts_made").to_pylist()
        return {row["risk_id"]: row["state"] for row in rows}

    due = "outcome is missing"
    assert states() == {"aa-2020": due, "bb-2021": due, "risk-1": "open"}
    assert "digits v1, forecast of 2020-03-01" in said(*judge, "--did-not-happen")
    assert states() == {"aa-2020": "judged", "bb-2021": due, "risk-1": "open"}
    assert "forecast of 2020-03-01" in said(*judge, "--happened", "--forecast", "aa")
    (score,) = ask(history, "forecasts_scored").to_pylist()
    assert (score["forecasts"], score["share_occurred"]) == (1, 1)
    assert "forecast of 2021-03-01" in said(*judge, "--did-not-happen")
    assert states() == {"aa-2020": "judged", "bb-2021": "judged", "risk-1": "open"}
    assert "digits v2" in said(*judge, "--happened")


def test_a_forecast_that_was_never_made_lists_those_that_were(history: Path):
    del history
    line = refused("forecast", "judge", "digits", "breach", "--happened", "--option", "as_is")
    assert "0 forecasts start with 'breach'" in line
    assert "'claim'" in line
    none = refused("forecast", "judge", "digits", "claim", "--happened", "--version", "v1")
    assert "none at all" in none


def test_a_report_is_found_and_verified_until_somebody_changes_it(history: Path):
    folder = history / "reports" / "digits" / "v2"
    page = write_report(priced_page(), folder)["en"]
    assert said("report", "digits").endswith("v2/en.html")
    assert "unchanged" in said("report", "digits", "--verify")
    page.write_text(page.read_text().replace("digits", "digit"))
    changed = run.invoke(app, ["report", "digits", "--verify"])
    assert changed.exit_code == 1
    assert "CHANGED" in changed.output
    page.write_text("<p>something else</p>")
    assert "is not a report" in refused("report", "digits", "--verify")
    assert "run memory-assets audit digits" in refused("report", "digits", "--version", "v1")


def test_a_rebuild_keeps_what_only_the_old_file_holds(history: Path):
    said("action", "add", "digits", "stop early", "--owner", "team:ml")
    before = ask(history, "select subject, model_version from audits order by all").to_pylist()
    assert "3 kept from the old file" in said("history", "rebuild")
    after = ask(history, "select subject, model_version from audits order by all").to_pylist()
    assert after == before
    assert ask(history, "open_actions").num_rows == 1


def test_a_rebuild_of_nothing(home: Path):
    assert "0 audits" in said("history", "rebuild")
    assert (home / "history.duckdb").is_file()
