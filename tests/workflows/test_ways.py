"""Every way to bring a model ends in an audit, and says what it could not measure."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from safetensors.numpy import save_file
from ways_world import MEMBERS, RECIPE, World, X, Y, make_world

from memory_assets.config.classifier import ClassifierSubject
from memory_assets.errors import InputError
from memory_assets.history.bundle import AuditBundle
from memory_assets.pool.signal_files import load_signals
from memory_assets.pool.trainer import train_target
from memory_assets.reports.inputs import ReportInput
from memory_assets.reports.page import write_report
from memory_assets.workflows import shadows
from memory_assets.workflows.coverage import not_run

pytestmark = pytest.mark.slow

COMMAND = """
import json, os, sys, numpy as np
sys.path[:0] = {folders!r}
from ways_world import fit
task = json.load(open(os.environ["MEMORY_ASSETS_TASK"]))
x, y, ask = (np.load(f"{{n}}.npy") for n in ("x", "y", "ask"))
p = fit(x, y, task["seed"])(ask)
with open("predictions.csv", "w") as f:
    print("record_id,prob_0,prob_1", file=f)
    for i, row in zip(json.load(open("ask_ids.json")), p):
        print(i, *row, sep=",", file=f)
"""
FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
"""Where the command finds this world and what it is built from."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def auc(bundle: AuditBundle, attack: str) -> float | None:
    return next(
        m.estimate.value for m in bundle.measurements if (m.name, m.metric) == (attack, "auc")
    )


def unmeasured(subject, bundle: AuditBundle) -> dict[str, str]:
    return {row.name: row.reason for row in not_run(subject, bundle)}


def test_a_training_callable(world: World) -> None:
    world.write_outputs()
    subject = world.subject(fit="ways_world:fit")
    bundle = world.audit(subject)
    assert (auc(bundle, "lira_online_fixed") or 0) > 0.9
    said = unmeasured(subject, bundle)
    assert said["exact_scores"] == said["mitigations"] == said["augmentation"] == "needs_input"
    assert said["rmia_online"] == "not_selected"
    assert "memorization" not in said


def test_a_callable_and_a_command_that_do_the_same_give_the_same_signals(world: World) -> None:
    program = world.root / "train.py"
    program.write_text(COMMAND.format(folders=FOLDERS))
    command = world.subject(command={"run": f"{sys.executable} train.py", "time_limit": 60})
    called = world.subject(fit="ways_world:fit")
    signals = []
    for subject in (command, called):
        world.train(subject)
        prepared = world.prepared(subject)
        made = shadows.shadow_signals(subject, world.root, prepared, world.store)
        signals.append(load_signals(made.path))
    np.testing.assert_allclose(signals[0].pairs.p_true, signals[1].pairs.p_true, atol=1e-9)
    kept = [p.name for p in (world.root / "home" / "commands").rglob("*") if p.is_file()]
    assert "output.log" in kept
    assert not [name for name in kept if name.endswith(".npy")]


def test_another_program_is_another_pool(world: World) -> None:
    program = world.root / "train.py"
    subject = world.subject(command={"run": f"{sys.executable} train.py"})
    prepared = world.prepared(subject)
    keys = []
    for text in ("print(1)", "print(2)"):
        program.write_text(text)
        keys.append(shadows.plan_pool(subject, world.root, prepared).keys)
    assert not set(keys[0]) & set(keys[1])


def test_a_command_that_hangs_is_ended_and_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "sleep.py").write_text("import time; time.sleep(60)")
    subject = world.subject(command={"run": f"{sys.executable} sleep.py", "time_limit": 0.3})
    with pytest.raises(InputError, match=r"all 4 models .*shadow model 0: .* longer than 0.3 s"):
        world.train(subject)


def test_a_callable_that_raises_in_some_shadows(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.write_outputs()
    subject = world.subject(fit="ways_world:fragile_fit", depth=None, pool={"models": 16})
    with caplog.at_level(logging.WARNING):
        bundle = world.audit(subject)
    named = {line.split("shadow model ")[1].split(":")[0] for line in caplog.messages}
    assert named
    assert "Jane" not in caplog.text
    prepared = world.prepared(subject)
    pool = shadows.shadow_signals(subject, world.root, prepared, world.store)
    left_out = {int(n) // 2 for n in named}  # a couple stands or falls together
    assert load_signals(pool.path).models == 16 - 2 * len(left_out)
    assert "memorization" not in unmeasured(subject, bundle)


def test_predictions_alone_run_what_needs_no_shadows_and_say_what_did_not_run(
    world: World, tmp_path: Path
) -> None:
    world.write_outputs()
    subject = world.subject(predictions={}, gate={"tpr_at_fpr_0.1": 0.101})
    bundle = world.audit(subject)
    assert (auc(bundle, "loss") or 0) > 0.9
    assert bundle.audit.verdict == "fail"
    said = unmeasured(subject, bundle)
    for name in ("lira_online_fixed", "rmia_offline", "memorization", "information"):
        assert said[name] == "needs_input", name
    scores = bundle.record_scores
    assert scores["memorization"].null_count == scores.num_rows
    controls = {control.control: control for control in bundle.controls}
    assert len(controls) == 10
    assert all(control.passed for control in controls.values()), controls
    pages = write_report(ReportInput(bundle, not_run=not_run(subject, bundle)), tmp_path / "page")
    assert "Memorization by record" in pages["en"].read_text(encoding="utf-8")
    assert "記録ごとの記憶" in pages["ja"].read_text(encoding="utf-8")


def test_an_attack_that_needs_shadows_cannot_be_asked_of_predictions_alone(world: World) -> None:
    world.write_outputs()
    with pytest.raises(InputError, match="lira_online can run on 0 shadow models; add loss"):
        world.audit(world.subject(predictions={}, attacks=["lira_online"]))


def test_predictions_with_shadows(world: World) -> None:
    world.write_outputs()
    world.write_shadows(world.subject(predictions={}), models=8)
    subject = world.subject(predictions={"shadows": "shadows.csv"})
    bundle = world.audit(subject)
    assert (auc(bundle, "lira_online_fixed") or 0) > 0.9
    said = unmeasured(subject, bundle)
    assert "memorization" not in said
    assert said["mitigations"] == "needs_input"


def test_shadows_that_are_not_in_couples_leave_memorization_unmeasured(world: World) -> None:
    world.write_outputs()
    path = world.write_shadows(world.subject(predictions={}), models=8)
    lines = path.read_text().splitlines()
    place = lines[0].replace('"', "").split(",").index("model")
    kept = [lines[0], *(line for line in lines[1:] if line.split(",")[place] != "7")]
    path.write_text("\n".join(kept))
    subject = world.subject(predictions={"shadows": "shadows.csv"})
    bundle = world.audit(subject)
    assert unmeasured(subject, bundle)["memorization"] == "too_small"
    assert (auc(bundle, "lira_online_fixed") or 0) > 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('"r005"', '"r004"'), "row 6: record_id 'r004' repeats"),
        (lambda t: t.replace('"r005"', '"other"'), "row 6: its record_id is not in the data"),
        (lambda t: t.replace("prob_1", "prob_2"), "expected prob_0 to prob_1"),
        (lambda t: "\n".join(t.splitlines()[:-80]), "no row for record_id"),
        (lambda t: t + '"r159",0.9,0.9\n', "row 161 sums to 1.8"),
    ],
)
def test_predictions_that_are_refused(world: World, change, message: str) -> None:
    path = world.write_outputs()
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message):
        world.audit(world.subject(predictions={}))


def test_growing_keeps_every_block_and_shrinking_takes_a_subset(world: World) -> None:
    recipe = {**RECIPE, "epochs": 1}
    quick = world.train(world.subject(recipe=recipe))
    standard = world.train(world.subject(recipe=recipe, depth="standard"))
    assert len(quick) == 1
    assert len(standard) == 5
    assert [key for key, reused in standard.items() if reused] == list(quick)
    again = world.train(world.subject(recipe=recipe, depth=None, pool={"models": 32}))
    assert set(again) < set(standard)
    assert all(again.values())


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "exactly one of recipe, fit, command, predictions; there is none"),
        ({"recipe": RECIPE, "fit": "a:b"}, "there are recipe and fit"),
        ({"fit": "a:b", "options": {"dp": {}}}, "the model came by fit; bring a recipe"),
        ({"recipe": RECIPE, "options": {"prune": {}}}, "'prune'; expected one of"),
        ({"recipe": RECIPE, "options": {"early-stop": {"lr": 1}}}, "'lr'; expected only epochs"),
        ({"fit": "a:b", "pool": {"models": 8}}, "depth and pool.models say the same thing"),
        ({"fit": "a:b", "depth": "deep"}, "'quick', 'standard' or 'thorough'"),
        ({"fit": "not a function"}, "match pattern"),
        ({"command": {"run": "x", "time_limit": 0}}, "greater than 0"),
        ({"predictions": {"shadow": "x"}}, "Extra inputs are not permitted"),
        (
            {"recipe": RECIPE, "records": {"path": "x.csv", "id": "label", "members": "m.csv"}},
            "say id: row number",
        ),
    ],
)
def test_subjects_that_are_refused(world: World, attributes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        world.subject(**attributes)


def test_a_wrong_value_in_yaml_is_told_what_is_right() -> None:
    """By the schema that `dg check yaml` and editors read."""
    schema = Draft202012Validator(ClassifierSubject.model_json_schema())
    wrong = {"subject": "world", "records": {"members": "members.csv"}, "checkpoints": "versions"}
    wrong |= {"depth": "deep", "pool": {"models": "many"}, "recipe": {"model": "a:b", "epoch": 2}}
    told = " ".join(sorted(error.message for error in schema.iter_errors(wrong)))
    assert told == (
        "'deep' is not one of ['quick', 'standard', 'thorough'] 'many' is not of type 'integer' "
        "Additional properties are not allowed ('epoch' was unexpected)"
    )


def test_depths(world: World) -> None:
    assert [
        world.subject(fit="a:b", depth=depth).models
        for depth in ("quick", None, "standard", "thorough")
    ] == [4, 64, 64, 256]
    assert world.subject(predictions={}).models == 0


def test_an_unknown_callable_is_refused_in_one_line(world: World) -> None:
    with pytest.raises(InputError, match="fit: module 'ways_world' has no 'nothing'"):
        world.train(world.subject(fit="ways_world:nothing"))


def test_missing_shadow_outputs_are_named(world: World) -> None:
    world.write_outputs()
    with pytest.raises(InputError, match=r"predictions.shadows: no file .*none\.csv"):
        world.audit(world.subject(predictions={"shadows": "none.csv"}))


def test_a_pool_in_mixed_precision_is_recorded_as_one_and_held_against_the_target(
    world: World,
) -> None:
    """The target was trained in float32: the recipe match says whether its pool resembles it."""
    subject = world.subject(
        recipe=RECIPE | {"precision": "bfloat16"},
        depth=None,
        pool={"models": 16},
        attacks=["loss"],
    )
    assert subject.recipe is not None
    recipe, rows = replace(subject.recipe, precision="float32"), np.flatnonzero(MEMBERS)
    matched = {}
    for version, epochs in (("same", recipe.epochs), ("longer", 40 * recipe.epochs)):
        state = train_target(replace(recipe, epochs=epochs), X, Y.astype(np.int64), rows)
        save_file(state, world.root / "versions" / f"{version}.safetensors")
        bundle = world.audit(subject, version)
        assert bundle.audit.device.endswith("shadow models in bfloat16")
        (control,) = [c for c in bundle.controls if c.control == "recipe_match"]
        matched[version] = control.passed
    assert matched == {"same": True, "longer": False}
