"""An input error stays one clear line on its way through Dagster, and no error quotes a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from memory_assets.errors import InputError, place_of


class StepFailed(Exception):  # noqa: N818 - it says what happened
    """A step of the graph broke: a fault of this program or machine, not of the input."""


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
    except Exception as error:
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
