"""Attributes of one object, replaced for a while."""

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def replaced(thing: Any, name: str, new: Any) -> Iterator[None]:
    """Gives an object another attribute, such as a method, for the length of the block.

    Afterwards it is as before: an attribute of the object's own is put back, one of its class shows through again.

    Args:
        thing: of any class with a `__dict__`.
        name: of the attribute.
        new: its value meanwhile.
    """
    own, plain = name in vars(thing), getattr(thing, name)
    setattr(thing, name, new)
    try:
        yield
    finally:
        if own:
            setattr(thing, name, plain)
        else:
            delattr(thing, name)
