"""Blocks on GPUs, as far as that can be told without one: here are three that are not there."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from memory_assets.models.recipe import Recipe
from memory_assets.pool import devices, engines, trainer
from memory_assets.pool.devices import own_device

GIB = 2**30


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {"cpu": [], "cuda": ["a", "b", "c"]}
    monkeypatch.setattr(devices, "_identities", names.__getitem__)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))


def test_blocks_that_run_at_once_have_a_device_each() -> None:
    with own_device("cuda", 0) as first, own_device("cuda", 0) as second:
        with own_device("cuda", 2) as third:
            assert {first, second, third} == {"cuda:0", "cuda:1", "cuda:2"}
            with own_device("cuda", 4) as shared:  # all are taken, and the block runs all the same
                assert shared == "cuda:1"
        with own_device("cuda", 4) as free:
            assert free == third


def test_a_block_that_fails_gives_its_device_back() -> None:
    with pytest.raises(RuntimeError), own_device("cuda", 1):
        raise RuntimeError
    with own_device("cuda", 1) as device:
        assert device == "cuda:1"


def test_one_device_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_device("cpu", 3) as device:
        assert device == "cpu"
    monkeypatch.setattr(devices, "_identities", lambda _: ["a"])
    with own_device("cuda", 3) as device:
        assert device == "cuda"


@pytest.mark.parametrize(("free", "at_a_time"), [(40.0, 16), (5.5, 4), (0.5, 1)])
def test_models_at_a_time_follow_the_free_memory(
    free: float, at_a_time: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free * GIB), 80 * GIB))
    x, y = np.zeros((10, 12), np.float32), np.zeros(10, np.int64)
    job = engines.prepare(Recipe("pool_factories:dense"), x, y, "cpu", len(x))
    job = replace(job, device="cuda:1", bytes_per_model=GIB)
    with caplog.at_level(logging.INFO):
        slices = list(trainer._slices(job, list(range(16))))
    assert max(map(len, slices)) == at_a_time
    assert sorted(itertools.chain(*slices)) == list(range(16))
    assert f"cuda:1: {free:.1f} GiB free" in caplog.text
    assert f"1024.0 MiB a model, of 16 models {at_a_time} train at a time" in caplog.text
