"""Where the user's own data lie."""

from pathlib import Path

from prunefront.common.errors import InputError
from prunefront.common.sections import NO_FILE, Data


def own_path(params: Data, what: str) -> Path:
    """The path of the user's data; raises InputError if there is none, with what is expected there."""
    if params.path == NO_FILE:
        raise InputError(f"data.path: expected {what} for data.source={params.source}. Received: {params.path}")
    if not params.path.exists():
        raise InputError(f"data.path: expected {what}. Received: {params.path}, which does not exist")
    return params.path
