"""The sparsity ledger: how many zeros, out of how many, counted over what."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prunefront.common.runtime import keras
from prunefront.models.layers import kernels, layer_paths
from prunefront.pruning.masks import count_zeros


@dataclass(frozen=True)
class Ledger:
    """Exact zeros and numbers of weights, by what they are counted over."""

    kernel_zeros: int
    kernel_parameters: int
    prunable_zeros: int
    prunable_parameters: int
    trainable_zeros: int
    trainable_parameters: int
    all_zeros: int
    all_parameters: int


def count(model: "keras.Model", chosen: Sequence[bool]) -> Ledger:
    """Counts the zeros in a model's present weights. Call it before layers are frozen.

    Args:
        model: built.
        chosen: which arrays are prunable, see `prunable`.
    """
    trainable = {id(variable) for variable in model.trainable_weights}
    sums: Counter[str] = Counter()
    each = zip(model.weights, model.get_weights(), kernels(model), chosen, strict=True)
    for variable, array, kernel, pruned in each:
        kinds = {
            "kernel": kernel,
            "prunable": pruned,
            "trainable": id(variable) in trainable,
            "all": True,
        }
        zeros = count_zeros([array])
        for kind, counted in kinds.items():
            sums[f"{kind}_zeros"] += zeros if counted else 0
            sums[f"{kind}_parameters"] += array.size if counted else 0
    return Ledger(**sums)


def describe(model: "keras.Model", chosen: Sequence[bool]) -> str:
    """Two lines for the log: which layers are pruned and which are not, with their numbers of trainable parameters.

    Args:
        model: built.
        chosen: which arrays are prunable, see `prunable`.
    """
    trainable = {id(variable) for variable in model.trainable_weights}
    pruned: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for variable, path, yes in zip(model.weights, layer_paths(model), chosen, strict=True):
        size = math.prod(variable.shape)
        if id(variable) not in trainable:
            left["not trainable"] += size
        else:
            (pruned if yes else left)[path] += size

    def listed(counts: Counter[str]) -> str:
        names = ", ".join(f"{path} {size:,}" for path, size in counts.items())
        return f"{counts.total():,} parameters" + (f": {names}" if names else "")

    return f"pruned are {listed(pruned)}\nnot pruned are {listed(left)}"
