"""The one exception that a user is meant to read."""

import re


class InputError(ValueError):
    """Bad input: a single line that says what was expected, what was received and what to do.

    The stage commands print it without a traceback and exit with status 1.
    """

    def __init__(self, message: str):
        super().__init__(_shortened(" ".join(message.split()), 2000))


def cause(error: BaseException) -> str:
    """Another library's error in one short line, to be quoted in an InputError."""
    plain = re.sub(r"\x1b\[\d*m", "", str(error))  # TensorFlow colours some of its messages
    text = " ".join(f"{type(error).__name__}: {plain}".split())
    return _shortened(text, 300)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
