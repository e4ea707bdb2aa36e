"""The world of `ways_world`, with training code of the owner's in files that a test writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "workflows"))
from ways_world import World, make_world

from memory_assets.pool.blocks import load_block
from memory_assets.workflows import shadows

FIT = """
import numpy as np

def fit(x, y, seed):
    {late}
    return lambda asked: np.tile([1 - LEVEL, LEVEL], (len(asked), 1))
"""
LEVEL = "LEVEL = {}\n"


@dataclass(frozen=True)
class CodeWorld:
    """A project whose shadow models answer `LEVEL` for class 1; helpers say what that is."""

    world: World

    @property
    def root(self) -> Path:
        return self.world.root

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def train(self, **way: Any) -> tuple[bool, float]:
        """Whether the pool of now was trained and not reused; and what its models answer."""
        subject = self.world.subject(**way)
        reused = all(self.world.train(subject).values())
        plan = shadows.plan_pool(subject, self.root, self.world.prepared(subject))
        file = self.world.store.path(shadows.BLOCK_KIND, plan.keys[0], shadows.TENSORS)
        said = np.unique(load_block(file)["probabilities"][..., 1].round(6))
        assert len(said) == 1
        return not reused, float(said[0])

    def pool_key(self, **way: Any) -> str:
        return self.world.pool_key(self.world.subject(**way))


@contextmanager
def code_world(root: Path, patch: pytest.MonkeyPatch) -> Iterator[CodeWorld]:
    """Within, the project's root is the current folder; its modules are forgotten afterwards."""
    patch.chdir(root)
    patch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield CodeWorld(make_world(root))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or root).startswith(str(root)):
            del sys.modules[name]
