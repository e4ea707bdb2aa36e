"""A real MLflow server on loopback: registering a version leads to its audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import automation_projects as tiny
import pytest
from mlflow_server import register, serving

from memory_assets.errors import InputError
from memory_assets.history.questions import ask
from memory_assets.models.checkpoints import list_versions
from memory_assets.models.registry import MlflowModel, Registry, mirror, version_of_alias
from memory_assets.workflows.home import find_home

pytestmark = pytest.mark.slow
mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEMORY_ASSETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_registered_version_is_audited_and_an_alias_names_it(server: str, tmp_path, home):
    root = tmp_path / "project"
    root.mkdir()
    with tiny.stepped(root) as daemon:
        tiny.write_checkpoint(root / "tiny", "a", seed=1)
        tiny.write_checkpoint(root / "tiny", "b", seed=2)
        made = root / "tiny" / "checkpoints"
        register(server, "claims", made / "a.safetensors")
        spec = {"mlflow": {"uri": server, "model": "claims"}}
        daemon.subjects["tiny"] = tiny.tiny_subject("tiny", checkpoints=spec)
        daemon.settle()
        audited = "select model_version from audits order by finished_at"
        assert ask(home, audited)["model_version"].to_pylist() == ["1"]

        register(server, "claims", made / "b.safetensors")
        client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
        client.set_registered_model_alias("claims", "production", "2")
        done = daemon.settle()
        assert ask(home, audited)["model_version"].to_pylist() == ["1", "2"]
        assert not any("[1]" in name for name in done)
        assert daemon.settle() == {}
    checkpoints = daemon.subjects["tiny"].checkpoints
    assert version_of_alias(checkpoints, "production", home) == "2"


def test_an_alias_can_be_all_that_is_audited(server: str, tmp_path):
    for seed in (1, 2):
        tiny.write_checkpoint(tmp_path, "v", seed=seed)
        register(server, "fraud", tmp_path / "checkpoints" / "v.safetensors")
    client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    client.set_registered_model_alias("fraud", "production", "1")
    registry = Registry(mlflow=MlflowModel(uri=server, model="fraud", alias="production"))
    assert list(list_versions(mirror(registry, find_home().root))) == ["1"]
    client.set_registered_model_alias("fraud", "production", "2")
    assert list(list_versions(mirror(registry, find_home().root))) == ["2"]
    # Who asks for all versions has a mirror of his own.
    whole = mirror(Registry(mlflow=MlflowModel(uri=server, model="fraud")), find_home().root)
    assert list(list_versions(whole)) == ["1", "2"]
    assert list(list_versions(registry.mirrored_under(find_home().root))) == ["2"]


def test_a_version_without_weights_is_left_out(server: str, tmp_path, caplog):
    (tmp_path / "readme.txt").write_text("no weights here")
    register(server, "empty", tmp_path / "readme.txt")
    registry = Registry(mlflow=MlflowModel(uri=server, model="empty"))
    assert list_versions(mirror(registry, find_home().root)) == {}
    assert "0 files of weights" in caplog.text


def test_a_deleted_version_leaves_the_mirror(server: str, tmp_path):
    tiny.write_checkpoint(tmp_path, "v", seed=1)
    version = register(server, "gone", tmp_path / "checkpoints" / "v.safetensors")
    registry = Registry(mlflow=MlflowModel(uri=server, model="gone"))
    assert list(list_versions(mirror(registry, find_home().root))) == [version]
    client = mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    client.delete_model_version("gone", version)
    assert list_versions(mirror(registry, find_home().root)) == {}


@pytest.mark.parametrize("uri", ["http://user:secret@127.0.0.1:9", None])
def test_an_unknown_model_or_server_is_one_line_without_the_address(server: str, uri):
    registry = Registry(mlflow=MlflowModel(uri=uri or server, model="nobody"))
    with pytest.raises(InputError, match="nobody") as error:
        mirror(registry, find_home().root)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
