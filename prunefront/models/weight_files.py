"""The weights in Keras's files, told from what else is in them.

Keras writes two layouts. The *legacy* one, of Keras 2 and of `.h5` files, lists layers and weights in attributes, the
trainable weights of each layer first. That of Keras 3 (and of `.keras` and `.weights.h5` files of Keras 2) has a group
`PATH/vars` for each object, its arrays numbered from 0, and notes no order.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.sizes import check_size
from prunefront.models.archives import datasets, size_of

ORDER = "prunefront_order"
"""The attribute of our weight files that lists their arrays in model order."""

_STATE = {"optimizer", "metrics", "seed_generator"}
"""What Keras calls the parts of a model that are no weights."""

_LAYERS = {"layers", "_layer_checkpoint_dependencies"}
"""What Keras calls the list of a model's layers; early `.keras` files have the longer name."""

_WRAPPER = re.compile(r"prune_low_magnitude(_\d+)?")
_WRAPPER_STATE = re.compile(r"(mask|threshold|pruning_step)(_\d+)?(:0)?")
_OTHER_WRAPPERS = re.compile(
    r"(^|/)(cluster_weights|quantize_wrapper|quantize_layer)|/(pulling_indices|optimizer_step)"
)


def weights_root(file: h5py.File) -> h5py.Group:
    """The group of the weights; a whole model in the legacy layout keeps them one group down."""
    return file if is_legacy(file) else file.get("model_weights", file)


def is_legacy(root: h5py.Group) -> bool:
    """Whether the weights in a group are in the legacy layout."""
    return "layer_names" in root.attrs or "layer_names0" in root.attrs


def read_arrays(root: h5py.Group, path: Path) -> dict[str, np.ndarray]:
    """The weights in a group, in the order that the file gives.

    Args:
        root: of `weights_root`.
        path: of the file, for errors.

    Raises:
        InputError: the file holds what cannot be counted as weights: packed bytes, text, what wrappers compress.
    """
    if ORDER in root.attrs:
        names = [str(name) for name in root.attrs[ORDER]]
    else:
        names = _legacy_names(root) if is_legacy(root) else _keras3_names(datasets(root, path), path)
        wrapped = [name for name in names if _OTHER_WRAPPERS.search(name)]
        if wrapped:
            raise InputError(
                f"{path}: expected plain weights. Received: {wrapped[0]}, of a network that TensorFlow Model "
                f"Optimization clusters or quantizes; strip the wrappers before the weights are saved"
            )
    check_size(sum(size_of(root[name]) for name in names), str(path))
    for name in names:
        if not is_number(root[name].dtype) and not is_bfloat16(root[name]):
            raise InputError(f"{path}: expected numbers. Received: {name} of dtype {root[name].dtype}")
    arrays = {name: array_of(root[name]) for name in names}
    if ORDER in root.attrs:
        return arrays
    for home in _by_home(names).values():
        _check_unpacked([arrays[name] for name in home], home[0], path)
    twins = _legacy_twins(arrays) if is_legacy(root) else _keras3_twins(arrays)
    return {name: array for name, array in arrays.items() if name not in twins}


def is_number(dtype: np.dtype) -> bool:
    """Whether weights may be of that type: floating-point or whole numbers."""
    return dtype.kind in "fiu" or dtype.name == "bfloat16"


def is_bfloat16(dataset: h5py.Dataset) -> bool:
    """Whether Keras notes that an array is bfloat16, a type that HDF5 does not have."""
    return dataset.attrs.get("dtype") == "bfloat16"


def array_of(dataset: h5py.Dataset) -> np.ndarray:
    """An array as it was written."""
    if is_bfloat16(dataset):
        import ml_dtypes

        return np.array(dataset, dtype=ml_dtypes.bfloat16)
    return np.asarray(dataset[()])


def check_whole(path: Path) -> None:
    """Raises InputError if an index beside the file says that it is one shard of several."""
    if not re.fullmatch(r".+_\d{5}\.weights\.h5", path.name):
        return
    for index in sorted(path.parent.glob("*.weights.json")):
        try:
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            names = {name for shard in shards for name in ([shard] if isinstance(shard, str) else shard)}
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            continue  # not the index
        if path.name in names and len(names) > 1:
            raise InputError(
                f"{path}: expected all weights in one file. Received: one of {len(names)} shards that {index.name} "
                f"lists; load that into the model with model.load_weights, then model.save_weights writes one file"
            )


def _legacy_names(root: h5py.Group) -> list[str]:
    """The attributes `layer_names` and `weight_names` list everything but the model's own weights.

    Those come where the Keras that wrote the file has them: first in Keras 3, last in Keras 2.
    """
    layers, own = _listed(root, "layer_names"), ["top_level_model_weights"]
    if _text(root.attrs.get("keras_version", "")).startswith("3"):
        layers = [name for name in own if name in root] + layers
    else:
        layers += [name for name in own if name in root]
    names = [f"{layer}/{weight}" for layer in layers for weight in _listed(root[layer], "weight_names")]
    wrappers = {_split(name)[0] for name in names if _split(name)[1].startswith("pruning_step")}
    return [name for name in names if not (_split(name)[0] in wrappers and _WRAPPER_STATE.fullmatch(_split(name)[1]))]


def _listed(group: h5py.Group, name: str) -> list[str]:
    """A list among the attributes; Keras cuts a long one into `NAME0`, `NAME1` and so on."""
    chunks = [name] if name in group.attrs else list(itertools.takewhile(group.attrs.__contains__, _numbered(name)))
    items = [item for chunk in chunks for item in group.attrs[chunk]]
    return [_text(item) for item in items]


def _text(item: str | bytes) -> str:
    return item.decode() if isinstance(item, bytes) else item


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}{number}" for number in itertools.count())


def _keras3_names(found: dict[str, h5py.Dataset], path: Path) -> list[str]:
    """The arrays of all groups `PATH/vars` that hold weights.

    Keras makes the groups in model order, but HDF5 lists them by name, `dense_10` before `dense_2`. Two things give the
    order back: layers of one class are numbered, and the addresses in the file grow as it is written, but for small
    objects that fill a gap. The layers inside a composite layer stay in the order of Keras's file.
    """
    groups = {
        home: sorted(names, key=_natural) for home, names in _by_home(found).items() if home.split("/")[-1] == "vars"
    }
    groups = {home: names for home, names in groups.items() if not _is_state(home, [found[name] for name in names])}
    for home, names in groups.items():
        numbers = [int(leaf) for _, leaf in map(_split, names) if leaf.isdigit()]
        if numbers != list(range(len(numbers))):
            raise InputError(f"{path}: expected whole weights. Received: a part; arrays are missing in {home}")

    def address(home: str) -> int:
        return max(h5py.h5o.get_info(found[name].id).addr for name in groups[home])

    latest: dict[tuple[str, ...], int] = {}
    place: dict[str, int] = {}
    for home in sorted(groups, key=_natural):
        siblings = tuple(text for text, _ in _natural(home))
        place[home] = latest[siblings] = max(address(home), latest.get(siblings, 0))
    return [name for home in sorted(place, key=lambda home: (place[home], _natural(home))) for name in groups[home]]


def _is_state(home: str, arrays: list[h5py.Dataset]) -> bool:
    """Whether a group `PATH/vars` belongs to an optimizer, a metric, a generator or a wrapper, whatever it is called.

    An optimizer begins with its count of steps, in Keras 3 followed by the learning rate; a mean has a total and a
    count, and only Keras 2, which gives groups no name, keeps it.
    """
    parts = home.split("/")[:-1]
    if _STATE.intersection(parts) or any("idf_weights" in array.name for array in arrays):
        return True
    if parts and _WRAPPER.fullmatch(parts[-1]):
        return True
    if not parts or (len(parts) > 1 and parts[-2] in _LAYERS):
        return False
    scalars = [array.dtype.kind for array in itertools.takewhile(lambda array: array.shape == (), arrays)]
    if "name" in arrays[0].parent.attrs:
        return scalars[:2] == ["i", "f"]
    return scalars[:1] == ["i"] or (scalars == ["f", "f"] and len(arrays) == 2)


def _check_unpacked(arrays: list[np.ndarray], name: str, path: Path) -> None:
    """Raises InputError if the bytes of a layer hold several weights each.

    Keras's int8 kernels have a scale for each channel, whose largest magnitude is 127; packed kernels, of two int4 each
    or of GPTQ and AWQ, have not.
    """
    scales = {array.size for array in arrays if array.dtype.kind == "f"}
    kernels = [array for array in arrays if array.dtype in (np.int8, np.uint8)]
    if scales and kernels and not all(_has_channels_of_int8(kernel, scales) for kernel in kernels):
        raise InputError(
            f"{path}: expected a number for each weight. Received: packed bytes, as quantization to int4, GPTQ or AWQ "
            f"writes them, in the layer of {name}; save the weights before they are quantized"
        )


def _has_channels_of_int8(kernel: np.ndarray, scales: set[int]) -> bool:
    axes = range(kernel.ndim)
    for reduced in itertools.chain.from_iterable(itertools.combinations(axes, n) for n in range(1, kernel.ndim + 1)):
        peaks = np.abs(kernel.astype(np.int16)).max(axis=reduced, initial=0)
        if peaks.size in scales and np.isin(peaks, (0, 127)).all():
            return True
    return False


def _keras3_twins(arrays: dict[str, np.ndarray]) -> set[str]:
    """Arrays of a wrapper that the wrapped layer has too: Keras writes a variable for each object that holds it."""
    holders: dict[tuple[object, ...], list[str]] = {}
    for name, array in arrays.items():
        holders.setdefault(_content(array), []).append(name)
    return {
        name
        for names in holders.values()
        for name in names
        if _varied(arrays[name]) and any(_inside(other, name) for other in names)
    }


def _inside(name: str, outer: str) -> bool:
    home = _split(outer)[0].removesuffix("vars")
    return name.startswith(home) and not name.startswith(f"{home}vars/")


def _legacy_twins(arrays: dict[str, np.ndarray]) -> set[str]:
    """Arrays of a layer that is listed a second time, since several models hold it: same names, same content."""
    first: dict[tuple[object, ...], str] = {}
    twins: set[str] = set()
    for home, names in _by_home(arrays).items():
        group, _, inner = home.partition("/")
        content = (inner, *(_split(name)[1] for name in names), *(_content(arrays[name]) for name in names))
        if any(_varied(arrays[name]) for name in names) and first.setdefault(content, group) != group:
            twins.update(names)
    return twins


def _by_home(names: Iterable[str]) -> dict[str, list[str]]:
    homes: dict[str, list[str]] = {}
    for name in names:
        homes.setdefault(_split(name)[0], []).append(name)
    return homes


def _content(array: np.ndarray) -> tuple[object, ...]:
    return (array.shape, array.dtype.str, hash(array.tobytes()))


def _varied(array: np.ndarray) -> bool:
    return array.size > 1 and bool((array != array.flat[0]).any())


def _split(name: str) -> tuple[str, str]:
    home, _, leaf = name.rpartition("/")
    return home, leaf


def _natural(name: str) -> list[tuple[str, int]]:
    """A sorting key that puts `dense_2` before `dense_10`, and `dense` before both."""
    parts = (re.fullmatch(r"(.*?)_?(\d*)", part) for part in name.split("/"))
    return [(part[1], int(part[2] or 0)) for part in parts if part]
