"""Bad input: one clear line, exit 2, and nothing half-written."""

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bad input")]


def refused(project, *arguments):
    """Run a command that must be refused; returns its one line."""
    result = project.run(*arguments)
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith("... ")]
    assert len(lines) == 1, result.stderr
    assert not (project.home / "history.duckdb").exists()
    assert not list(project.home.glob("tmp/*"))
    assert not list(project.home.glob("reports/*"))
    return lines[0]


def test_an_unknown_subject_names_the_nearest(project):
    assert "did you mean 'digits'" in refused(project, "audit", "digit")


def test_an_unknown_version_lists_those_there_are(project):
    line = refused(project, "audit", "digits", "--version", "v9")
    assert "'v9'" in line
    assert "v1, v2" in line


def test_no_subject_at_all(project):
    shutil.rmtree(project.root / "dagster_project" / "defs" / "digits")
    assert "no subject in dagster_project/defs" in refused(project, "audit")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "pool: {models: 16}",
            "pool: {modles: 16}",
            "attributes.pool.modles: unknown key; did you mean 'models'",
        ),
        ("pool: {models: 16}", "pool: {models: many}", "attributes.pool.models: 'many'"),
        ("pool: {models: 16}", "pool: {models: 15}", "attributes.pool.models: 15"),
        ("  subject: digits\n", "", "attributes.subject: missing"),
        ("members.csv", "nobody.csv", "nobody.csv"),
        ("  checkpoints: models/digits", "  checkpoints: models/none", "models/none"),
        ("digits:load", "digits:lode", "'lode'"),
        ("attacks: standard", "attacks: [lirra]", "lirra"),
        ("tpr_at_fpr_0.1: 0.15", "tpr_at_fpr_0.2: 0.15", "guessing alone reaches 0.2"),
        ("type: memory", "type: [memory", "defs.yaml: not YAML"),
    ],
)
def test_a_mistake_in_the_yaml_names_file_key_and_value(project, old, new, expected):
    project.change(old, new)
    line = refused(project, "audit")
    assert expected in line


def broken(path, how):
    state = load_file(path)
    if how == "pickle":
        path.write_bytes(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05hello\x94.")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "another architecture":
        save_file({f"other.{name}": value for name, value in state.items()}, path)
    else:
        name = next(iter(state))
        save_file(state | {name: np.full_like(state[name], np.nan)}, path)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("pickle", "not a whole safetensors file"),
        ("truncated", "not a whole safetensors file"),
        ("another architecture", "missing tensors: "),
        ("nan", "not finite"),
    ],
)
def test_a_bad_checkpoint_is_refused(project, how, expected):
    broken(project.checkpoints / "v1.safetensors", how)
    line = refused(project, "audit", "digits", "--version", "v1")
    assert "v1.safetensors" in line
    assert expected in line


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("id\ndigit-9999\n", "member 1 of 1 is no id in"),
        ("id\ndigit-0001\ndigit-0001\n", "'digit-0001' stands more than once"),
        ("id\n" + "\n".join(f"digit-{i:04d}" for i in range(1797)), "all 1797 records are members"),
    ],
)
def test_bad_member_lists_are_refused(project, listed, expected):
    (project.checkpoints / "members.csv").write_text(listed)
    assert expected in refused(project, "audit")


def test_before_the_first_audit_every_command_says_what_to_do(project):
    for arguments in (["gate", "digits"], ["query", "verdicts"], ["report", "digits"]):
        assert "memory-assets audit" in refused(project, *arguments)
