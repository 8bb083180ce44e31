"""The prepared splits, read: each is written once, by the stage `prepare`, and read by every stage behind it.

The prepared folder holds `train_x.npy`, `train_y.npy`, the same for `validation` and `test`, and `about.json`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from prunefront.common.errors import InputError, cause
from prunefront.common.files import read_json
from prunefront.data.rows import RowsOnDisk

PREPARED = Path("data/prepared")
SMALLEST = 10
"""Height and width in pixels below which the built-in network's second pooling has nothing left."""
SPLITS = ("train", "validation", "test")

PixelRange = tuple[float, float] | None


@dataclass(frozen=True)
class Split:
    """Examples as a network takes them, and their classes.

    Attributes:
        x: shape (n, ...), finite floats or integers; an array in memory, or rows on disk, which look like one.
        y: shape (n,), int64 classes from 0.
    """

    x: np.ndarray | RowsOnDisk
    y: np.ndarray


class About(BaseModel, frozen=True, allow_inf_nan=False):
    """What prepared splits are about; `streamed` is whether the examples stay on disk."""

    class_names: Annotated[tuple[str, ...], Field(min_length=2)]
    pixel_range: PixelRange
    streamed: bool


def read_split(name: str, folder: Path = PREPARED) -> Split:
    """One prepared split as a network takes it: uint8 images scaled to float32, integers as int32, others as float32.

    Reads no other split; of image folders not even that, but what is asked for later.

    Args:
        name: "train", "validation" or "test".

    Raises:
        InputError: the data have not been prepared, or the files are damaged.
    """
    about = _read_about(folder)

    def convert(x: np.ndarray) -> np.ndarray:
        return scaled(x, about.pixel_range)

    try:
        y = _read_npy(folder / f"{name}_y.npy")
        path = folder / f"{name}_x.npy"
        x = RowsOnDisk(path, convert) if about.streamed else convert(_read_npy(path))
        if not (x.ndim > 1 and y.shape == (len(x),) and y.dtype == np.int64 and len(y)):
            raise ValueError(f"{name} examples of shape {x.shape} and labels of shape {y.shape} and dtype {y.dtype}")
        if not 0 <= y.min() <= y.max() < len(about.class_names):
            raise ValueError(f"labels from {y.min()} to {y.max()} and {len(about.class_names)} classes")
        if isinstance(x, np.ndarray) and not np.isfinite(x).all():
            raise ValueError("NaN or infinity")
    except Exception as error:  # a damaged file raises almost anything
        raise _unprepared(folder, cause(error)) from None
    return Split(x, y)


def _read_npy(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def scaled(x: np.ndarray, pixel_range: PixelRange) -> np.ndarray:
    """Examples as a network takes them.

    Args:
        x: shape (n, ...); of rank 4 they are images.
        pixel_range: what 0 and 255 of uint8 images become; None leaves all values as they are.

    Returns:
        float32, or int32 for integers that are no images.
    """
    if x.ndim == 4 and x.dtype == np.uint8 and pixel_range is not None:
        low, high = pixel_range
        unit = x.astype(np.float32) / 255
        return unit if (low, high) == (0, 1) else np.float32(low) + np.float32(high - low) * unit
    return x.astype(np.int32 if x.dtype.kind in "iu" and x.ndim != 4 else np.float32, copy=False)


def read_class_names(folder: Path = PREPARED) -> tuple[str, ...]:
    """The names of the classes, in the order of their numbers."""
    return _read_about(folder).class_names


def _read_about(folder: Path) -> About:
    try:
        return read_json(folder / "about.json", About)
    except InputError as error:
        raise _unprepared(folder, str(error)) from None


def _unprepared(folder: Path, received: str) -> InputError:
    return InputError(
        f"Expected prepared data in {folder}; run `dvc repro`, or first `prunefront prepare`. Received: {received}"
    )


def check_images(shape: tuple[int, ...]) -> None:
    """Raises InputError unless examples of this shape fit the built-in network."""
    if len(shape) != 3:
        raise InputError(
            f"Expected images of shape (height, width, channels) for the built-in network. "
            f"Received: examples of shape {tuple(shape)}"
        )
    if min(shape[:2]) < SMALLEST:
        raise InputError(
            f"Expected images of at least {SMALLEST}x{SMALLEST} pixels for the built-in network; set data.image_size "
            f"to [{SMALLEST}, {SMALLEST}] or more. Received: {shape[0]}x{shape[1]}"
        )
