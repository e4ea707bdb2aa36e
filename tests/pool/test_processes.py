import os
import signal
import time

import pytest

from memory_assets.pool.processes import in_processes


def twice(value: int) -> tuple[int, int]:
    return 2 * value, os.getpid()


def fail_or_sleep(seconds: float) -> None:
    if not seconds:
        raise ValueError("no")
    time.sleep(seconds)


def test_results_come_in_order_from_other_processes():
    found = list(in_processes(twice, [(i,) for i in range(5)], 2))
    assert [value for value, _ in found] == [0, 2, 4, 6, 8]
    assert os.getpid() not in {process for _, process in found}


def test_one_process_is_this_one():
    assert list(in_processes(twice, [(3,)], 8)) == [(6, os.getpid())]
    assert list(in_processes(twice, [(1,), (2,)], 1)) == [(2, os.getpid()), (4, os.getpid())]
    assert list(in_processes(twice, [], 2)) == []


@pytest.fixture
def deaf():
    """As started by a shell that ignores what would end us."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("deaf")
def test_what_fails_does_not_wait_for_the_others():
    began = time.monotonic()
    with pytest.raises(ValueError, match="no"):
        list(in_processes(fail_or_sleep, [(0,), (600,)], 2))
    assert time.monotonic() - began < 300
