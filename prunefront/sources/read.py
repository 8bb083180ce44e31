"""The data sources: scikit-learn's digits, Keras's CIFAR-10, an `.npz` file, a folder of images."""

from pathlib import Path

import numpy as np

from prunefront.common.arrays import read_npz
from prunefront.common.errors import InputError, cause
from prunefront.common.params import NO_FILE, Data
from prunefront.sources.images import ImageFiles, images_by_class, resize
from prunefront.sources.splits import Dataset, Labelled, carve, check, check_labels

FOLDER_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def load(params: Data) -> Dataset:
    """Reads the source that the parameters name, carves out missing splits and checks everything.

    Returns:
        Splits in which images are uint8 of shape (n, height, width, channels) and other examples are as given. Images
        of a folder are not read yet.

    Raises:
        InputError: the source is missing, damaged or does not fit together.
    """
    read = {"digits": _digits, "cifar10": _cifar10, "npz": _npz, "folder": _folder}[params.source]
    splits, names = read(params)
    splits = carve(splits, params)
    return check(Dataset(splits["train"], splits["validation"], splits["test"], tuple(names), params.pixel_range))


def _digits(params: Data) -> tuple[dict[str, Labelled], list[str]]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    images = np.repeat(resize(grey, params.image_size), params.channels, axis=3)
    return {"train": Labelled(images, bunch.target.astype(np.int64))}, [str(digit) for digit in range(10)]


def _cifar10(params: Data) -> tuple[dict[str, Labelled], list[str]]:
    from prunefront.common.runtime import keras

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

    def chosen(x: np.ndarray, y: np.ndarray) -> Labelled:
        labels = number[y.ravel()]
        crops = x[labels >= 0, :height, :width]
        return Labelled(resize(crops, params.image_size), labels[labels >= 0].astype(np.int64))

    return {"train": chosen(*train), "test": chosen(*test)}, [names[c] for c in classes]


def _npz(params: Data) -> tuple[dict[str, Labelled], list[str]]:
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
        splits[name] = _from_arrays(arrays[x_key], arrays[y_key], f"{params.path}: {y_key}", params)
    if "class_names" in arrays:
        return splits, _class_names(arrays["class_names"], params.path)
    columns = arrays["y_train"].shape[1] if arrays["y_train"].ndim == 2 else 0  # one-hot rows name all classes
    classes = max(columns, 1 + max(int(split.y.max(initial=-1)) for split in splits.values()))
    if classes > len(splits["train"].y):
        raise InputError(
            f"{params.path}: expected labels numbered from 0, each with a training example. "
            f"Received: a label {classes - 1} and {len(splits['train'].y)} training examples"
        )
    return splits, [str(label) for label in range(classes)]


def _class_names(names: np.ndarray, path: Path) -> list[str]:
    """Text, or whole numbers as text, one for each class."""
    try:
        if names.ndim == 1 and names.dtype.kind in "SUiu":
            return [n.decode() if isinstance(n, bytes) else str(n) for n in names.tolist()]
        received = f"an array of shape {names.shape} and dtype {names.dtype}"
    except UnicodeDecodeError as error:
        received = cause(error)
    raise InputError(f"{path}: expected class_names as texts in UTF-8, shape (classes,). Received: {received}")


def _from_arrays(x: np.ndarray, y: np.ndarray, where: str, params: Data) -> Labelled:
    labels = _class_numbers(y, where)
    if x.ndim == 0:
        raise InputError(f"{where}: expected an array of examples beside it. Received: a single value")
    check_labels(labels, len(x), where)
    if x.dtype == bool:
        x = x.astype(np.uint8)
    if params.pixel_range is not None:
        x = _images(x, where)
    if x.ndim == 4 and 0 not in x.shape:
        x = resize(x, params.image_size)
    return Labelled(x, labels.astype(np.int64))


def _images(x: np.ndarray, where: str) -> np.ndarray:
    """Integers of rank 3 and 4 as uint8 images with a channel axis; other examples as they are."""
    if x.dtype.kind not in "iu" or x.ndim not in (3, 4):
        return x
    if x.dtype != np.uint8 and x.size and (x.min() < 0 or x.max() > 255):
        raise InputError(
            f"{where}: expected integer images in 0 to 255; data.pixel_range: null feeds integers as they are. "
            f"Received: {x.min()} to {x.max()}"
        )
    return (x[..., np.newaxis] if x.ndim == 3 else x).astype(np.uint8)


def _class_numbers(y: np.ndarray, where: str) -> np.ndarray:
    """Labels as integers, shape (n,): from integers in a column, from yes and no, or from one-hot rows."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype == bool and y.ndim == 1:
        return y.astype(np.int64)
    if y.ndim != 2 or y.dtype.kind not in "fiub":
        return y
    if not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
        raise InputError(
            f"{where}: expected one integer label per example, or one-hot rows with a single 1 in each. "
            f"Received: an array of shape {y.shape} and dtype {y.dtype} with other rows"
        )
    return y.argmax(axis=1)


def _folder(params: Data) -> tuple[dict[str, Labelled], list[str]]:
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
    images = {name: images_by_class(folder) for name, folder in folders.items()}
    classes = list(images["train"])
    for name, by_class in images.items():
        if list(by_class) != classes:
            raise InputError(
                f"{folders[name]}: expected the class folders of {folders['train']}, {', '.join(classes)}. "
                f"Received: {', '.join(by_class)}"
            )
    size, channels = params.image_size, params.channels
    splits = {}
    for name, by_class in images.items():
        paths = np.array([str(path) for files in by_class.values() for path in files])
        labels = np.repeat(np.arange(len(classes)), [len(files) for files in by_class.values()])
        splits[name] = Labelled(ImageFiles(paths, size, channels), labels.astype(np.int64))
    return splits, classes


def _own_path(params: Data, what: str) -> Path:
    if params.path == NO_FILE:
        raise InputError(f"data.path: expected {what} for data.source={params.source}. Received: {params.path}")
    if not params.path.exists():
        raise InputError(f"data.path: expected {what}. Received: {params.path}, which does not exist")
    return params.path
