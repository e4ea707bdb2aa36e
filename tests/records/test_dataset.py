import numpy as np
import pytest

from memory_assets.errors import InputError
from memory_assets.records.dataset import Dataset, import_attribute


def make(**changes):
    fields = {
        "ids": np.array(["a", "b", "c"]),
        "x": np.arange(6, dtype=np.float32).reshape(3, 2),
        "y": np.array([0, 1, 0]),
        "classes": 2,
    }
    return Dataset(**fields | changes)


def test_the_digest_follows_every_part():
    same = make()
    assert same.digest == make().digest
    changed = [
        make(ids=np.array(["a", "b", "d"])),
        make(x=np.arange(1, 7, dtype=np.float32).reshape(3, 2)),
        make(y=np.array([1, 1, 0])),
        make(classes=3),
    ]
    assert len({same.digest, *(d.digest for d in changed)}) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": np.array(["a", "b", "a"])}, "'a' stands more than once"),
        ({"y": np.array([0, 2, 0])}, "label of record 'b' is out of range; expected 0 to 1"),
        ({"y": np.array([0, -1, 0])}, "label of record 'b' is out of range"),
        ({"y": np.array([0, 1])}, "3 ids, 3 inputs and 2 labels"),
        ({"classes": 1, "y": np.zeros(3, int)}, "expected at least 2"),
        ({"x": np.array([[0, 1], [np.nan, 1], [0, 0]], np.float32)}, "'b' holds a value that is"),
    ],
)
def test_bad_records_are_named_by_id(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


@pytest.mark.parametrize("reference", ["no-colon", "nowhere:load", "json:nothing"])
def test_a_reference_that_leads_nowhere_is_named(reference):
    with pytest.raises(InputError, match=reference.split(":")[0]):
        import_attribute(reference, "records.loader")
