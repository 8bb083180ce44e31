"""Examples that stay on disk: files of images, and rows of a `.npy` file, read a few at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from prunefront.errors import InputError, cause

CHUNK = 32
"""How many examples are in memory at once while they are prepared."""


@dataclass(frozen=True)
class ImageFiles:
    """Images that have not been read yet, as an array of them would look.

    Attributes:
        paths: text array of shape (n,).
        size: height and width in pixels that they are resized to (bilinear, Pillow's).
        channels: 1 (grey) or 3 (RGB).
    """

    paths: np.ndarray
    size: tuple[int, int]
    channels: int

    dtype = np.dtype(np.uint8)
    ndim = 4

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.paths), *self.size, self.channels)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> ImageFiles:
        return replace(self, paths=self.paths[index])

    def chunks(self) -> Iterator[np.ndarray]:
        """All images in order, up to `CHUNK` at a time. Raises InputError for a file that does not decode."""
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(self.paths), CHUNK):
                yield np.stack(list(pool.map(self._read, self.paths[start : start + CHUNK])))

    def _read(self, path: str) -> np.ndarray:
        try:
            with Image.open(str(path)) as file:
                image = ImageOps.exif_transpose(file)
                if image.mode.startswith(("I", "F")):  # 16 bits a pixel, which Pillow would clip
                    image = Image.fromarray((np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
                if "transparency" in image.info:
                    image = image.convert("RGBA")
                colour = image.convert("L" if self.channels == 1 else "RGB")
                resized = colour.resize((self.size[1], self.size[0]), Image.Resampling.BILINEAR)
        except MemoryError:
            raise
        except Exception as error:  # a damaged file raises almost anything
            raise InputError(
                f"{path}: expected a BMP, GIF, JPEG, PNG or WebP image. Received: a file that does not decode "
                f"({cause(error)})"
            ) from None
        return np.asarray(resized).reshape(*self.size, self.channels)


class Stored:
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
        first = self.rows(np.arange(1))
        self.shape, self.dtype = (self.count, *first.shape[1:]), first.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.row_shape) * self.row_dtype.itemsize

    def __len__(self) -> int:
        return self.count

    def rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The examples with these numbers, in this order."""
        raw = np.empty((len(indices), *self.row_shape), self.row_dtype)
        with self.path.open("rb", buffering=0) as file:
            for position, index in enumerate(indices):
                file.seek(self.start + int(index) * self._row_bytes)
                file.readinto(raw[position].data)
        return self.convert(raw)

    def converted(self, further: Callable[[np.ndarray], np.ndarray]) -> Stored:
        """The same with one conversion more."""
        return Stored(self.path, lambda raw: further(self.convert(raw)))


def write_npy(path: Path, examples: np.ndarray | ImageFiles) -> None:
    """Writes a `.npy` file, images a few at a time."""
    if isinstance(examples, np.ndarray):
        np.save(path, examples)
        return
    header = {"descr": np.lib.format.dtype_to_descr(examples.dtype), "fortran_order": False, "shape": examples.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in examples.chunks():
            file.write(chunk.data)
