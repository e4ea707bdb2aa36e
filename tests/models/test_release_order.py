"""Releases stand in the order that people count them in, the same on every machine."""

from __future__ import annotations

import random

import pytest

from memory_assets.models.release_order import release_key

ORDERS = {
    "numbers": "v1 V2 v9 v10 V11",
    "with and without a v": "v9 10 release-11",
    "separators": "digits-v9 digits_v10 digits-v11",
    "semantic": "1.0.0-1 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 "
    "1.0.0-rc1 1.0.0-rc2 1.0.0-rc10 1.0.0 1.0.1 v1.2.0 V1.10.0-rc.1 1.10.0",
    "after a semantic release": "1.0.0-rc1 1.0.0 1.0.0-hotfix1 1.0.0-hotfix10 1.0.1-rc1 1.0.1 "
    "1.0.1-patch 1.1.0",
    "wide digits": "v９ v１０",
    "builds": "1.0.0+build1 1.0.0+build10 1.0.1-rc.1+b9",
    "behind a name": "claims-v1.2.0-rc.1 claims-v1.2.0 claims-v1.10.0",
    "two numbers": "1.0rc1 1.0 1.0.post1 1.1a1 1.1b1 1.1-beta 1.1",
    "one number": "v1-rc1 v1 v1a v1b v1-final v1.1 v2-beta v2",
    "rc of a longer name": "v1.0.0-beta v1.0.0-rc1 v1",
    "calendar": "2024.1.9 2024.1.10 2024.2.1",
    "dates": "2024-01-02 2024-1-3 20240110 2024-10-1",
    "months": "model-2024-01 model-2024-01-31 model-2024-02 model-2024-11-03",
    "times": "run_20231231_235959 run-2024-01-01T00-00-01 run_20240101_000002",
    "fractions": "20240102T103000.5 20240102T103000.75 20240102103001",
    "zones": "2024-12-31T23-30-00+0900 2024-12-31T23-30-00Z 2025-01-01T05-00-00Z "
    "2025-01-01T00-30-00-0500",
    "number before date": "v3-2024-01-02 v3-2024-01-10 v10-2023-01-01",
    "steps that look like dates": "checkpoint-9999999 checkpoint-20001231 checkpoint-20002000",
}


@pytest.mark.parametrize("names", ORDERS.values(), ids=ORDERS)
def test_the_later_release_comes_later(names: str) -> None:
    expected = names.split()
    for seed in range(5):
        shuffled = random.Random(seed).sample(expected, len(expected))
        assert sorted(shuffled, key=release_key) == expected


def test_names_that_rank_the_same_have_one_order() -> None:
    names = ["v01", "V1", "v1", "1", "1.0.0", "v1-0", "v1.0"]
    first = sorted(names, key=release_key)
    assert all(
        sorted(random.Random(seed).sample(names, len(names)), key=release_key) == first
        for seed in range(5)
    )
    assert len({release_key(name) for name in names}) == len(names)
