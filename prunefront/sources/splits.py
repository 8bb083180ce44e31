"""Labelled examples to the three prepared splits: carved, checked, written once."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from prunefront.common.arrays import finite_in_float32
from prunefront.common.errors import InputError
from prunefront.common.files import replacing_folder, write_json
from prunefront.common.sections import Data
from prunefront.data.pixels import check_pixels, pixel_doubts
from prunefront.data.splits import PREPARED, SPLITS, PixelRange, majority_doubt
from prunefront.sources.images import ImageFiles
from prunefront.sources.labels import RENUMBER, check_labels

FEW = 2
"""Examples of a split that a network is tried on before anything is trained."""
SAMPLED = 2**26
"""Numbers that a sample of examples has at most: images of a folder are never all in memory."""


@dataclass(frozen=True)
class Labelled:
    """Examples as a source gives them, and their classes.

    Attributes:
        x: shape (n, ...), uint8 images, integers or finite floats; images of a folder are not read yet.
        y: shape (n,), int64 classes from 0.
    """

    x: np.ndarray | ImageFiles
    y: np.ndarray

    def telling(self) -> np.ndarray:
        """A few examples, in memory: the first, and of those in memory the darkest and the brightest."""
        if isinstance(self.x, ImageFiles):
            return next(self.x[:FEW].chunks())
        rows = self.x.reshape(len(self.x), -1)
        return self.x[[*range(min(FEW, len(self.x))), rows.min(axis=1).argmin(), rows.max(axis=1).argmax()]]


@dataclass(frozen=True)
class Dataset:
    """The three splits, with the name of each class, and the range that uint8 images are scaled to when they are read.

    Without a range, examples are fed as they are. `carved` names the splits that were taken out of the training split.
    """

    train: Labelled
    validation: Labelled
    test: Labelled
    class_names: tuple[str, ...]
    pixel_range: PixelRange = (0.0, 1.0)
    carved: tuple[str, ...] = ()

    @property
    def images(self) -> bool:
        """Whether the examples are images that are scaled."""
        return self.train.x.ndim == 4 and self.train.x.dtype == np.uint8

    def telling(self) -> np.ndarray:
        """A few examples of each split, in memory, see `Labelled.telling`."""
        return np.concatenate([getattr(self, name).telling() for name in SPLITS])

    @cached_property
    def copies(self) -> dict[str, np.ndarray]:
        """Where validation and test have exact copies of examples that stand in a split before them.

        Examples are compared by their bytes, images of a folder by the bytes of their files; labels count for nothing.
        For "validation" (compared with training) and "test" (with training and validation) the numbers of the rows.
        """
        seen = set(_digests(self.train.x))
        found = {}
        for name in ("validation", "test"):
            own = _digests(getattr(self, name).x)
            found[name] = np.flatnonzero([one in seen for one in own])
            seen.update(own)
        return found

    def sample(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Examples of training and carved splits, in memory, and their classes: at most `size` of each split.

        Fewer of large examples: all together are no more than `SAMPLED` numbers.
        """
        parts, names = [], ("train", *self.carved)
        size = max(1, min(size, SAMPLED // (max(1, math.prod(self.train.x.shape[1:])) * len(names))))
        for name in names:
            split: Labelled = getattr(self, name)
            chosen = np.unique(np.linspace(0, len(split.y) - 1, size).astype(int))
            x = split.x[chosen]
            parts.append((x if isinstance(x, np.ndarray) else np.concatenate(list(x.chunks())), split.y[chosen]))
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def write_prepared(dataset: Dataset, folder: Path = PREPARED) -> None:
    """Writes the three splits and what they are about; the same data give the same bytes."""
    with replacing_folder(folder) as partial:
        for name in SPLITS:
            split: Labelled = getattr(dataset, name)
            _write_npy(partial / f"{name}_x.npy", split.x)
            np.save(partial / f"{name}_y.npy", split.y)
        about = {
            "class_names": list(dataset.class_names),
            "pixel_range": dataset.pixel_range,
            "streamed": isinstance(dataset.train.x, ImageFiles),
        }
        write_json(partial / "about.json", about)


def _write_npy(path: Path, examples: np.ndarray | ImageFiles) -> None:
    """Writes a `.npy` file, images a few at a time."""
    if isinstance(examples, np.ndarray):
        np.save(path, examples)
        return
    header = {"descr": np.lib.format.dtype_to_descr(examples.dtype), "fortran_order": False, "shape": examples.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in examples.chunks():
            file.write(chunk.data)


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
        split: Labelled = getattr(dataset, name)
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
            _check_numbers(split.x, f"{name} split")
    absent = sorted(set(range(classes)) - set(dataset.train.y.tolist()))
    if absent:
        raise InputError(
            f"Expected training examples of every class. Received: none of class {absent[0]} "
            f"({dataset.class_names[absent[0]]}); {RENUMBER}"
        )
    return dataset


def doubts(dataset: Dataset, takes: PixelRange, gate: float) -> list[str]:
    """What can be used but may be meant otherwise, a line each.

    Args:
        dataset: of any kind.
        takes: the range of images that the network takes.
        gate: the accuracy that has to be exceeded for a score.

    Raises:
        InputError: float images from 0 to 255 would be fed to a network that takes others.
    """
    examples = dataset.telling()
    check_pixels(examples, takes)
    common = majority_doubt(dataset.validation.y, dataset.class_names, gate)
    return [*pixel_doubts(examples, takes), *([] if common is None else [common]), *_copy_doubts(dataset)]


def _copy_doubts(dataset: Dataset) -> Iterator[str]:
    before = {"validation": "training", "test": "training or validation"}
    for name, rows in dataset.copies.items():
        if len(rows):
            total = len(getattr(dataset, name).y)
            yield (
                f"{len(rows):,} of {total:,} {name} examples are exact copies of {before[name]} examples, the first of "
                f"them in row {rows[0]} of the {name} split: accuracies on them are not those on new examples; leave "
                f"the copies out, or bring splits of your own that share none"
            )


def _digests(x: np.ndarray | ImageFiles) -> list[bytes]:
    """For each example a digest of its bytes."""
    if isinstance(x, ImageFiles):
        return [hashlib.sha256(Path(str(path)).read_bytes()).digest() for path in x.paths]
    return [hashlib.sha256(np.ascontiguousarray(row).data).digest() for row in x]


def check_kind(x: np.ndarray, where: str) -> None:
    """Raises InputError unless an array holds real numbers, or yes and no."""
    if x.dtype.kind not in "fiub":
        kinds = {"U": "text", "S": "text", "c": "complex numbers", "M": "dates", "m": "times", "V": "records"}
        raise InputError(
            f"{where}: expected finite numbers. Received: {kinds.get(x.dtype.kind, 'something else')} (dtype {x.dtype})"
        )


def _check_numbers(x: np.ndarray, where: str) -> None:
    check_kind(x, where)
    if not finite_in_float32(x):
        odd = "values beyond float32" if np.isfinite(x).all() else "NaN or infinity"
        raise InputError(f"{where}: expected finite numbers. Received: dtype {x.dtype} with {odd}")
    if x.dtype.kind in "iu" and x.size and (x.max() >= 2**31 or x.min() < -(2**31)):
        raise InputError(f"{where}: expected integers of 32 bits. Received: {x.min()} to {x.max()}")


def carve(given: dict[str, Labelled], params: Data) -> dict[str, Labelled]:
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
        splits["train"] = Labelled(train.x[kept], train.y[kept])
        splits[name] = Labelled(train.x[taken], train.y[taken])
    return splits
