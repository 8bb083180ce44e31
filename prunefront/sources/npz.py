"""Examples and labels from an `.npz` file."""

import numpy as np

from prunefront.common.arrays import read_npz
from prunefront.common.errors import InputError
from prunefront.common.sections import Data
from prunefront.data.splits import COLOURS, channels_first, check_channels
from prunefront.sources.images import resize
from prunefront.sources.labels import number_classes
from prunefront.sources.paths import own_path
from prunefront.sources.splits import Labelled, check_kind

KEYS = {"train": ("x_train", "y_train"), "validation": ("x_val", "y_val"), "test": ("x_test", "y_test")}


def read_arrays(params: Data) -> tuple[dict[str, Labelled], list[str]]:
    """The splits that the file has, and the names of the classes. Raises InputError for arrays that do not fit."""
    arrays = read_npz(own_path(params, "the .npz file"))
    expected = [key for keys in KEYS.values() for key in keys]
    misnamed = [name for name in arrays if name.startswith(("x_", "y_")) and name not in expected]
    if misnamed:
        raise InputError(f"{params.path}: expected {', '.join(expected)}. Received: {misnamed[0]}")
    present = [name for name, keys in KEYS.items() if name == "train" or any(key in arrays for key in keys)]
    for key in (key for name in present for key in KEYS[name]):
        if key not in arrays:
            raise InputError(f"{params.path}: expected an array {key}. Received: {', '.join(sorted(arrays))}")
        if arrays[key].ndim == 0:
            raise InputError(f"{params.path}: {key}: expected an array of many values. Received: a single one")
    labels = {f"{params.path}: {KEYS[name][1]}": arrays[KEYS[name][1]] for name in present}
    numbers, names = number_classes(labels, arrays.get("class_names"))
    splits = {}
    for name, (where, y) in zip(present, numbers.items(), strict=True):
        key = KEYS[name][0]
        if len(y) != len(arrays[key]):
            raise InputError(
                f"{where}: expected a label for each of {len(arrays[key])} examples. Received: {len(y)} labels"
            )
        splits[name] = Labelled(_examples(arrays[key], f"{params.path}: {key}", params), y)
    return splits, names


def _examples(x: np.ndarray, where: str, params: Data) -> np.ndarray:
    """Images as uint8 of rank 4, in the size that is asked for; other examples as they are."""
    check_kind(x, where)
    if x.dtype == bool:
        x = x.astype(np.int8)  # yes and no are no brightness
    if params.pixel_range is not None:
        x = _images(x, where)
    if params.image_size is not None and x.ndim == 4 and 0 not in x.shape:
        check_channels(x.shape[1:], where)
        x = resize(x, params.image_size)
    return x


def _images(x: np.ndarray, where: str) -> np.ndarray:
    """What is an image as uint8 with a channel axis, other examples as they are.

    Images are uint8 of shape (n, height, width) or (n, height, width, channels), and other integers from 0 to 255 of
    the latter shape with the channels of an image, as programs that compute with them may leave them; 0 and 1 are none.
    """
    if x.dtype.kind not in "iu":
        return x
    if x.dtype == np.uint8 and x.ndim == 3:
        return x[..., np.newaxis]
    image = x.ndim == 4 and (x.shape[-1] in COLOURS or channels_first(x.shape[1:]))
    if x.dtype == np.uint8 or not image or x.size == 0 or 0 <= x.min() <= x.max() <= 1:
        return x
    if x.min() < 0 or x.max() > 255:
        raise InputError(
            f"{where}: expected integer images in 0 to 255; data.pixel_range: null feeds integers as they are. "
            f"Received: {x.min()} to {x.max()} ({x.dtype})"
        )
    return x.astype(np.uint8)
