"""The data sources: scikit-learn's digits, Keras's CIFAR-10, an `.npz` file, a folder of images."""

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.sections import Data
from prunefront.data.pixels import UNIT
from prunefront.data.splits import SPLITS
from prunefront.sources.images import ImageFiles, images_by_class, resize
from prunefront.sources.npz import read_arrays
from prunefront.sources.paths import own_path
from prunefront.sources.splits import Dataset, Labelled, carve, check

FOLDER_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def load(params: Data) -> Dataset:
    """Reads the source that the parameters name, carves out missing splits and checks everything.

    Returns:
        Splits in which images are uint8 of shape (n, height, width, channels) and other examples are as given. Images
        of a folder are not read yet. A pixel range that is found from the network is [0, 1] until that is known.

    Raises:
        InputError: the source is missing, damaged or does not fit together.
    """
    read = {"digits": _digits, "cifar10": _cifar10, "npz": read_arrays, "folder": _folder}[params.source]
    splits, names = read(params)
    carved = tuple(name for name in SPLITS if name not in splits)
    splits = carve(splits, params)
    pixel_range = UNIT if params.pixel_range == "auto" else params.pixel_range
    train, validation, test = (splits[name] for name in SPLITS)
    return check(Dataset(train, validation, test, tuple(names), pixel_range, carved))


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


def _folder(params: Data) -> tuple[dict[str, Labelled], list[str]]:
    root = own_path(params, "the folder of images")
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
