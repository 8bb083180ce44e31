"""What the network of an operating point costs: to store, to run, and in accuracy where its weights are rounded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.data.splits import Split
from prunefront.graph.builder import Source
from prunefront.graph.compaction import compact
from prunefront.graph.effective import effective_zeros
from prunefront.graph.multiply_adds import multiply_adds
from prunefront.graph.operations import Graph
from prunefront.graph.read import read_graph, read_with_sources
from prunefront.models.layers import WeightInfo
from prunefront.pruning.masks import Weights
from prunefront.sparse_file.codec import decode, encode_each
from prunefront.training.trainer import evaluate

VALUES = {"lossless": "float32", "bfloat16": "bfloat16", "int8": "int8"}
"""How the values of the sparse file are kept, by the names of the columns and by its own."""


@dataclass(frozen=True)
class Costs:
    """What a network costs; multiply-adds are per example, and those of two activations are not counted.

    Attributes:
        effective_zeros: trainable weights that are zero or without a part in the function, see `graph.effective`.
        multiply_adds: of the dense network.
        multiply_adds_compacted: of the dense network that compaction leaves; as before it where no graph can be read.
        multiply_adds_nonzero: those with a non-zero weight: what is left if zeros cost nothing.
        bytes_lossless, bytes_bfloat16, bytes_int8: of a sparse file of all weights, with exact or rounded values.
        val_accuracy_bfloat16, val_accuracy_int8: with the weights that are read from such a file, in [0, 1].
    """

    effective_zeros: int
    multiply_adds: int
    multiply_adds_compacted: int
    multiply_adds_nonzero: int
    bytes_lossless: int
    bytes_bfloat16: int
    bytes_int8: int
    val_accuracy_bfloat16: float
    val_accuracy_int8: float


def note(model: "keras.Model") -> str | None:
    """A line for the log where no graph of the model can be read: what is not known of its costs, and why; or None."""
    try:
        read_graph(model)
    except InputError as error:
        return f"effective zeros are plain zeros, and compaction removes nothing: {error}"
    return None


def measure(model: "keras.Model", weights: Sequence[WeightInfo], uses: Sequence[int], validation: Split) -> Costs:
    """The costs of a network.

    Args:
        model: compiled; it holds the weights that are measured, before and after.
        weights: what its weight arrays are.
        uses: for each array how often one example multiplies with each of its entries.
        validation: the split for the accuracies.
    """
    arrays = model.get_weights()
    files = _sparse_files(arrays)
    rounded = {}
    for values in ("bfloat16", "int8"):
        model.set_weights(decode(files[values]))
        rounded[values], _ = evaluate(model, validation)
    model.set_weights(arrays)
    dense = sum(n * a.size for n, a in zip(uses, arrays, strict=True))
    graph, sources = _read(model, arrays)
    return Costs(
        effective_zeros=effective_zeros(arrays, [weight.trainable for weight in weights], graph, sources),
        multiply_adds=dense,
        multiply_adds_compacted=dense if graph is None else multiply_adds(compact(graph)),
        multiply_adds_nonzero=sum(n * int(np.count_nonzero(a)) for n, a in zip(uses, arrays, strict=True)),
        bytes_lossless=len(files["lossless"]),
        bytes_bfloat16=len(files["bfloat16"]),
        bytes_int8=len(files["int8"]),
        val_accuracy_bfloat16=rounded["bfloat16"],
        val_accuracy_int8=rounded["int8"],
    )


def _read(model: "keras.Model", arrays: Weights) -> tuple[Graph | None, Sequence[Source]]:
    """The graph of these weights and where they stand in it; None and nothing where no graph can be read."""
    try:
        return read_with_sources(model, arrays)
    except InputError:
        return None, ()


def _sparse_files(arrays: Weights) -> dict[str, bytes]:
    """The sparse file for each kind of values."""
    arrays = [array.view(np.uint8) if array.dtype == bool else array for array in arrays]
    return dict(zip(VALUES, encode_each(arrays, list(VALUES.values())), strict=True))
