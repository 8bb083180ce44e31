"""Examples that stay on disk: rows of a `.npy` file, read a few at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np


class RowsOnDisk:
    """The rows of a `.npy` file, read as they are asked for and converted then; otherwise like an array of them.

    Plain reads instead of a memory map, so that no limit on memory counts the file.

    Args:
        path: of a file in C order.
        convert: from rows as in the file, shape (k, ...), to examples, shape (k, ...).
    """

    def __init__(self, path: Path, convert: Callable[[np.ndarray], np.ndarray]):
        self.path, self.convert = path, convert
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            (self.count, *self.row_shape), fortran, self.row_dtype = np.lib.format.read_array_header_1_0(file)
            self.start = file.tell()
        if fortran or self.row_dtype.hasobject:
            raise ValueError("expected plain numbers in C order")
        if path.stat().st_size != self.start + self.count * self._row_bytes:
            raise ValueError(f"{path}: the file is not whole")
        first = self[:1]
        self.shape, self.dtype = (self.count, *first.shape[1:]), first.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.row_shape) * self.row_dtype.itemsize

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        """The examples of a slice, or with these numbers in this order, in memory."""
        numbers = range(*chosen.indices(self.count)) if isinstance(chosen, slice) else chosen
        raw = np.empty((len(numbers), *self.row_shape), self.row_dtype)
        with self.path.open("rb", buffering=0) as file:
            for position, index in enumerate(numbers):
                file.seek(self.start + int(index) * self._row_bytes)
                file.readinto(raw[position].data)
        return self.convert(raw)

    def converted(self, further: Callable[[np.ndarray], np.ndarray]) -> RowsOnDisk:
        """The same with one conversion more."""
        return RowsOnDisk(self.path, lambda raw: further(self.convert(raw)))
