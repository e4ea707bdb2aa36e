"""Figures that speak of the very records at hand are compared only while the data are the same."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from history_bundles import bundle, measured, rate, written

import memory_assets
from memory_assets.history.questions import ask
from memory_assets.history.store import History

pytestmark = pytest.mark.slow

OF_THESE_RECORDS = {
    "feldman_zhang": True,
    "gain": True,
    "kinds": True,
    "counterfactual": True,
    "unintended": False,  # its interval is over texts drawn anew
}
"""Every estimator of the family `memorization`; a new one is placed here and in the macro."""


def emitted() -> set[str]:
    """The names under which the code measures memorization."""
    found = set()
    for path in Path(memory_assets.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            if getattr(node.func, "id", "") != "Measurement":
                continue
            family, name = node.args[:2]
            if isinstance(family, ast.Constant) and family.value == "memorization":
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: a name by hand"
                found.add(name.value)
    return found


def test_every_estimator_of_memorization_is_placed():
    assert emitted() == OF_THESE_RECORDS.keys()


@pytest.mark.parametrize("name", OF_THESE_RECORDS)
def test_other_data_are_no_regression_of_figures_of_these_records(tmp_path: Path, name: str):
    def version(day: int, share: float, data: str):
        figure = measured("share_above_0.25", rate(share), family="memorization", name=name)
        made = bundle(version=f"v{day}", day=day, measurements=(figure,), records=0)
        return replace(made, audit=replace(made.audit, data_digest=data))

    made = [version(1, 0.1, "data"), version(2, 0.3, "other data"), version(3, 0.5, "other data")]
    History(tmp_path).append_all([written(tmp_path / "b", one) for one in made])
    found = ask(tmp_path, "SELECT model_version FROM changes WHERE change = 'worse' ORDER BY ALL")
    compared = found["model_version"].to_pylist()
    assert compared == (["v3"] if OF_THESE_RECORDS[name] else ["v2", "v3"])
