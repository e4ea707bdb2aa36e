"""Records as every instrument sees them: ids, inputs, labels, and one digest of the three."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memory_assets.errors import InputError, place_of
from memory_assets.owner.loading import as_it_is_now
from memory_assets.store.digest import digest

if TYPE_CHECKING:
    from memory_assets.records.labels import Labels

LONGEST_ID = 1000
"""Characters of a record's id."""


@dataclass(frozen=True)
class Dataset:
    """N labelled records in a fixed order.

    `ids` are unique texts `[N]`; `x` float32 `[N, *record]`; `y` int64 `[N]` in `0..classes-1`.
    `names_digest` digests what the classes are called at their source, in their order, since names
    may be private; empty where the source holds these very numbers.
    `notices` says in one line each what was taken or left out by a rule on reading; it is no part
    of the digest.

    Raises:
        InputError: shapes that disagree, repeated ids, a label out of range, fewer than two
            classes, or an input that is not finite (records appear by id only).
    """

    ids: NDArray[np.str_]
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    classes: int
    source: str = "records"
    names_digest: str = ""
    notices: tuple[str, ...] = ()
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if len(self.x) != n or len(self.y) != n or n == 0:
            raise InputError(
                f"{self.source}: {n} ids, {len(self.x)} inputs and {len(self.y)} labels; "
                "expected the same number of each, at least one"
            )
        if (
            bad := next((i for i, name in enumerate(self.ids) if not _is_name(name)), None)
        ) is not None:
            raise InputError(
                f"{self.source}: the id of record {bad + 1} is no name (half a character, or more "
                f"than {LONGEST_ID} of them); give it another"
            )
        unique, counts = np.unique(self.ids, return_counts=True)
        if len(unique) < n:
            raise InputError(
                f"{self.source}: record id {str(unique[counts > 1][0])!r} stands more than once; "
                "give every record an id of its own"
            )
        if self.classes < 2:
            raise InputError(f"{self.source}: {self.classes} class(es); expected at least 2")
        outside = (self.y < 0) | (self.y >= self.classes)
        if outside.any():
            i = int(outside.argmax())
            raise InputError(
                f"{self.source}: the label of record {str(self.ids[i])!r} is out of range; "
                f"expected 0 to {self.classes - 1}"
            )
        finite = np.isfinite(self.x.reshape(n, -1)).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{self.source}: record {str(self.ids[int((~finite).argmax())])!r} holds a value "
                "that is not finite; clean or drop it"
            )
        if not (self.y != self.y[0]).any():
            raise InputError(
                f"{self.source}: all {n} records have the same label; expected at least 2 classes"
            )
        named = [self.names_digest] if self.names_digest else []
        made_of = digest(self.ids, self.x, self.y, self.classes, *named)
        object.__setattr__(self, "digest", made_of)

    @classmethod
    def labelled(
        cls,
        ids: NDArray[np.str_],
        x: NDArray[np.float32],
        labels: Labels,
        source: str,
        notices: Iterable[str] = (),
    ) -> Dataset:
        """Records with labels as a file holds them."""
        codes, classes, names = labels.codes, labels.classes, labels.names_digest
        return cls(ids, x, codes, classes, source, names, tuple(notices))

    def __len__(self) -> int:
        return len(self.ids)


def _is_name(name: str) -> bool:
    """Whether an id can be written down: half of a surrogate pair has no form in UTF-8."""
    return len(name) <= LONGEST_ID and (
        name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)
    )


def import_attribute(reference: str, source: str) -> Callable[..., Any]:
    """Import `package.module:name`, also from the current folder, as its files are now.

    Raises:
        InputError: the reference is malformed, or the module or name does not exist.
    """
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise InputError(f"{source}: {reference!r}; expected the form package.module:function")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        with as_it_is_now(module_name, source):
            module = importlib.import_module(module_name)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"{source}: cannot import {module_name!r} ({error})") from error
    except (Exception, SystemExit) as error:  # whatever the owner's code raises
        raise InputError(f"{source}: importing {module_name!r} raised {place_of(error)}") from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise InputError(f"{source}: module {module_name!r} has no {name!r}") from error
