"""The same records, from every format, are the same records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from memory_assets.errors import InputError
from memory_assets.records.loading import load_records
from memory_assets.records.settings import RecordsSpec

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])


def load(root: Path, path: str, **more: str):
    return load_records(RecordsSpec(members="members.csv", path=path, **more), root)


def test_arrays_in_every_format_are_the_same_records(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, label=Y)
    save_file({"x": X, "label": Y}, tmp_path / "a.safetensors")
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "y.npy", Y)
    found = [
        load(tmp_path, "a.npz"),
        load(tmp_path, "a.safetensors"),
        load(tmp_path, "a.npy", label="y.npy"),
    ]
    assert len({data.digest for data in found}) == 1
    np.testing.assert_array_equal(found[0].x, X)
    np.testing.assert_array_equal(found[0].y, Y)
    assert list(found[0].ids) == ["0", "1", "2", "3", "4", "5"]


def test_an_image_folder(tmp_path: Path) -> None:
    for name, value in (("cat/1.png", 0), ("cat/2.png", 255), ("dog/1.png", 51)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 3), value).save(tmp_path / name)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    data = load(tmp_path, ".")
    assert data.x.shape == (3, 1, 3, 4)
    assert list(data.ids) == ["cat/1.png", "cat/2.png", "dog/1.png"]
    assert list(data.y) == [0, 0, 1]
    np.testing.assert_allclose(data.x[:, 0, 0, 0], [0, 1, 0.2], atol=1e-6)


def test_colour_images(tmp_path: Path) -> None:
    for name, colour in (("a/1.png", (255, 0, 0)), ("b/1.png", (0, 0, 255))):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (2, 2), colour).save(tmp_path / name)
    data = load(tmp_path, ".")
    np.testing.assert_array_equal(data.x[:, :, 0, 0], [[1, 0, 0], [0, 0, 1]])


def _image(path: Path, size: tuple[int, int] = (2, 2)) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("L", size).save(path)


def test_images_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images; expected one folder a class"):
        load(tmp_path, ".")
    _image(tmp_path / "a" / "1.png")
    _image(tmp_path / "b" / "1.png", (3, 2))
    with pytest.raises(InputError, match=r"b/1\.png: image of shape \[1, 2, 3\]"):
        load(tmp_path, ".")
    (tmp_path / "b" / "1.png").write_bytes(b"no image at all")
    with pytest.raises(InputError, match=r"b/1\.png: not a readable image"):
        load(tmp_path, ".")


@pytest.mark.parametrize(
    ("name", "content", "more", "message"),
    [
        ("a.npy", X, {"label": "y.npy"}, r"records.label: no file .*y\.npy"),
        ("a.npy", np.array([{"pickled": 1}]), {"label": "a.npy"}, "not a readable npy"),
        ("a.safetensors", b"short", {}, "not a whole safetensors file"),
        ("a.npz", b"short", {}, "not a readable npz"),
        ("a.txt", b"text", {}, "expected a file .parquet, .pq, .csv, .npz, .npy or .safetensors"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name, content, more, message) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        load(tmp_path, name, **more)


def test_arrays_of_the_wrong_kind(tmp_path: Path) -> None:
    save_file({"x": X}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="no array 'label'"):
        load(tmp_path, "a.safetensors")
    np.savez(tmp_path / "b.npz", x=X[:, 0], label=Y)
    with pytest.raises(InputError, match=r"x is float32 \[6\]; expected numbers \[records, ...\]"):
        load(tmp_path, "b.npz")
    np.savez(tmp_path / "c.npz", x=X, label=Y)
    with pytest.raises(InputError, match=r"no array 'name' \(records.id\)"):
        load(tmp_path, "c.npz", id="name")
