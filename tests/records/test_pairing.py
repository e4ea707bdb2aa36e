import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_assets.errors import InputError
from memory_assets.models.recipe import Recipe
from memory_assets.pool.blocks import common_rows
from memory_assets.records.dataset import Dataset
from memory_assets.records.members import load_members
from memory_assets.records.pairing import draw_pairing


def dataset(n=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return Dataset(np.array([f"r{i}" for i in range(n)]), x, np.arange(n) % 2, 2)


def members_of(n, count):
    mask = np.zeros(n, bool)
    mask[:count] = True
    return mask


@given(n=st.integers(10, 60), share=st.floats(0.2, 0.8), seed=st.integers(0, 99))
def test_every_record_has_one_part_and_every_pair_one_member(n, share, seed):
    data, members = dataset(n), members_of(n, max(2, round(n * share)))
    pairing = draw_pairing(data, members, seed=seed)
    parts = np.concatenate([pairing.pairs.ravel(), pairing.common, pairing.held_out])
    assert sorted(parts) == list(range(n))
    assert (members[pairing.pairs].sum(axis=1) == 1).all()
    assert members[pairing.common].all()
    assert not members[pairing.held_out].any()
    rows = np.arange(len(pairing.pairs))
    assert members[pairing.pairs[rows, pairing.target_side]].all()


def test_a_fifth_of_the_non_members_is_held_out():
    pairing = draw_pairing(dataset(100), members_of(100, 50), seed=1)
    assert len(pairing.held_out) == 10
    assert len(pairing.pairs) == 40
    assert len(pairing.common) == 10


def test_the_draw_follows_the_seed_and_nothing_else():
    data, members = dataset(), members_of(40, 20)
    assert draw_pairing(data, members, seed=1).key == draw_pairing(data, members, seed=1).key
    assert draw_pairing(data, members, seed=1).key != draw_pairing(data, members, seed=2).key


def test_sides_are_random_so_that_the_target_is_one_more_row_of_the_pool():
    side = draw_pairing(dataset(2000), members_of(2000, 1000), seed=0).target_side
    assert 0.4 < side.mean() < 0.6


def test_copies_of_a_member_are_all_common_and_those_of_a_non_member_are_left_out():
    data = dataset(20)
    x, y = data.x.copy(), data.y.copy()
    x[[3, 15, 17]], y[[3, 15, 17]] = x[1], y[1]  # two members and two non-members
    x[13], y[13] = x[12], y[12]  # two non-members
    x[14], y[14] = x[2], 1 - y[2]  # another label: no copy
    x[5], x[6], y[6] = 0.0, -0.0, y[5]  # two members that differ in nothing but the sign of 0
    pairing = draw_pairing(Dataset(data.ids, x, y, 2), members_of(20, 10), seed=0, pairs=6)
    assert set(pairing.pairs[np.arange(6), pairing.target_side]) == {0, 2, 4, 7, 8, 9}
    assert pairing.common.tolist() == [1, 3, 5, 6]
    outside = {*pairing.pairs[np.arange(6), 1 - pairing.target_side], *pairing.held_out}
    assert outside == {10, 11, 12, 14, 16, 18, 19}
    assert pairing.dropped == 3
    # What the target was trained on, every shadow model trains on in number.
    assert len(pairing.pairs) + len(pairing.common) == 10
    once = Recipe("memory_assets.models.mlp:mlp", {}, deduplicate=True)
    assert common_rows(once, x, pairing.pairs, pairing.common).tolist() == [1, 5]


@pytest.mark.parametrize("pairs", [1, 21])
def test_more_or_fewer_pairs_than_possible_are_refused(pairs):
    with pytest.raises(InputError, match=r"pool.pairs.*expected 2 to 20 pairs"):
        draw_pairing(dataset(), members_of(40, 20), seed=0, pairs=pairs)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id", "r1", "r99"], "member 2 of 2 is no id in"),
        (["id", "r1", "r1"], "'r1' stands more than once"),
        (["id"], "no member ids"),
        (["id", *(f"r{i}" for i in range(40))], "all 40 records are members"),
    ],
)
def test_bad_member_lists_are_one_clear_line(tmp_path, lines, message):
    path = tmp_path / "members.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=message) as error:
        load_members(path, dataset())
    assert str(path) in str(error.value)


def test_members_with_and_without_a_header(tmp_path):
    path = tmp_path / "members.csv"
    for text in ("id\nr3\nr5\n", "r3\nr5\n"):
        path.write_text(text)
        assert np.flatnonzero(load_members(path, dataset()).mask).tolist() == [3, 5]


def test_a_missing_list_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"no file .*members.csv; list there the ids"):
        load_members(tmp_path / "members.csv", dataset())
