"""Weight files: read without running or unpickling anything, written whole or not at all."""

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np

from prunefront.common.arrays import finite_in_float32, read_npz
from prunefront.common.errors import InputError
from prunefront.common.files import check_fetched, replacing
from prunefront.models.archives import datasets, open_weights
from prunefront.models.weight_files import (
    ORDER,
    array_of,
    check_whole,
    is_legacy,
    is_number,
    read_arrays,
    weights_root,
)
from prunefront.pruning.masks import Masks, Weights
from prunefront.sparse_file.file import SUFFIX, read_sparse

if TYPE_CHECKING:
    import keras


def load_weights(path: str | Path) -> Weights:
    """Reads the arrays of a weight file, in the order that the file gives.

    That is *model order*, that of `keras.Model.get_weights()`, for the files that prunefront writes and for `.npz` and
    `.sparse` files of arrays in that order. Keras's own files do not note it:

    - a legacy HDF5 file (`.h5` of Keras 2, or of `model.save` in Keras 3) goes by layer, and within each entry of the
      model, a nested model included, trainable arrays come first;
    - a Keras 3 file (`.weights.h5`, `.keras`) goes by layer as far as the file tells; arrays inside a composite layer
      come in the order of the file, those of a quantized one as kernel, bias, scale.

    Both are model order for a plain stack of layers. To be sure of any other model, load the file into it, with
    `model.load_weights(path)`, and take `model.get_weights()`, as the pipeline does.

    Args:
        path: a Keras 3 `.weights.h5` or `.keras` file, a legacy `.h5` file, an `.npz` file, or a `.sparse` file of
            `save_sparse`. Of a file that holds a whole model only the weights are read.

    Returns:
        The arrays, with the dtypes of the file. What is no weight is left out: the state of optimizers, metrics, random
        generators and pruning wrappers, and what a file holds twice.

    Raises:
        InputError: the file is missing, truncated, of another kind, holds no weights, not all of them or packed ones,
            takes content from other files, unpacks to more than `sizes.memory_limit`, or would need unpickling.
    """
    return list(load_named_weights(path).values())


def load_named_weights(path: str | Path) -> dict[str, np.ndarray]:
    """As `load_weights`, with the name that each array has in the file."""
    path = Path(path)
    check_weight_file(path)
    arrays = READERS[path.suffix](path)
    if not arrays:
        raise InputError(f"Expected a file with weights. Received: {path}, which holds none")
    for name, array in arrays.items():
        if not is_number(array.dtype):
            raise InputError(f"{path}: expected numbers. Received: {name} of dtype {array.dtype}")
    return arrays


def check_weight_file(path: Path) -> None:
    """Raises InputError unless a path is that of a weight file, the whole of one, and not of its stand-in."""
    if path.name.endswith(".weights.json"):
        raise InputError(
            f"{path}: expected all weights in one file. Received: the index of sharded weights; load it into the model "
            f"with model.load_weights, then model.save_weights writes one file"
        )
    if path.suffix == ".keras" and path.is_dir():
        raise InputError(f"{path}: expected a .keras file; model.save(path) writes one. Received: a folder")
    if not path.is_file():
        raise InputError(
            f"Expected a weight file (.weights.h5, .h5, .keras, .npz, .sparse). Received: {path}, which is no file"
        )
    check_fetched(path)
    if path.suffix not in READERS:
        raise InputError(
            f"Expected a weight file ending in .weights.h5, .h5, .keras, .npz or .sparse. Received: {path}"
        )
    check_whole(path)


def layout(path: Path) -> Literal["ours", "legacy", "keras"]:
    """In which layout a weight file is: only one of ours, `.npz` and `.sparse` files are in model order for any model.

    Args:
        path: of any file that `load_weights` reads.

    Raises:
        InputError: as `load_weights`, but for what stands in the arrays.
    """
    check_weight_file(path)
    if path.suffix in (".npz", SUFFIX):
        return "ours"
    with open_weights(path) as file:
        root = weights_root(file)
        return "ours" if ORDER in root.attrs else "legacy" if is_legacy(root) else "keras"


def save_weights(path: Path, model: "keras.Model", like: Path | None = None) -> dict[str, np.ndarray]:
    """Writes `model.save_weights(path)` under a temporary name, reads it back, and only then puts it in place.

    The file is an ordinary Keras one with one attribute more, which gives the model order to `load_weights`.

    Args:
        path: ends in `.weights.h5`.
        model: built; the file also holds the optimizer's state if the model has an optimizer.
        like: a file that this function has written for a model of the same kind, all but whose weights is the same; the
            new file has the same bytes then that Keras would write, in a tenth of the time.

    Returns:
        What was read back, by the names that the arrays have in the file, in model order.

    Raises:
        InputError: the file read back differs from the model (a full or failing disk).
    """
    weights = model.get_weights()
    with replacing(path, room=_largest(model, weights)) as partial:
        if like is None:
            model.save_weights(partial)
        else:
            shutil.copyfile(like, partial)
        with h5py.File(partial, "r+") as file:
            if like is None:
                file.attrs[ORDER] = _locate(file, partial, weights)
            else:
                for name, weight in zip(file.attrs[ORDER], weights, strict=True):
                    file[name][...] = weight.view(file[name].dtype)  # HDF5 has no bfloat16 but its bytes
        written = load_named_weights(partial)
        if len(written) != len(weights) or any(map(_differ, written.values(), weights)):
            raise InputError(f"Expected {path} to hold the model's weights. Received: something else when read back")
    return written


def _largest(model: "keras.Model", weights: Weights) -> int:
    """More bytes than a model's file will have: its arrays, the optimizer's too, and what HDF5 says of each."""
    optimizer = [variable.numpy() for variable in getattr(getattr(model, "optimizer", None), "variables", [])]
    return 2**16 + sum(array.nbytes + 2**13 for array in (*weights, *optimizer))


def save_masks(path: Path, masks: Sequence[np.ndarray]) -> None:
    """Writes masks to an `.npz` file, a bit for each weight, to lie beside the weights they belong to."""
    packed: dict[str, Any] = {f"bits_{i}": np.packbits(np.asarray(mask)) for i, mask in enumerate(masks)}
    shapes: dict[str, Any] = {f"shape_{i}": np.array(np.shape(mask), np.int64) for i, mask in enumerate(masks)}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, count=np.array(len(masks)), **packed, **shapes)


def load_masks(path: Path) -> Masks:
    """Reads what `save_masks` wrote: boolean arrays, True = kept. Raises InputError for any other file."""
    arrays = read_npz(Path(path))
    try:
        shapes = [tuple(arrays[f"shape_{i}"].tolist()) for i in range(int(arrays["count"]))]
        return [_unpacked(arrays[f"bits_{i}"], shape) for i, shape in enumerate(shapes)]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: expected masks written by save_masks. Received: another file ({error})") from None


def _unpacked(bits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape)
    if bits.shape != (-(-size // 8),):  # fewer would be filled up with zeros, whatever the shape says
        raise ValueError(f"{bits.size} bytes for a mask of shape {shape}")
    return np.unpackbits(bits, count=size).astype(bool).reshape(shape)


def check_shapes(weights: Sequence[np.ndarray], model: "keras.Model", origin: str) -> None:
    """Raises InputError unless the arrays fit the model, naming the first that does not and their origin."""
    names = [variable.path for variable in model.weights]
    expected = [tuple(variable.shape) for variable in model.weights]
    if len(weights) != len(expected):
        raise InputError(f"{origin}: expected {len(expected)} weight arrays for the network. Received: {len(weights)}")
    for name, shape, array in zip(names, expected, weights, strict=True):
        if array.shape != shape:
            raise InputError(f"{origin}: expected {name} of shape {shape}. Received: {array.shape}")
        if not finite_in_float32(array):
            raise InputError(f"{origin}: expected finite weights. Received: NaN or infinity in {name}")


def _read_keras(path: Path) -> dict[str, np.ndarray]:
    with open_weights(path) as file:
        return read_arrays(weights_root(file), path)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    arrays = read_npz(path)
    if {"count", "shape_0", "bits_0"} <= arrays.keys():
        raise InputError(f"{path}: expected weights. Received: masks, for load_masks")
    return arrays


READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".npz": _read_npz,
    SUFFIX: read_sparse,
    ".h5": _read_keras,
    ".hdf5": _read_keras,
    ".keras": _read_keras,
}


def _locate(file: h5py.File, path: Path, weights: Weights) -> list[str]:
    """For each of the weights the name of an array in the file with the same content, each name once."""
    found: dict[tuple[tuple[int, ...], bytes], list[str]] = {}
    for name, dataset in datasets(file, path).items():
        if name.startswith("optimizer/") or "seed_generator" in name.split("/"):
            continue
        array = array_of(dataset)
        found.setdefault((array.shape, array.tobytes()), []).append(name)
    try:
        return [found[weight.shape, weight.tobytes()].pop(0) for weight in weights]
    except (KeyError, IndexError):
        raise InputError("Expected every weight of the model in its file. Received: a file without one") from None


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes()
