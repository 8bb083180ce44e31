"""What the file of each layer hands to the driver."""

from dataclasses import dataclass

from prunefront.c_code.planes import Planes


@dataclass(frozen=True)
class Place:
    """A tensor in the workspace.

    Attributes:
        name: the pointer to its first number, in C.
        planes: how it lies there.
    """

    name: str
    planes: Planes


@dataclass(frozen=True)
class Code:
    """The C of one layer.

    Attributes:
        body: the statements.
        tables: constant arrays that these read.
        note: what the comment above says besides the layer's name, kind and shape.
        largest: the largest position in the tables.
    """

    body: str
    tables: str = ""
    note: str = ""
    largest: int = 0
