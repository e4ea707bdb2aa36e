import pickle

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from memory_assets.errors import InputError
from memory_assets.models.checkpoints import (
    Manifest,
    checkpoint_file,
    list_versions,
    load_checkpoint,
    read_manifest,
    save_checkpoint,
)
from memory_assets.models.recipe import Recipe

RECIPE = Recipe(
    model="memory_assets.models.mlp:mlp", model_args={"inputs": 4, "hidden": 3, "classes": 2}
)
MANIFEST = Manifest(recipe={"epochs": 3}, members_digest="m", data_digest="d")


def state():
    torch.manual_seed(0)
    return {name: value.numpy() for name, value in RECIPE.build_model().state_dict().items()}


def test_weights_and_manifest_come_back(tmp_path):
    path = tmp_path / "v1.safetensors"
    save_checkpoint(path, state(), MANIFEST)
    loaded = load_checkpoint(path, RECIPE)
    assert all((loaded[name] == value).all() for name, value in state().items())
    assert read_manifest(path) == MANIFEST
    assert [p.name for p in tmp_path.iterdir()] == ["v1.safetensors"]


def test_a_checkpoint_without_a_manifest_is_fine(tmp_path):
    save_file(state(), tmp_path / "v1.safetensors")
    assert read_manifest(tmp_path / "v1.safetensors") is None


def test_a_torch_file_of_plain_tensors_is_read(tmp_path):
    torch.save({n: torch.from_numpy(v) for n, v in state().items()}, tmp_path / "v1.pt")
    assert load_checkpoint(tmp_path / "v1.pt", RECIPE).keys() == state().keys()


class Dangerous:
    """Writes a file if it is ever unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (open, (self.target, "w"))


@pytest.mark.parametrize("name", ["v1.pt", "v1.bin", "v1.safetensors", "v1.pkl"])
def test_a_pickle_is_refused_and_never_run(tmp_path, name):
    trap = tmp_path / "trap"
    path = tmp_path / name
    if name in ("v1.pt", "v1.bin"):
        torch.save({"weight": Dangerous(trap)}, path)
    else:
        path.write_bytes(pickle.dumps(Dangerous(trap)))
    with pytest.raises(InputError, match=name):
        load_checkpoint(path, RECIPE)
    assert not trap.exists()


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "v1.safetensors"
    save_checkpoint(path, state(), MANIFEST)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"v1.safetensors: not a whole safetensors file"):
        load_checkpoint(path, RECIPE)
    with pytest.raises(InputError, match=r"v1.safetensors: not a whole safetensors file"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.popitem() and s, "missing tensors: "),
        (lambda s: s | {"extra": np.zeros(1, np.float32)}, "unknown tensors: 'extra'"),
        (lambda s: {n: np.zeros((9, *v.shape), v.dtype) for n, v in s.items()}, "has shape"),
        (lambda s: {n: v * np.float32("nan") for n, v in s.items()}, "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, message):
    path = tmp_path / "v1.safetensors"
    save_file(change(state()), path)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path, RECIPE)


def test_versions_are_files_or_folders_in_natural_order(tmp_path):
    for name in ("v10.safetensors", "v2.safetensors", ".v3.safetensors.tmp", "members.csv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "model.safetensors").write_bytes(b"y")
    assert list(list_versions(tmp_path)) == ["v1", "v2", "v10"]
    assert checkpoint_file(tmp_path / "v1").name == "model.safetensors"


def test_a_folder_with_two_files_is_no_version(tmp_path):
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"2 .safetensors files"):
        checkpoint_file(tmp_path)


@pytest.mark.parametrize("other", ["model.pt", "weights.pth", "pytorch_model.bin"])
def test_two_sets_of_weights_in_a_version_are_refused(tmp_path, other):
    version = tmp_path / "v1"
    version.mkdir()
    (version / "model.safetensors").touch()
    for name in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin"):
        (version / name).touch()
    assert checkpoint_file(version).name == "model.safetensors"
    (version / other).touch()
    with pytest.raises(InputError, match="two sets of weights"):
        checkpoint_file(version)
