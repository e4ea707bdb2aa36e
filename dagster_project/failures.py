"""An input error stays one clear line on its way through Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from memory_assets.errors import InputError


class StepFailed(Exception):  # noqa: N818 - it says what happened
    """A step of the graph broke: a fault of this program or machine, not of the input."""


@contextmanager
def clear_failures() -> Iterator[None]:
    """Turn an `InputError` into a failure that is shown as it stands and not retried."""
    try:
        yield
    except InputError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def root_cause(error: SerializableErrorInfo | None) -> SerializableErrorInfo | None:
    """What a step raised, beneath what Dagster wrapped around it."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error
