"""How many zeros, out of how many weights, counted over what."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prunefront.models.layers import WeightInfo
from prunefront.pruning.masks import count_zeros


@dataclass(frozen=True)
class Counts:
    """Exact zeros and numbers of weights, by what they are counted over."""

    kernel_zeros: int
    kernel_parameters: int
    prunable_zeros: int
    prunable_parameters: int
    trainable_zeros: int
    trainable_parameters: int
    all_zeros: int
    all_parameters: int


def count(weights: Sequence[WeightInfo], arrays: Sequence[np.ndarray]) -> Counts:
    """Counts the zeros.

    Args:
        weights: what the arrays are.
        arrays: the values, in the same order.
    """
    sums: Counter[str] = Counter()
    for weight, array in zip(weights, arrays, strict=True):
        kinds = {"kernel": weight.kernel, "prunable": weight.prunable, "trainable": weight.trainable, "all": True}
        zeros = count_zeros([array])
        for kind, counted in kinds.items():
            sums[f"{kind}_zeros"] += zeros if counted else 0
            sums[f"{kind}_parameters"] += array.size if counted else 0
    return Counts(**sums)


def describe(weights: Sequence[WeightInfo]) -> str:
    """Two lines for the log: which layers are pruned and which are not, with their numbers of trainable parameters."""
    pruned: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for weight in weights:
        size = math.prod(weight.shape)
        if not weight.trainable:
            left["not trainable"] += size
        else:
            (pruned if weight.prunable else left)[weight.layer] += size

    def listed(counts: Counter[str]) -> str:
        names = ", ".join(f"{path} {size:,}" for path, size in counts.items())
        return f"{counts.total():,} parameters" + (f": {names}" if names else "")

    return f"pruned are {listed(pruned)}\nnot pruned are {listed(left)}"
