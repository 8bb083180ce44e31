"""What the files of this folder share: a fault is made in an empty folder, met by a call, and answered by one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from prunefront import InputError


class Fault(NamedTuple):
    """One fault.

    Attributes:
        make: given an empty folder, makes what is bad there and returns it, as a rule a path.
        meet: the call that is given it.
        message: a regular expression that is found in the error's line.
    """

    make: Callable[[Path], Any]
    meet: Callable[[Any], object]
    message: str


def refused(fault: Fault, folder: Path) -> None:
    """Checks that the call raises InputError with the right line, and leaves nothing half-written in the folder."""
    bad = fault.make(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match=fault.message) as caught:
        fault.meet(bad)
    assert "\n" not in str(caught.value)
    assert sorted(folder.rglob("*")) == before
