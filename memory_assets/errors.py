"""The one error that a user is meant to read."""


class InputError(ValueError):
    """Something the user gave is wrong, and they can put it right.

    The message is one line: which file, field and value; what was expected; what to do.
    The command line prints it as it stands and exits with 2. It never carries a record,
    a label or a secret: records appear by id.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
