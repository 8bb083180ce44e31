"""Weight files: read without running or unpickling anything, written whole or not at all."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from prunefront.errors import InputError
from prunefront.files import replacing
from prunefront.masks import Weights

if TYPE_CHECKING:
    import keras


def load_weights(path: str | Path) -> Weights:
    """Reads the arrays of a weight file, in model order (that of `keras.Model.get_weights()`).

    Args:
        path: a Keras 3 `.weights.h5` file, a `.h5` file of Keras 2 (weights, or a whole model, of which only the
            weights are read), or an `.npz` file with the arrays in order.

    Returns:
        The arrays, with the dtypes of the file. Optimizer state and random seeds in the file are left out.

    Raises:
        InputError: the file is missing, truncated, of another kind, holds no weights, or would need unpickling.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"Expected a weight file (.weights.h5, .h5 or .npz). Received: {path}, which does not exist")
    if path.suffix not in (".npz", ".h5", ".hdf5"):
        raise InputError(f"Expected a weight file ending in .weights.h5, .h5 or .npz. Received: {path}")
    arrays = list(read_npz(path).values()) if path.suffix == ".npz" else _read_h5(path)
    if not arrays:
        raise InputError(f"Expected a file with weights. Received: {path}, which holds none")
    for position, array in enumerate(arrays):
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise InputError(f"{path}: expected numbers. Received: array {position} of dtype {array.dtype}")
    return arrays


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, in the file's order; never unpickles.

    Raises:
        InputError: the file is missing, truncated, no `.npz`, or holds Python objects (a pickle).
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"Expected an .npz file. Received: {path}, which does not exist") from None
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise InputError(f"{path}: expected a whole .npz file. Received: {error}") from None
        raise InputError(
            f"{path}: expected plain arrays of numbers or text. Received: pickled Python objects, which are never "
            "loaded because they can run code; save the arrays with a plain dtype"
        ) from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a whole .npz file. Received: a damaged or different file ({error})"
        ) from None


def save_weights(path: Path, model: "keras.Model") -> None:
    """Writes `model.save_weights(path)` under a temporary name, reads it back, and only then puts it in place.

    Args:
        path: ends in `.weights.h5`.
        model: built; the file also holds the optimizer's state if the model has an optimizer.

    Raises:
        InputError: the file read back differs from the model (a full or failing disk).
    """
    with replacing(path) as partial:
        model.save_weights(partial)
        written = load_weights(partial)
        current = model.get_weights()
        if len(written) != len(current) or not all(map(np.array_equal, written, current)):
            raise InputError(f"Expected {path} to hold the model's weights. Received: something else when read back")


def check_shapes(weights: Sequence[np.ndarray], model: "keras.Model", origin: str) -> None:
    """Raises InputError unless the arrays fit the model, naming the first that does not and their origin."""
    names = [variable.path for variable in model.weights]
    expected = [tuple(variable.shape) for variable in model.weights]
    if len(weights) != len(expected):
        raise InputError(f"{origin}: expected {len(expected)} weight arrays for the network. Received: {len(weights)}")
    for name, shape, array in zip(names, expected, weights, strict=True):
        if array.shape != shape:
            raise InputError(f"{origin}: expected {name} of shape {shape}. Received: {array.shape}")
        if not np.all(np.isfinite(array)):
            raise InputError(f"{origin}: expected finite weights. Received: NaN or infinity in {name}")


def _read_h5(path: Path) -> Weights:
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)  # a whole model keeps its weights one group down
            return _legacy_arrays(root) if "layer_names" in root.attrs else _keras3_arrays(root)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: expected a whole HDF5 weight file. Received: a damaged or different file ({error})"
        ) from None


def _legacy_arrays(root: "h5py.Group") -> Weights:
    """Keras 2: the attributes `layer_names` and `weight_names` list everything in model order."""
    names = [(layer, weight) for layer in root.attrs["layer_names"] for weight in root[layer].attrs["weight_names"]]
    return [root[layer][weight][()] for layer, weight in names]


def _keras3_arrays(root: "h5py.Group") -> Weights:
    """Keras 3: one group `.../vars` per layer, its arrays numbered from 0.

    HDF5 lists groups by name (`conv2d_10` before `conv2d_2`), but Keras makes them in model order, and HDF5 places the
    header of each new group behind the earlier ones: the address in the file gives the order back.
    """
    groups: list[tuple[int, h5py.Group]] = []

    def visit(name: str, item: object) -> None:
        parts = name.split("/")
        skipped = parts[0] == "optimizer" or "seed_generator" in parts
        if isinstance(item, h5py.Group) and parts[-1] == "vars" and not skipped:
            groups.append((h5py.h5o.get_info(item.id).addr, item))

    root.visititems(visit)
    return [
        group[number][()]
        for _, group in sorted(groups, key=lambda entry: entry[0])
        for number in sorted(group, key=int)
    ]
