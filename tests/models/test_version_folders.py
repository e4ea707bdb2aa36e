"""What lies among the versions and is none, or one twice, holds back no other."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from memory_assets.errors import InputError
from memory_assets.models.checkpoints import list_versions, look_for_versions
from memory_assets.store.disk import is_alive


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


def test_a_digit_that_is_no_number_is_a_letter(tmp_path: Path) -> None:
    names = ["v2", "v10", "v²", "v②", "v٣", "9" * 100]
    put(tmp_path, *(f"{name}.safetensors" for name in names))
    found = list(list_versions(tmp_path, strict=True))
    assert sorted(found) == sorted(names)
    assert found.index("v2") < found.index("v10")


@pytest.mark.parametrize("pid", ["²", "9" * 60])
def test_what_cannot_be_a_process_holds_back_nothing(tmp_path: Path, pid: str) -> None:
    from memory_assets.cli.register import copy_in
    from memory_assets.store.disk import sweep

    (tmp_path / "tmp" / f"{socket.gethostname()}@{pid}@ab").mkdir(parents=True)
    put(tmp_path, f".v1@{socket.gethostname()}@{pid}.tmp", "new.safetensors")
    assert copy_in(tmp_path / "new.safetensors", tmp_path, "v2").is_file()
    sweep(tmp_path)
    assert not is_alive(10**60)


def test_a_version_that_is_there_twice_is_said(tmp_path: Path, caplog) -> None:
    put(tmp_path, "v1.safetensors", "v1.pt", "v2.pt")
    (tmp_path / "v1").mkdir()
    put(tmp_path / "v1", "model.safetensors")  # an empty folder is no version
    for _ in range(3):  # every sensor lists it all the time
        found = list_versions(tmp_path)
    assert {name: path.name for name, path in found.items()} == {
        "v1": "v1.safetensors",
        "v2": "v2.pt",
    }
    assert caplog.text.count("(v1, v1.pt, v1.safetensors); v1.safetensors counts") == 1
    with pytest.raises(InputError, match="'v1' is there more than once"):
        list_versions(tmp_path, strict=True)


def test_every_refused_name_is_said_in_one_printable_line(tmp_path: Path) -> None:
    put(tmp_path, "v1.safetensors", "a..b.safetensors", "c\x1b[31m.safetensors", "v1.\x1b[31mE")
    found = look_for_versions(tmp_path)
    assert list(found.versions) == ["v1"]
    assert len(found.refused) == 2
    assert len(found.doubled) == 1
    assert all(line.isprintable() for line in found.wrong)
