"""The one error that a user is meant to read."""

from __future__ import annotations

import os
from pathlib import Path

_LONGEST = 1000


def printable(text: str) -> str:
    """Text from outside as a terminal may show it: on one line, control characters as `\\x1b`.

    A name can hold escape sequences that move a cursor, or marks that turn the order of letters.
    """
    whole = " ".join(text.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in whole)


def place_of(error: BaseException) -> str:
    """Type of an error and the line of code that raised it, as `ValueError at loading.py:37`.

    What an unexpected error says may quote a record; where it came from may not.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno:
        name += f" ({os.strerror(error.errno)})"
    if trace is None:
        return name
    return f"{name} at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


class InputError(ValueError):
    """Something the user gave is wrong, and they can put it right.

    The message is one line: which file, field and value; what was expected; what to do.
    The command line prints it as it stands and exits with 2. It never carries a record,
    a label or a secret: records appear by id.
    """

    def __init__(self, message: str) -> None:
        line = printable(message)
        if len(line) > _LONGEST:
            line = f"{line[:_LONGEST]}... ({len(line)} characters)"
        super().__init__(line)
