"""Several pieces of work at once, each in a process of its own, all of them ended together."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

T = TypeVar("T")


def in_processes(
    work: Callable[..., T], jobs: Sequence[tuple[Any, ...]], processes: int
) -> Iterator[T]:
    """`work(*job)` of every job, in order, up to `processes` at a time; one is done right here.

    Processes are started anew and not forked: a fork would inherit the locks of running threads.
    Whatever stops this one, an interrupt too, stops them at once.
    """
    count = min(processes, len(jobs))
    if count < 2:
        yield from (work(*job) for job in jobs)
        return
    others = set(active_children())
    workers = ProcessPoolExecutor(count, get_context("spawn"), initializer=_end_when_told)
    try:
        yield from workers.map(work, *zip(*jobs, strict=True))
    except BaseException:
        for process in set(active_children()) - others:
            # Not `terminate`: who started us may have had that signal ignored, and it is inherited.
            process.kill()
        raise
    finally:
        workers.shutdown(cancel_futures=True)


def _end_when_told() -> None:
    """An interrupt from the keyboard reaches every process; these end without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
