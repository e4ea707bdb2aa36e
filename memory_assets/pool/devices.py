"""Several devices of one machine, each to a block of its own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def own_device(kind: str, number: int) -> Iterator[str]:
    """The device that block `number` trains on: "cpu", or of several GPUs a free one as "cuda:i".

    A GPU is free when no other process of this machine is in here with it. Where none is, the
    block shares one: how many blocks run at once is for the `gpu` pool to say, not for this.
    """
    names = _identities(kind)
    if len(names) < 2:
        yield kind
        return
    folder = Path(tempfile.gettempdir()) / "memory-assets-devices"
    folder.mkdir(mode=0o777, exist_ok=True)
    order = [(number + turn) % len(names) for turn in range(len(names))]
    for place in order:
        lock = FileLock(folder / f"{names[place]}.lock", mode=0o666)
        with contextlib.suppress(Timeout):
            lock.acquire(blocking=False)
        if lock.is_locked:
            try:
                yield f"{kind}:{place}"
            finally:
                lock.release()
            return
    yield f"{kind}:{order[0]}"


def _identities(kind: str) -> list[str]:
    """What tells the devices of this machine apart, in the order in which torch counts them.

    Not their numbers: those are of what a process can see, and a Ray worker sees one, its 0.
    """
    if kind != "cuda":
        return []
    import torch

    count = torch.cuda.device_count()
    return [str(torch.cuda.get_device_properties(place).uuid) for place in range(count)]
