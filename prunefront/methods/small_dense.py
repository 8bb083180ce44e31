"""A null baseline: a narrow dense network with as many parameters as the sparse one has left."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import prod

from prunefront.errors import InputError
from prunefront.masks import Weights, pruned_count
from prunefront.network import widen
from prunefront.params import SmallDense
from prunefront.runtime import keras
from prunefront.training import Trainer

GRAIN = 512
"""Widths are multiples of one over this number, a unit of the widest layer."""


def small_dense(
    make_narrow: "Callable[[float], keras.Model]",
    shapes: Sequence[tuple[int, ...]],
    trainer: Trainer,
    training: SmallDense,
    prunable: Sequence[bool],
) -> Iterator[tuple[float, Weights]]:
    """Trains at each level, from random weights, the widest network that has no more parameters than a sparse one.

    Its weights are given as those of the full network, with zeros for the units that it lacks.

    Args:
        make_narrow: builds the network at a width in (0, 1].
        shapes: of the full network's weights.
        trainer: trains.
        training: the levels and how to train.
        prunable: for each weight array whether it may be pruned.

    Raises:
        InputError: a level leaves fewer parameters than the narrowest network has.
    """
    sizes = [prod(shape) for shape in shapes]
    pool = sum(size for size, chosen in zip(sizes, prunable, strict=True) if chosen)
    for level in training.levels:
        limit = sum(sizes) - pruned_count(level, pool)
        grains = bisect_right(range(1, GRAIN + 1), limit, key=lambda g: make_narrow(g / GRAIN).count_params())
        if grains == 0:
            raise InputError(
                f"Expected levels of small_dense at which a network fits, of {make_narrow(1 / GRAIN).count_params()} "
                f"parameters or more. Received: {level}, which leaves {limit}"
            )
        build = partial(make_narrow, grains / GRAIN)
        weights = replace(trainer, make_model=build).fit(None, training, label=f"{level:.2%}")
        yield level, widen(weights, shapes)
