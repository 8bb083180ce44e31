"""The one exception that a user is meant to read."""


class InputError(ValueError):
    """Bad input: a single line that says what was expected, what was received and what to do.

    The stage commands print it without a traceback and exit with status 1.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))
