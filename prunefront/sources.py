"""The data sources: scikit-learn's digits, Keras's CIFAR-10, an `.npz` file, a folder of images."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prunefront.data import Dataset, Split, carve, check, check_labels
from prunefront.errors import InputError
from prunefront.params import NO_FILE, Data
from prunefront.weights import read_npz

FOLDER_SPLITS = {"train": "train", "validation": "val", "test": "test"}
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def load(params: Data) -> Dataset:
    """Reads the source that the parameters name, carves out missing splits and checks everything.

    Returns:
        Splits in which images are uint8 of shape (n, height, width, channels) and other examples are as given.

    Raises:
        InputError: the source is missing, damaged or does not fit together.
    """
    read = {"digits": _digits, "cifar10": _cifar10, "npz": _npz, "folder": _folder}[params.source]
    splits, names = read(params)
    splits = carve(splits, params)
    return check(Dataset(splits["train"], splits["validation"], splits["test"], tuple(names)))


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


def _digits(params: Data) -> tuple[dict[str, Split], list[str]]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    images = np.repeat(resize(grey, params.image_size), params.channels, axis=3)
    return {"train": Split(images, bunch.target.astype(np.int64))}, [str(digit) for digit in range(10)]


def _cifar10(params: Data) -> tuple[dict[str, Split], list[str]]:
    from prunefront.runtime import keras

    try:
        train, test = keras.datasets.cifar10.load_data()
    except Exception as error:  # Keras passes on whatever the download raises
        raise InputError(
            f"Expected to load CIFAR-10 through Keras, which downloads it once; without a network, use "
            f"data.source=npz with a local file. Received: {error}"
        ) from None
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    classes = list(params.cifar10.classes if params.cifar10.classes is not None else range(10))
    height, width = params.cifar10.crop or (32, 32)
    number = np.full(10, -1)
    number[classes] = np.arange(len(classes))

    def chosen(x: np.ndarray, y: np.ndarray) -> Split:
        labels = number[y.ravel()]
        crops = x[labels >= 0, :height, :width]
        return Split(resize(crops, params.image_size), labels[labels >= 0].astype(np.int64))

    return {"train": chosen(*train), "test": chosen(*test)}, [names[c] for c in classes]


def _npz(params: Data) -> tuple[dict[str, Split], list[str]]:
    arrays = read_npz(_own_path(params, "the .npz file"))
    keys = {"train": ("x_train", "y_train"), "validation": ("x_val", "y_val"), "test": ("x_test", "y_test")}
    misnamed = [n for n in arrays if n.startswith(("x_", "y_")) and n not in sum(keys.values(), ())]
    if misnamed:
        raise InputError(
            f"{params.path}: expected x_train, y_train, x_val, y_val, x_test, y_test. Received: {misnamed[0]}"
        )
    splits = {}
    for name, (x_key, y_key) in keys.items():
        if x_key not in arrays and y_key not in arrays and name != "train":
            continue
        for key in (x_key, y_key):
            if key not in arrays:
                raise InputError(f"{params.path}: expected an array {key}. Received: {', '.join(sorted(arrays))}")
        splits[name] = _labelled(arrays[x_key], arrays[y_key], f"{params.path}: {y_key}", params)
    if "class_names" in arrays:
        return splits, [n.decode() if isinstance(n, bytes) else str(n) for n in arrays["class_names"].ravel().tolist()]
    classes = 1 + max(int(split.y.max(initial=-1)) for split in splits.values())
    if classes > len(splits["train"].y):
        raise InputError(
            f"{params.path}: expected labels numbered from 0, each with a training example. "
            f"Received: a label {classes - 1} and {len(splits['train'].y)} training examples"
        )
    return splits, [str(label) for label in range(classes)]


def _labelled(x: np.ndarray, y: np.ndarray, where: str, params: Data) -> Split:
    labels = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if x.ndim == 0:
        raise InputError(f"{where}: expected an array of examples beside it. Received: a single value")
    check_labels(labels, len(x), where)
    if x.dtype.kind in "iu" and x.ndim == 3:
        x = x[..., np.newaxis]  # grey images without a channel axis
    if x.ndim == 4 and x.dtype.kind in "iu" and x.dtype != np.uint8:
        if x.size and (x.min() < 0 or x.max() > 255):
            raise InputError(f"{where}: expected integer images in 0 to 255. Received: {x.min()} to {x.max()}")
        x = x.astype(np.uint8)
    if x.ndim == 4 and 0 not in x.shape:
        x = resize(x, params.image_size)
    return Split(x, labels.astype(np.int64))


def _folder(params: Data) -> tuple[dict[str, Split], list[str]]:
    root = _own_path(params, "the folder of images")
    if not root.is_dir():
        raise InputError(f"data.path: expected a folder with one folder of images per class. Received: {root}")
    if params.image_size is None:
        raise InputError("data.image_size: expected [height, width] for data.source=folder. Received: null")
    subfolders = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if "train" in {name.lower() for name in subfolders}:
        if "train" not in subfolders or not subfolders <= set(FOLDER_SPLITS.values()):
            raise InputError(
                f"{root}: expected only train, val and test beside each other. "
                f"Received: {', '.join(sorted(subfolders))}"
            )
        folders = {name: root / sub for name, sub in FOLDER_SPLITS.items() if (root / sub).is_dir()}
    else:
        folders = {"train": root}
    names = _class_folders(folders["train"])
    splits = {}
    for name, folder in folders.items():
        if _class_folders(folder) != names:
            raise InputError(
                f"{folder}: expected the class folders of {folders['train']}, {', '.join(names)}. "
                f"Received: {', '.join(_class_folders(folder)) or 'none'}"
            )
        splits[name] = _read_images(folder, names, params)
    return splits, names


def _class_folders(folder: Path) -> list[str]:
    """The names of the class folders, sorted; each must hold an image."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise InputError(
            f"{folder}: expected one folder of images for each of 2 or more classes. Received: {len(classes)} folders"
        )
    for path in classes:
        suffixes = [file.suffix.lower() for file in path.rglob("*") if not file.is_dir()]
        if not set(suffixes) & set(SUFFIXES):
            raise InputError(f"{path}: expected images ({', '.join(SUFFIXES)}) in each class folder. Received: none")
        skipped = sum(suffix not in SUFFIXES for suffix in suffixes)
        if skipped:
            warnings.warn(f"{path}: {skipped} files that are not {', '.join(SUFFIXES)} are left out", stacklevel=2)
    return [path.name for path in classes]


def _read_images(folder: Path, names: list[str], params: Data) -> Split:
    from prunefront.runtime import keras, tf

    batches = keras.utils.image_dataset_from_directory(
        folder,
        class_names=names,
        color_mode="rgb",  # BMP and GIF files cannot be decoded as grey ones
        image_size=params.image_size,
        batch_size=None,
        shuffle=False,
        verbose=False,
    )
    count = int(batches.cardinality())
    x = np.empty((count, *_size(params), params.channels), np.uint8)
    y = np.empty(count, np.int64)
    try:
        for position, (image, label) in enumerate(batches.as_numpy_iterator()):
            grey = params.channels == 1
            x[position] = np.rint(tf.image.rgb_to_grayscale(image) if grey else image)
            y[position] = label
    except tf.errors.OpError as error:
        raise InputError(_undecodable(batches.file_paths, tf, error)) from None
    return Split(x, y)


def _undecodable(paths: list[str], tf: Any, error: Exception) -> str:
    """Names the image that TensorFlow could not decode, which its own message does not."""
    for path in paths:
        try:
            tf.io.decode_image(tf.io.read_file(path), expand_animations=False)
        except tf.errors.OpError:
            return f"{path}: expected a BMP, GIF, JPEG or PNG image. Received: a file that does not decode"
    return f"Expected images that decode. Received: {error}"


def _own_path(params: Data, what: str) -> Path:
    if params.path == NO_FILE:
        raise InputError(f"data.path: expected {what} for data.source={params.source}. Received: {params.path}")
    if not params.path.exists():
        raise InputError(f"data.path: expected {what}. Received: {params.path}, which does not exist")
    return params.path


def _size(params: Data) -> tuple[int, int]:
    assert params.image_size is not None  # checked by _folder
    return params.image_size
