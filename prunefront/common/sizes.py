"""How much may be read at once: what a file declares is looked at before anything is unpacked."""

import functools
import math
import os
from collections.abc import Iterator
from pathlib import Path

from prunefront.common.errors import InputError

VARIABLE = "PRUNEFRONT_MEMORY_GIB"
"""The environment variable that sets the limit, in GiB."""

_GIB = 2**30


def memory_limit() -> int:
    """How many bytes one file may unpack to: half of the memory that this process may use, or what the user says.

    Raises:
        InputError: the environment variable PRUNEFRONT_MEMORY_GIB is set, but to no positive number.
    """
    said = os.environ.get(VARIABLE)
    if said is None:
        return _usable() // 2
    try:
        gib = float(said)
    except ValueError:
        gib = math.nan
    if not 0 < gib < math.inf:
        raise InputError(f"Expected {VARIABLE} to be a positive number of GiB, for example 16. Received: {said!r}")
    return math.ceil(gib * _GIB)


def check_size(declared: int, what: str) -> None:
    """Raises InputError if something declares to be larger than the limit.

    Args:
        declared: its size once it is unpacked, in bytes.
        what: how the message calls it, as a rule its path.
    """
    limit = memory_limit()
    if declared > limit:
        raise InputError(
            f"{what}: expected at most {_gib(limit)} unpacked; the environment variable {VARIABLE} allows more "
            f"(without it: half of the memory). Received: {_gib(declared)}"
        )


@functools.cache
def _usable() -> int:
    """The memory that this process may use, in bytes, as it finds it when it first looks."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_group_limits()])


def _group_limits() -> Iterator[int]:
    """The memory limits of the control groups that this process is in, as containers set them."""
    for line in _lines(Path("/proc/self/cgroup")):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "":
            root, name = Path("/sys/fs/cgroup"), "memory.max"
        elif "memory" in controllers.split(","):
            root, name = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        else:
            continue
        inner = root / group.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(root):
                yield from (int(text) for text in _lines(folder / name) if text.isdigit())  # or "max"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:  # another system, or no control groups
        return []


def _gib(size: int) -> str:
    return f"{size / _GIB:.3g} GiB" if size < 1000 * _GIB else f"{size / _GIB:,.0f} GiB"
