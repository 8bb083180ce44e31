"""Weight files: read without running or unpickling anything, written whole or not at all."""

import io
import math
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import h5py
import numpy as np

from prunefront.common.arrays import finite_in_float32, read_npz
from prunefront.common.errors import InputError
from prunefront.common.files import replacing
from prunefront.pruning.masks import Masks, Weights

if TYPE_CHECKING:
    import keras

ORDER = "prunefront_order"
"""The attribute of our weight files that lists their arrays in model order."""


def load_weights(path: str | Path) -> Weights:
    """Reads the arrays of a weight file, in model order (that of `keras.Model.get_weights()`).

    Args:
        path: a Keras 3 `.weights.h5` or `.keras` file, a `.h5` file of Keras 2, or an `.npz` file with the arrays in
            order. Of a file that holds a whole model only the weights are read. Keras 3 does not note the model order:
            where the file is not prunefront's own, arrays inside a composite layer, such as MultiHeadAttention, come in
            the order of the file.

    Returns:
        The arrays, with the dtypes of the file. Optimizer state and random seeds in the file are left out.

    Raises:
        InputError: the file is missing, truncated, of another kind, holds no weights, or would need unpickling.
    """
    return list(load_named_weights(path).values())


def load_named_weights(path: str | Path) -> dict[str, np.ndarray]:
    """As `load_weights`, with the name that each array has in the file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"Expected a weight file (.weights.h5, .h5, .keras, .npz). Received: {path}, which is no file")
    if path.suffix not in READERS:
        raise InputError(f"Expected a weight file ending in .weights.h5, .h5, .keras or .npz. Received: {path}")
    arrays = READERS[path.suffix](path)
    if not arrays:
        raise InputError(f"Expected a file with weights. Received: {path}, which holds none")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise InputError(f"{path}: expected numbers. Received: {name} of dtype {array.dtype}")
    return arrays


def notes_order(path: Path) -> bool:
    """Whether a weight file says in which order the model has its arrays: all but Keras 3's own do."""
    if path.suffix not in (".h5", ".hdf5"):
        return path.suffix == ".npz"
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)
        return ORDER in root.attrs or "layer_names" in root.attrs


def save_weights(path: Path, model: "keras.Model") -> None:
    """Writes `model.save_weights(path)` under a temporary name, reads it back, and only then puts it in place.

    The file is an ordinary Keras one with one attribute more, which gives the model order to `load_weights`.

    Args:
        path: ends in `.weights.h5`.
        model: built; the file also holds the optimizer's state if the model has an optimizer.

    Raises:
        InputError: the file read back differs from the model (a full or failing disk).
    """
    weights = model.get_weights()
    with replacing(path, room=_largest(model)) as partial:
        model.save_weights(partial)
        with h5py.File(partial, "r+") as file:
            file.attrs[ORDER] = _locate(file, weights)
        written = load_weights(partial)
        if len(written) != len(weights) or any(map(_differ, written, weights)):
            raise InputError(f"Expected {path} to hold the model's weights. Received: something else when read back")


def _largest(model: "keras.Model") -> int:
    """More bytes than a model's file will have: its arrays, the optimizer's too, and what HDF5 says of each."""
    variables = [*model.weights, *getattr(getattr(model, "optimizer", None), "variables", [])]
    return 2**16 + sum(variable.numpy().nbytes + 2**13 for variable in variables)


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
        shapes = [tuple(arrays[f"shape_{i}"]) for i in range(int(arrays["count"]))]
        bits = [np.unpackbits(arrays[f"bits_{i}"], count=math.prod(shape)) for i, shape in enumerate(shapes)]
        return [b.astype(bool).reshape(shape) for b, shape in zip(bits, shapes, strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected masks written by save_masks. Received: another file ({error})") from None


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


def _read_h5(path: Path, file: IO[bytes] | None = None) -> dict[str, np.ndarray]:
    try:
        with h5py.File(file or path, "r") as opened:
            root = opened.get("model_weights", opened)  # a whole model keeps its weights one group down
            if ORDER in root.attrs:
                names = list(root.attrs[ORDER])
            else:
                names = _legacy_names(root) if "layer_names" in root.attrs else _keras3_names(root)
            return {str(name): _array(root[name]) for name in names}
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(
            f"{path}: expected a whole HDF5 weight file. Received: a damaged or different file ({error})"
        ) from None


def _read_keras(path: Path) -> dict[str, np.ndarray]:
    """The weights inside a `.keras` archive; its description of the model, which may hold code, is not touched."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as packed:
            unpacked = io.BytesIO(packed.read())
    except Exception as error:  # a damaged archive raises almost anything
        raise InputError(f"{path}: expected a whole .keras file. Received: {error}") from None
    return _read_h5(path, unpacked)


READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".npz": read_npz,
    ".h5": _read_h5,
    ".hdf5": _read_h5,
    ".keras": _read_keras,
}


def _legacy_names(root: "h5py.Group") -> list[str]:
    """Keras 2: the attributes `layer_names` and `weight_names` list everything in model order."""
    layers = [_text(layer) for layer in root.attrs["layer_names"]]
    return [f"{layer}/{_text(weight)}" for layer in layers for weight in root[layer].attrs["weight_names"]]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _keras3_names(root: "h5py.Group") -> list[str]:
    """Keras 3: one group `.../vars` per layer, its arrays numbered from 0.

    Keras makes the groups in model order, but HDF5 lists them by name, `dense_10` before `dense_2`. Two things give the
    order back: layers of one class are numbered, and the addresses in the file grow as it is written, but for small
    objects that fill a gap. The layers inside a composite layer stay in the order of Keras's file.
    """
    vars_of: dict[str, list[str]] = {}
    for name in _dataset_names(root):
        group, _, number = name.rpartition("/")
        if group.endswith("vars") and number.isdigit():
            vars_of.setdefault(group, []).append(name)

    def address(group: str) -> int:
        return max(h5py.h5o.get_info(root[name].id).addr for name in vars_of[group])

    latest: dict[tuple[str, ...], int] = {}
    place: dict[str, int] = {}
    for group in sorted(vars_of, key=_natural):
        siblings = tuple(text for text, _ in _natural(group))
        place[group] = latest[siblings] = max(address(group), latest.get(siblings, 0))
    ordered = sorted(place, key=lambda group: (place[group], _natural(group)))
    return [name for group in ordered for name in sorted(vars_of[group], key=_natural)]


def _dataset_names(root: "h5py.Group") -> list[str]:
    """The names of all weight arrays; the optimizer's state and the states of random generators are none."""
    names: list[str] = []

    def visit(name: str, item: object) -> None:
        parts = name.split("/")
        if isinstance(item, h5py.Dataset) and parts[0] != "optimizer" and "seed_generator" not in parts:
            names.append(name)

    root.visititems(visit)
    return names


def _locate(file: "h5py.File", weights: Weights) -> list[str]:
    """For each of the weights the name of an array in the file with the same content, each name once."""
    found: dict[tuple[tuple[int, ...], bytes], list[str]] = {}
    for name in _dataset_names(file):
        array = _array(file[name])
        found.setdefault((array.shape, array.tobytes()), []).append(name)
    try:
        return [found[weight.shape, weight.tobytes()].pop(0) for weight in weights]
    except (KeyError, IndexError):
        raise InputError("Expected every weight of the model in its file. Received: a file without one") from None


def _array(dataset: "h5py.Dataset") -> np.ndarray:
    if dataset.attrs.get("dtype") == "bfloat16":  # Keras's note: HDF5 has no such type
        import ml_dtypes

        return np.array(dataset, dtype=ml_dtypes.bfloat16)
    return np.asarray(dataset[()])


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes()


def _natural(name: str) -> list[tuple[str, int]]:
    """A sorting key that puts `dense_2` before `dense_10`, and `dense` before both."""
    parts = (re.fullmatch(r"(.*?)_?(\d*)", part) for part in name.split("/"))
    return [(part[1], int(part[2] or 0)) for part in parts if part]
