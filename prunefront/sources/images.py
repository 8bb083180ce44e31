"""Images: resized from arrays, or in files that are not read before they are needed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from prunefront.common.errors import InputError, cause
from prunefront.common.sizes import check_size

Image.MAX_IMAGE_PIXELS = None  # how large an image may be follows from the memory that there is

CHUNK = 32
"""How many images are in memory at once while they are prepared."""
READERS = os.cpu_count() or 1
"""How many images are decoded at once."""
PIXEL = 8
"""Bytes that a pixel takes while its image is decoded and converted: 4 each, as Pillow keeps colours."""
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


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
        """All images in order, up to `CHUNK` at a time.

        Raises:
            InputError: a file that does not decode, or is too large for the memory.
        """
        with ThreadPoolExecutor(READERS) as pool:
            for start in range(0, len(self.paths), CHUNK):
                yield np.stack(list(pool.map(self._read, self.paths[start : start + CHUNK])))

    def _read(self, path: str) -> np.ndarray:
        expected = f"{path}: expected a BMP, GIF, JPEG, PNG or WebP image"
        if not Path(str(path)).is_file():  # a pipe would be waited for
            raise InputError(f"{expected}. Received: no file, but a pipe, a device or a link to nothing")
        try:
            with Image.open(str(path)) as file:  # reads no more than the header
                check_size(file.width * file.height * PIXEL * READERS, f"{path}, {file.width}x{file.height} pixels")
                image: Image.Image = file
                ImageOps.exif_transpose(image, in_place=True)
                if image.mode.startswith(("I", "F")):  # 16 bits a pixel, which Pillow would clip
                    image = Image.fromarray((np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
                if "transparency" in image.info:
                    image = image.convert("RGBA")
                mode = "L" if self.channels == 1 else "RGB"
                colour = image if image.mode == mode else image.convert(mode)
                resized = colour.resize((self.size[1], self.size[0]), Image.Resampling.BILINEAR)
        except (MemoryError, InputError):
            raise
        except Exception as error:  # a damaged file raises almost anything
            raise InputError(f"{expected}. Received: a file that does not decode ({cause(error)})") from None
        return np.asarray(resized).reshape(*self.size, self.channels)


def images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The images of each class, both sorted by name; each class must have one."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise InputError(
            f"{folder}: expected one folder of images for each of 2 or more classes. Received: {len(classes)} folders"
        )
    images = {}
    for path in classes:
        files = sorted(file for file in path.rglob("*") if not file.is_dir() and not file.name.startswith("."))
        images[path.name] = [file for file in files if file.suffix.lower() in SUFFIXES]
        skipped = len(files) - len(images[path.name])
        if skipped == len(files):
            raise InputError(f"{path}: expected images ({', '.join(SUFFIXES)}) in each class folder. Received: none")
        if skipped:
            warnings.warn(f"{path}: {skipped} files that are not {', '.join(SUFFIXES)} are left out", stacklevel=2)
    return images


def resize(images: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Images resized bilinearly (Pillow's), channel by channel.

    Args:
        images: shape (n, height, width, channels), uint8 or float.
        size: (height, width) in pixels; None leaves the images as they are.

    Returns:
        Images of shape (n, *size, channels) and the dtype given.
    """
    if size is None or images.shape[1:3] == tuple(size):
        return images
    whole = images.dtype.kind in "iu"
    out = np.empty((len(images), *size, images.shape[3]), images.dtype)
    for position, image in enumerate(images):
        for channel in range(image.shape[2]):
            plane = Image.fromarray(image[:, :, channel].astype(np.float32))
            resized = np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR))
            out[position, :, :, channel] = np.rint(resized) if whole else resized
    return out
