"""Bounds that a hostile input must not break: memory by the kernel, time by the processor."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _mapped() -> int:
    """Bytes of address space that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


@contextmanager
def bounded(gib: float = 2, seconds: float = 10) -> Iterator[None]:
    """No more than this much further address space, and processor time.

    An allocation beyond it fails as it would on a small machine.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + int(gib * 2**30), before[1]))
    started = time.process_time()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    spent = time.process_time() - started
    assert spent < seconds, f"took {spent:.1f} s of processor time"
