"""A named source to training, validation and test arrays; split once, written once, read by every stage.

The prepared folder holds `train_x.npy`, `train_y.npy`, the same for `validation` and `test`, and `about.json`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.errors import InputError
from prunefront.examples import ImageFiles, Stored, write_npy
from prunefront.files import digest, replacing_folder, write_json
from prunefront.masks import finite_in_float32
from prunefront.params import Data

PREPARED = Path("data/prepared")
SMALLEST = 10
"""Height and width in pixels below which the built-in network's second pooling has nothing left."""
SPLITS = ("train", "validation", "test")


PixelRange = tuple[float, float] | None


@dataclass(frozen=True)
class Split:
    """Examples and their classes.

    Attributes:
        x: shape (n, ...), uint8 images, integers or finite floats; in memory, or on disk.
        y: shape (n,), int64 classes from 0.
    """

    x: np.ndarray | ImageFiles | Stored
    y: np.ndarray

    @cached_property
    def sha256(self) -> str:
        """A digest of all examples and labels."""
        content = hashlib.sha256(f"{self.x.dtype}{self.x.shape}".encode())
        if isinstance(self.x, Stored):
            content.update(digest(self.x.path).encode() + self.x.rows([0]).tobytes())
        else:
            content.update(np.ascontiguousarray(self.x).tobytes())
        content.update(self.y.tobytes())
        return content.hexdigest()

    def first(self, count: int) -> np.ndarray:
        """The first examples, in memory."""
        assert not isinstance(self.x, ImageFiles)
        return self.x.rows(range(min(count, len(self.y)))) if isinstance(self.x, Stored) else self.x[:count]

    def converted(self, convert: Callable[[np.ndarray], np.ndarray]) -> "Split":
        """The same labels with other examples, made of these by a function of a batch."""
        assert not isinstance(self.x, ImageFiles)
        return Split(self.x.converted(convert) if isinstance(self.x, Stored) else convert(self.x), self.y)


@dataclass(frozen=True)
class Dataset:
    """The three splits, with the name of each class, and the range that uint8 images are scaled to when they are read.

    Without a range, examples are fed as they are.
    """

    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    pixel_range: PixelRange = (0.0, 1.0)


def write_prepared(dataset: Dataset, folder: Path = PREPARED) -> None:
    """Writes the three splits and what they are about; the same data give the same bytes."""
    with replacing_folder(folder) as partial:
        for name in SPLITS:
            split: Split = getattr(dataset, name)
            assert not isinstance(split.x, Stored)
            write_npy(partial / f"{name}_x.npy", split.x)
            np.save(partial / f"{name}_y.npy", split.y)
        about = {
            "class_names": list(dataset.class_names),
            "pixel_range": dataset.pixel_range,
            "streamed": isinstance(dataset.train.x, ImageFiles),
        }
        write_json(partial / "about.json", about)


def read_split(name: str, folder: Path = PREPARED) -> Split:
    """One prepared split as a network takes it: uint8 images scaled to float32, integers as int32, others as float32.

    Reads no other split; of image folders not even that, but what is asked for later.

    Args:
        name: "train", "validation" or "test".

    Raises:
        InputError: the data have not been prepared, or the files are damaged.
    """
    about = _read_about(folder)
    scale = None if about["pixel_range"] is None else tuple(about["pixel_range"])

    def convert(x: np.ndarray) -> np.ndarray:
        return scaled(x, scale)

    try:
        y = np.load(folder / f"{name}_y.npy", allow_pickle=False)
        path = folder / f"{name}_x.npy"
        x = Stored(path, convert) if about["streamed"] else convert(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise _unprepared(folder, error) from None
    return Split(x, y)


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
    return tuple(_read_about(folder)["class_names"])


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return {key: about[key] for key in ("class_names", "pixel_range", "streamed")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unprepared(folder, error) from None


def _unprepared(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"Expected prepared data in {folder}; run `dvc repro`, or first `python -m stages.prepare`. Received: {error}"
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


def check(dataset: Dataset) -> Dataset:
    """The dataset, after checks that every example can be used.

    Raises:
        InputError: labels that are not integers from 0 to the number of classes - 1, another number of labels than of
            examples, NaN, examples of different shapes among the splits, or a class without a training example.
    """
    classes = len(dataset.class_names)
    if classes < 2:
        raise InputError(f"Expected at least 2 classes. Received: {classes} ({', '.join(dataset.class_names)})")
    if len(set(dataset.class_names)) != classes:
        raise InputError(f"Expected different class names. Received: {', '.join(dataset.class_names)}")
    for name in SPLITS:
        split: Split = getattr(dataset, name)
        check_labels(split.y, len(split.x), f"{name} split")
        if len(split.y) == 0:
            raise InputError(f"Expected at least one example in the {name} split. Received: none")
        if split.y.max() >= classes:
            raise InputError(
                f"{name} split: expected labels from 0 to {classes - 1}, one for each class name. "
                f"Received: a label {split.y.max()}"
            )
        if split.x.shape[1:] != dataset.train.x.shape[1:]:
            raise InputError(
                f"{name} split: expected examples of shape {dataset.train.x.shape[1:]} as in training. "
                f"Received: {split.x.shape[1:]}; set data.image_size to resize images"
            )
        if 0 in split.x.shape:
            raise InputError(f"{name} split: expected examples with values. Received: examples {split.x.shape[1:]}")
        if split.x.dtype != dataset.train.x.dtype:
            raise InputError(
                f"{name} split: expected the dtype of training, {dataset.train.x.dtype}, since integers are scaled and "
                f"floats are not. Received: {split.x.dtype}"
            )
        if isinstance(split.x, np.ndarray):
            _check_numbers(split.x, name)
    absent = sorted(set(range(classes)) - set(dataset.train.y.tolist()))
    if absent:
        raise InputError(
            f"Expected training examples of every class. Received: none of class {absent[0]} "
            f"({dataset.class_names[absent[0]]})"
        )
    return dataset


def _check_numbers(x: np.ndarray, name: str) -> None:
    if x.dtype.kind not in "fiu" or not finite_in_float32(x):
        raise InputError(f"{name} split: expected finite numbers. Received: dtype {x.dtype}, NaN or infinity")
    if x.dtype.kind in "iu" and x.size and (x.max() >= 2**31 or x.min() < -(2**31)):
        raise InputError(f"{name} split: expected integers of 32 bits. Received: {x.min()} to {x.max()}")


def check_labels(y: np.ndarray, examples: int, where: str) -> None:
    """Raises InputError unless `y` is one integer from 0 per example."""
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise InputError(
            f"{where}: expected one integer label per example, shape (n,). "
            f"Received: labels of shape {y.shape} and dtype {y.dtype}"
        )
    if len(y) != examples:
        raise InputError(f"{where}: expected a label for each of {examples} examples. Received: {len(y)} labels")
    if len(y) and y.max() >= 2**31:
        raise InputError(f"{where}: expected labels below the number of classes. Received: a label {y.max()}")
    if len(y) and y.min() < 0:
        raise InputError(f"{where}: expected labels from 0. Received: a label {y.min()}")


def carve(given: dict[str, Split], params: Data) -> dict[str, Split]:
    """All three splits: those the source lacks are taken out of its training split, stratified and seeded.

    The fractions are shares of all the examples that are split here, so 0.2 and 0.2 leave 0.6 for training.
    """
    from sklearn.model_selection import train_test_split

    splits = dict(given)
    total = len(splits["train"].y)
    for name, fraction in (("test", params.test_fraction), ("validation", params.validation_fraction)):
        if name in splits:
            continue
        train = splits["train"]
        assert not isinstance(train.x, Stored)
        size = round(fraction * total)
        try:
            kept, taken = train_test_split(
                np.arange(len(train.y)), test_size=size, stratify=train.y, random_state=params.seed
            )
        except ValueError as error:
            raise InputError(
                f"Expected enough examples of each class to set a {name} split of {size} aside (data.{name}_fraction). "
                f"Received: {len(train.y)} examples; {error}"
            ) from None
        splits["train"] = Split(train.x[kept], train.y[kept])
        splits[name] = Split(train.x[taken], train.y[taken])
    return splits
