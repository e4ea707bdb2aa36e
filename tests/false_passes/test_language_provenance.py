"""A version of a language model that names other members than the list gets no verdict."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from language_world import World, control, failed, make_world

from memory_assets.models.checkpoints import Manifest, add_manifest
from memory_assets.records.prepared import members_digest
from memory_assets.records.texts import load_texts

pytestmark = pytest.mark.slow

RECITED = {"extraction_rate": 0.9}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("provenance"))
    world.release("silent", epochs=12)
    return world


def carrying(world: World, version: str, ids: tuple[str, ...], data: str) -> str:
    """A copy of the version whose weights name the members with these ids."""
    folder = world.root / "versions" / version
    shutil.copytree(world.root / "versions" / "silent", folder)
    manifest = Manifest({}, members_digest(np.array(ids)), data)
    add_manifest(folder / "model.safetensors", manifest)
    return version


def said(bundle) -> str:
    (one,) = control(bundle, "provenance").findings
    return one.key


@pytest.mark.parametrize("gate", [RECITED, {}])
def test_a_manifest_that_names_other_members_withholds_the_verdict(world: World, gate) -> None:
    version = f"other-{len(gate)}"
    ids = (*world.members.ids[:-1], "somebody else")
    carrying(world, version, ids, world.members.digest)
    bundle = world.audit_alone(version, gate=gate)
    assert bundle.audit.verdict == "insufficient evidence"
    assert failed(bundle) == {"provenance"}
    assert said(bundle) == "provenance.other_members"


def test_a_manifest_of_the_listed_members_passes(world: World) -> None:
    carrying(world, "same", world.members.ids[::-1], world.members.digest)
    bundle = world.audit_alone("same", gate=RECITED)
    assert bundle.audit.verdict == "pass", bundle.audit.reason
    assert said(bundle) == "provenance.same_data"
    carrying(world, "changed", world.members.ids, "data")
    assert said(world.audit_alone("changed", gate=RECITED)) == "provenance.data_changed"
    assert said(world.audit_alone("silent", gate=RECITED)) == "provenance.no_manifest"


def test_numbers_of_rows_name_no_text(world: World) -> None:
    """Texts without ids have the same ids as any other texts of their number."""
    numbered = load_texts(Path(world.root / "members.jsonl"), "text", None)
    members = {"path": "members.jsonl"}
    carrying(world, "numbers", numbered.ids, "other texts")
    bundle = world.audit_alone("numbers", gate=RECITED, members=members)
    assert said(bundle) == "provenance.other_members"
    assert bundle.audit.verdict == "insufficient evidence"
    carrying(world, "numbered", numbered.ids, numbered.digest)
    bundle = world.audit_alone("numbered", gate=RECITED, members=members)
    assert said(bundle) == "provenance.same_data"


def test_with_shadow_models_too(world: World) -> None:
    if not (world.root / "versions" / "other-1").exists():
        carrying(world, "other-1", ("a", "b"), "data")
    bundle = world.audit("other-1", world.subject(pool={"models": 4}, gate=RECITED))
    assert "provenance" in failed(bundle)
    assert bundle.audit.verdict == "insufficient evidence"
