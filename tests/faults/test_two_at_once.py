"""Killed in the middle, two at once: nothing lost, nothing twice, nothing half."""

import random
import time

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

SCORES = """
    select model_version, record_id, attack, score
    from record_scores join audits using (audit_id) order by all
"""


def test_killed_at_any_moment_the_next_audit_completes(project, tmp_path):
    """Each round kills an audit a little later; the last one runs through undisturbed."""
    rng = random.Random(5)
    for _ in range(6):
        process = project.start("audit")
        time.sleep(rng.uniform(1.0, 12.0))
        process.kill()
        process.communicate()
    result = project.run("audit")
    assert result.returncode == 0, result.stderr
    assert project.rows("select model_version, count(*) from audits group by 1 order by 1") == [
        ("v1", 1),
        ("v2", 1),
    ]
    assert project.rows("select * from incomplete") == []
    assert not list((project.home / "tmp").glob("*"))
    stopped_early = project.rows(SCORES)

    undisturbed = type(project)(project.root, tmp_path / "undisturbed")
    assert undisturbed.run("audit").returncode == 0
    assert undisturbed.rows(SCORES) == stopped_early


def test_two_processes_at_the_same_subject_make_one_audit(project):
    processes = [project.start("audit"), project.start("audit")]
    results = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert project.rows("select model_version, count(*) from audits group by 1 order by 1") == [
        ("v1", 1),
        ("v2", 1),
    ]
    assert len(project.artifacts("shadow-models")) == 2
