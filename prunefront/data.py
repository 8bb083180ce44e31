"""A named source to training, validation and test arrays; split once, written once, read by every stage.

The prepared folder holds `train_x.npy`, `train_y.npy`, the same for `validation` and `test`, and `about.json`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prunefront.errors import InputError
from prunefront.files import replacing_folder, write_json
from prunefront.masks import finite_in_float32
from prunefront.params import Data

PREPARED = Path("data/prepared")
SMALLEST = 10
"""Height and width in pixels below which the built-in network's second pooling has nothing left."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Examples and their classes.

    Attributes:
        x: shape (n, ...), uint8 images or finite floats.
        y: shape (n,), int64 classes from 0.
    """

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """The three splits, with the name of each class."""

    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]


def write_prepared(dataset: Dataset, folder: Path = PREPARED) -> None:
    """Writes the three splits and what they are about; the same data give the same bytes."""
    with replacing_folder(folder) as partial:
        for name in SPLITS:
            split: Split = getattr(dataset, name)
            np.save(partial / f"{name}_x.npy", split.x)
            np.save(partial / f"{name}_y.npy", split.y)
        write_json(partial / "about.json", {"class_names": list(dataset.class_names)})


def read_split(name: str, folder: Path = PREPARED) -> Split:
    """One prepared split, images scaled from uint8 to float32 in [0, 1]. Reads no other split.

    Args:
        name: "train", "validation" or "test".

    Raises:
        InputError: the data have not been prepared, or the files are damaged.
    """
    try:
        x, y = (np.load(folder / f"{name}_{part}.npy", allow_pickle=False) for part in ("x", "y"))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"Expected prepared data in {folder}; run `dvc repro`, or first `python -m stages.prepare`. "
            f"Received: {error}"
        ) from None
    scaled = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x.astype(np.float32)
    return Split(scaled, y)


def read_class_names(folder: Path = PREPARED) -> tuple[str, ...]:
    """The names of the classes, in the order of their numbers."""
    try:
        return tuple(json.loads((folder / "about.json").read_text(encoding="utf-8"))["class_names"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"Expected prepared data in {folder}; run `dvc repro`, or first `python -m stages.prepare`. "
            f"Received: {error}"
        ) from None


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
        if split.x.dtype.kind not in "fiu" or not finite_in_float32(split.x):
            raise InputError(f"{name} split: expected finite numbers. Received: dtype {split.x.dtype}, NaN or infinity")
    check_images(dataset.train.x.shape[1:])
    absent = sorted(set(range(classes)) - set(dataset.train.y.tolist()))
    if absent:
        raise InputError(
            f"Expected training examples of every class. Received: none of class {absent[0]} "
            f"({dataset.class_names[absent[0]]})"
        )
    return dataset


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
