"""A home: the one folder under which all state lives, with its store and its history."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from memory_assets.errors import InputError
from memory_assets.history import files
from memory_assets.history.schema import is_current
from memory_assets.history.store import History
from memory_assets.store.artifacts import ArtifactStore

SETTING = "MEMORY_ASSETS_HOME"
"""The environment variable that names the home."""


@dataclass(frozen=True)
class Home:
    """All that is kept of a project's audits, under `root`.

    It is found once by whatever starts a process (the command line, a resource of Dagster) and
    handed down from there: nothing else reads where state lives.
    """

    root: Path

    @cached_property
    def store(self) -> ArtifactStore:
        """The artifacts, asked for in nobody's name."""
        return ArtifactStore(self.root)

    @cached_property
    def history(self) -> History:
        """Everything that was ever measured."""
        return History(self.root)

    @property
    def has_history(self) -> bool:
        """Whether there is a published history to ask."""
        return self.history.published.is_file()

    def brought_up_to_date(self) -> Home:
        """This home, its history migrated first where an older version wrote it.

        One that does not read, or that a newer version wrote, is left to whoever asks it.

        Raises:
            InputError: the history cannot be written.
        """
        older = False
        if self.has_history:
            published = self.history.published
            with suppress(InputError, files.DamagedError), files.reading(published) as con:
                older = not is_current(con)
        if older:
            self.history.upgrade()
        return self

    @property
    def reports(self) -> Path:
        """The pages of every subject, and of the portfolio."""
        return self.root / "reports"

    @property
    def references(self) -> Path:
        """What the assets of the graph handed each other."""
        return self.root / "references"

    def store_of(self, subject: str) -> ArtifactStore:
        """The artifacts, asked for in the name of a subject."""
        return ArtifactStore(self.root, owner=subject)

    @contextmanager
    def asked_together(self) -> Iterator[None]:
        """Questions asked inside are answered from one state of the history, opened once.

        A file that is published meanwhile is read when this ends: nothing may be written to this
        history inside. Where there is none, or it does not open, the first question says so.
        """
        with ExitStack() as held:
            with suppress(InputError, files.DamagedError):
                held.enter_context(files.reading(self.history.published))
            yield


def find_home() -> Home:
    """The home of this process: what `MEMORY_ASSETS_HOME` says, else `.memory_assets` here."""
    return Home(Path(os.environ.get(SETTING) or ".memory_assets").absolute())
