"""The prepared splits, read: each is written once, by the stage `prepare`, and read by every stage behind it.

The prepared folder holds `train_x.npy`, `train_y.npy`, the same for `validation` and `test`, and `about.json`.
"""

from collections.abc import Sequence
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
COLOURS = (1, 3, 4)
"""Channels of grey images, of colour images, and of those with transparency."""
COMMON = 0.8
"""The share of a class above which an accuracy looks good that is none."""
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
        if not (x.ndim >= 1 and y.shape == (len(x),) and y.dtype == np.int64 and len(y)):
            raise ValueError(f"{name} examples of shape {x.shape} and labels of shape {y.shape} and dtype {y.dtype}")
        if not 0 <= y.min() <= y.max() < len(about.class_names):
            raise ValueError(f"labels from {y.min()} to {y.max()} and {len(about.class_names)} classes")
        if isinstance(x, np.ndarray) and not np.isfinite(x).all():
            raise ValueError("NaN or infinity")
    except Exception as error:  # a damaged file raises almost anything
        raise _unprepared(folder, cause(error)) from None
    return Split(x, y)


def read_labels(name: str, folder: Path = PREPARED) -> np.ndarray:
    """The classes of a prepared split alone, shape (n,), int64. Raises InputError if they cannot be read."""
    try:
        return _read_npy(folder / f"{name}_y.npy")
    except Exception as error:  # a damaged file raises almost anything
        raise _unprepared(folder, cause(error)) from None


def _read_npy(path: Path) -> np.ndarray:
    """An array of numbers; unlike numpy.load it takes no archives."""
    with path.open("rb") as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path.name} holds no numbers")
    return array


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


def majority_doubt(y: np.ndarray, class_names: Sequence[str], gate: float) -> str | None:
    """What is to be said where one class is so common that the accuracy tells little; None if none is.

    Args:
        y: shape (n,), the classes of the validation split.
        class_names: of all classes.
        gate: the accuracy that has to be exceeded for a score.
    """
    largest = int(np.bincount(y).argmax())
    share = float((y == largest).mean())
    if share < COMMON and share <= gate:
        return None
    gated = f", which is above pareto.gate, {gate:g}" if share > gate else ""
    return (
        f"{share:.1%} of the validation examples are of class {class_names[largest]}, so that a network that always "
        f"says so has that accuracy{gated}: accuracies tell little here"
    )


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
            f"Expected images of shape (height, width, channels) for the built-in network; uint8 arrays of shape "
            f"(n, height, width) are grey ones. Received: examples of shape {tuple(shape)}"
        )
    check_channels(shape, "the built-in network")
    if min(shape[:2]) < SMALLEST:
        raise InputError(
            f"Expected images of at least {SMALLEST}x{SMALLEST} pixels for the built-in network; set data.image_size "
            f"to [{SMALLEST}, {SMALLEST}] or more. Received: {shape[0]}x{shape[1]}"
        )


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether the shape of an example is that of an image with the channels in front: (3, height, width)."""
    return len(shape) == 3 and shape[0] in COLOURS and shape[2] not in COLOURS and min(shape[1:]) > max(COLOURS)


def check_channels(shape: tuple[int, ...], where: str) -> None:
    """Raises InputError if examples of this shape are images with the channels in front."""
    if channels_first(shape):
        raise InputError(
            f"{where}: expected images of shape (height, width, channels); x.transpose(0, 2, 3, 1) makes them so. "
            f"Received: {tuple(shape)}, with the channels in front"
        )
