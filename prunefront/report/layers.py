"""How the zeros are spread over the layers, from the certificates of the weight files: those count each array."""

import itertools
from pathlib import Path

import h5py
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.files import read_json
from prunefront.models.certificate import Certificate, certificate_path
from prunefront.pipeline.store import weights_file

COLUMNS = ["method", "name", "target_sparsity", "seed", "layer", "zeros", "weights"]


def read_layers(points: pd.DataFrame) -> pd.DataFrame:
    """Zeros and weights in each layer of each operating point, layers in model order.

    Only arrays of two or more dimensions count, kernels and tables of embeddings; layers without any are left out.

    Args:
        points: with the columns method, name, target_sparsity, seed and weights_sha256.

    Returns:
        A row per point and layer, with the columns of `COLUMNS`; empty where the weight files are not here.

    Raises:
        InputError: a weight file or its certificate is missing, where others are here, damaged, or of another run.
    """
    records = points[["method", "name", "target_sparsity", "seed", "weights_sha256"]].to_dict("records")
    paths = [weights_file(point["method"], point["seed"], point["target_sparsity"]) for point in records]
    if not any(path.exists() for path in paths):
        return pd.DataFrame(columns=COLUMNS)
    rows: list[tuple[object, ...]] = []
    titles: dict[tuple[str, ...], dict[str, str]] = {}
    for path, point in zip(paths, records, strict=True):
        certificate = read_json(certificate_path(path), Certificate)
        if certificate.sha256 != point["weights_sha256"] or not path.exists():
            raise InputError(
                f"Expected {path} and its certificate to be of the results in metrics/; run `dvc repro` or "
                f"`dvc checkout`. Received: {'others' if path.exists() else 'no such file'}"
            )
        counts: dict[str, tuple[int, int]] = {}
        for tensor, about in certificate.tensors.items():
            if len(about.shape) >= 2:
                zeros, weights = counts.get(layer_of(tensor), (0, 0))
                counts[layer_of(tensor)] = zeros + about.zeros, weights + about.values
        if tuple(counts) not in titles:
            titles[tuple(counts)] = layer_names(path, list(counts))
        names = titles[tuple(counts)]
        about_point = [point[column] for column in COLUMNS[:4]]
        rows += [(*about_point, names[layer], *of_layer) for layer, of_layer in counts.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def layer_of(tensor: str) -> str:
    """The group of a layer in a weight file, from the name of an array: `layers/dense/vars/0` is in `layers/dense`."""
    return tensor.rpartition("/")[0].removesuffix("/vars")


def layer_names(path: Path, layers: list[str]) -> dict[str, str]:
    """What the model calls each layer, by its group in a Keras weight file; the group itself where the file has none.

    A layer within others goes by all their names, `encoder/query`; what two layers would share is the group instead.
    """
    with h5py.File(path, "r") as file:

        def named(group: str) -> str:
            parents = itertools.accumulate(group.split("/"), "{}/{}".format)
            found = [file[f"{parent}/vars"].attrs.get("name", "") for parent in parents if f"{parent}/vars" in file]
            return "/".join(str(name) for name in found if name) or group

        names = {layer: named(layer) for layer in layers}
    shared = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {layer: layer if name in shared else name for layer, name in names.items()}
