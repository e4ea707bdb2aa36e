"""How much memory records may ask for: what a file claims is checked before it is believed.

A few kilobytes can claim terabytes: a header with a large shape, zeros compressed a thousandfold, a
column that repeats one value. Each reader says what a file will take before it reads on.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

from memory_assets.errors import InputError

MOST_CLASSES = 100_000
"""More classes than any classifier here is asked about; a label of 2^60 would be one."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_SHARE = 0.5  # the other half is for what is made of the records


def memory_budget() -> int:
    """Bytes that records may take: half of what the machine, its container or a limit allows."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    with suppress(OSError, ValueError):  # no such file, or "max"
        limits.append(int(_CGROUP.read_text(encoding="ascii")))
    return int(_SHARE * min(limits))


def afford(wanted: int, path: Path | str, what: str = "its records") -> None:
    """Go on if `wanted` bytes can be had.

    Raises:
        InputError: they cannot; the file claims too much, or belongs on a larger machine.
    """
    if wanted > (most := memory_budget()):
        raise InputError(
            f"{path}: {what} would take {wanted / 2**30:,.1f} GiB, and {most / 2**30:,.1f} GiB can "
            "be had; the file is damaged or forged, or needs a larger machine"
        )
