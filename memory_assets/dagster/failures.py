"""An input error stays one clear line on its way through Dagster, and no error quotes a record."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from memory_assets.errors import InputError, place_of
from memory_assets.store.disk import explain

DEBUG = "MEMORY_ASSETS_DEBUG"
"""Set, an error that nobody expected is shown whole: what it says could quote a record."""

REFUSED = 2
BROKEN = 3
"""Exit codes: the user can put it right, and a fault of this program or machine. The higher one is
the worse, and both are worse than 0."""

T = TypeVar("T")


class StepFailed(Exception):  # noqa: N818 - it says what happened
    """A step of the graph broke: a fault of this program or machine, not of the input."""


def said_of(error: Exception | SystemExit, home: Path) -> tuple[str, int]:
    """What is told of an error in one line, and the exit code that it means."""
    if isinstance(error, InputError):
        return str(error), REFUSED
    if isinstance(error, StepFailed):
        return str(error), BROKEN
    if (explained := explain(error, home)) is not None:
        return str(explained), REFUSED
    told = (
        f"a fault of this program or machine: {place_of(error)}; "
        f"its text could quote records, {DEBUG}=1 shows it"
    )
    return told, BROKEN


@dataclass(frozen=True)
class NotDone:
    """One thing of many that could not be done; the others were.

    `about` says of the subject what it is: a version, an option, its pool; empty where it is all
    of the subject. `text` is one line, and `code` the exit code that it means.
    """

    subject: str
    about: str
    text: str
    code: int = REFUSED

    @property
    def line(self) -> str:
        who = f"{self.subject} {self.about}".rstrip()
        return f"{who}: {self.text}"


def attempt(
    not_done: list[NotDone], home: Path, subject: str, about: str, work: Callable[[], T]
) -> T | None:
    """What the work returns; where it fails, None, and `not_done` has one entry more.

    An interrupt is no failure of the work, and goes through. Code of an owner that ends the program
    (`sys.exit`) is one: it would take the other subjects with it, and choose the exit code.
    """
    try:
        return work()
    except (Exception, SystemExit) as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        not_done.append(NotDone(subject, about, *said_of(error, home)))
        return None


class Withheld(Exception):  # noqa: N818 - it says what was done
    """An unexpected error by its type and place: what it said could quote a record."""


@contextmanager
def clear_failures() -> Iterator[None]:
    """Turn an `InputError` into a failure that is shown as it stands and not retried.

    Dagster keeps an error with everything that caused it, texts included, in its event log. So
    nothing that caused it goes along, and any other error only says where it arose.
    """
    try:
        yield
    except InputError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    except (Exception, SystemExit) as error:
        raise Withheld(place_of(error)).with_traceback(error.__traceback__) from None


def root_cause(error: SerializableErrorInfo | None) -> SerializableErrorInfo | None:
    """What a step raised, beneath what Dagster wrapped around it."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error


def told_of(error: SerializableErrorInfo | None) -> str:
    """What may be told of the error of a step: its type, and its place where it was withheld."""
    if error is None:
        return "failed"
    if error.cls_name == Withheld.__name__:
        return error.message.strip().rpartition(f"{Withheld.__name__}: ")[2]
    return error.cls_name or "failed"
