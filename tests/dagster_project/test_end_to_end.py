"""The real graph on the real digits, through the command line, as a user runs it."""

import json
import shutil

import pytest

from memory_assets.reports.page import verify

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("end to end")]


def lira(project, version):
    return project.rows(
        f"""
        select m.value, m.ci_low, m.ci_high from measurements m join audits using (audit_id)
        where model_version = '{version}' and attack = 'lira_online' and metric = 'auc'
        """
    )[0]


def test_v1_leaks_more_than_v2(audited):
    v1, v2 = lira(audited, "v1"), lira(audited, "v2")
    assert v1[1] > 0.5
    assert v1[0] > v2[0]
    assert v1[1] > v2[1]


def test_the_controls_hold_on_both_versions(audited):
    controls = audited.rows("select audit_id, control, passed from controls")
    assert len(controls) == 20
    assert all(passed for _, control, passed in controls), controls


def test_the_negative_control_lies_at_one_half(audited):
    rows = audited.rows("select ci_low, ci_high from controls where control = 'negative'")
    assert all(low <= 0.5 <= high for low, high in rows)


def test_history_is_whole_and_the_report_shows_its_numbers(audited):
    for audit_id, version in audited.rows("select audit_id, model_version from audits"):
        page = audited.home / "reports" / "digits" / version / "en.html"
        assert verify(page)
        text = page.read_text(encoding="utf-8")
        assert audit_id in text
        value, low, high = lira(audited, version)
        assert f"{value:.3f}" in text
        assert f"{low:.3f}" in text
        assert f"{high:.3f}" in text
    counts = audited.rows("select count(*), count(distinct record_id) from record_scores")
    scores, records = counts[0]
    assert records == 1438
    assert scores == 2 * 6 * 1438


def test_members_are_not_trained_or_scored_again(audited):
    before = audited.artifacts("shadow-models"), audited.artifacts("audit")
    result = audited.run("audit")
    assert result.returncode == 0
    assert "0 blocks trained" in result.stdout
    assert "0 audits added" in result.stdout
    assert (audited.artifacts("shadow-models"), audited.artifacts("audit")) == before


def test_the_gate_fails_v1_and_says_so_to_a_machine(audited):
    result = audited.run("gate", "digits", "--version", "v1", "--format", "json")
    assert result.returncode == 1
    verdict = json.loads(result.stdout)
    assert verdict["verdict"] == "fail"
    assert verdict["gates"]


def test_an_inconclusive_gate_passes_only_when_allowed(audited):
    audited_verdict = audited.rows("select verdict from audits where model_version = 'v2'")[0][0]
    plain = audited.run("gate", "digits", "--version", "v2").returncode
    allowed = audited.run("gate", "digits", "--version", "v2", "--allow-inconclusive").returncode
    expected = {"pass": (0, 0), "inconclusive": (4, 0), "fail": (1, 1)}
    assert (plain, allowed) == expected[audited_verdict]


def test_questions_and_sql_answer(audited):
    listed = audited.run("query")
    assert "leakage_by_version" in listed.stdout
    answer = audited.run("query", "leakage_by_version", "--subject", "digits", "--format", "json")
    assert {row["model_version"] for row in json.loads(answer.stdout)} == {"v1", "v2"}
    sql = audited.run("query", "select count(*) as audits from audits", "--format", "csv")
    assert sql.stdout.splitlines()[-1] == "2"


def test_the_report_is_found(audited):
    result = audited.run("report", "digits", "--version", "v1", "--lang", "ja")
    assert result.stdout.strip().endswith("reports/digits/v1/ja.html")


def test_a_third_version_a_touched_file_and_replaced_bytes(audited, tmp_path):
    project = audited.copied(tmp_path)
    pool = project.artifacts("shadow-models")
    shutil.copy(project.checkpoints / "v2.safetensors", project.checkpoints / "v3.safetensors")
    (project.checkpoints / "v1.safetensors").touch()
    assert project.run("audit").returncode == 0
    versions = project.rows("select model_version, count(*) from audits group by 1 order by 1")
    assert versions == [("v1", 1), ("v2", 1), ("v3", 1)]

    shutil.copy(project.checkpoints / "v1.safetensors", project.checkpoints / "v3.safetensors")
    stale = project.run("gate", "digits", "--version", "v3")
    assert stale.returncode == 5
    assert "changed since its audit" in stale.stdout
    assert project.run("audit", "digits", "--version", "v3").returncode == 0
    versions = project.rows("select model_version, count(*) from audits group by 1 order by 1")
    assert versions == [("v1", 1), ("v2", 1), ("v3", 2)]
    assert project.artifacts("shadow-models") == pool


def test_the_same_seed_gives_the_same_scores(project, audited):
    project.change("{models: 16}", "{models: 64}")
    assert project.run("audit", "digits", "--version", "v1").returncode == 0
    scores = """
        select record_id, attack, score from record_scores join audits using (audit_id)
        where model_version = 'v1' order by all
    """
    assert project.rows(scores) == audited.rows(scores)
