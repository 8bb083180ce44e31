"""A null baseline: a narrow dense network with as many parameters as the sparse one has left."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.sections import SmallDense
from prunefront.pruning.masks import Weights, pruned_count

if TYPE_CHECKING:
    from prunefront.common.runtime import keras
    from prunefront.training.trainer import Trainer

GRAIN = 512
"""Widths are multiples of one over this number, a unit of the widest layer."""


def small_dense(
    make_narrow: "Callable[[float], keras.Model]",
    shapes: Sequence[tuple[int, ...]],
    trainer: "Trainer",
    settings: SmallDense,
    prunable: Sequence[bool],
) -> Iterator[tuple[float, Weights]]:
    """Trains at each level, from random weights, the widest network that has no more parameters than a sparse one.

    Its weights are given as those of the full network, with zeros for the units that it lacks.

    Args:
        make_narrow: builds the network at a width in (0, 1].
        shapes: of the full network's weights.
        trainer: trains.
        settings: the levels and how to train.
        prunable: for each weight array whether it may be pruned.

    Raises:
        InputError: a level leaves fewer parameters than the narrowest network has.
    """
    sizes = [prod(shape) for shape in shapes]
    pool = sum(size for size, flag in zip(sizes, prunable, strict=True) if flag)
    for level in settings.levels:
        limit = sum(sizes) - pruned_count(level, pool)
        grains = bisect_right(range(1, GRAIN + 1), limit, key=lambda g: make_narrow(g / GRAIN).count_params())
        if grains == 0:
            raise InputError(
                f"Expected levels of small_dense at which a network fits, of {make_narrow(1 / GRAIN).count_params()} "
                f"parameters or more. Received: {level}, which leaves {limit}"
            )
        build = partial(make_narrow, grains / GRAIN)
        weights = replace(trainer, make_model=build).fit(None, settings.at(level), label=f"{level:.2%}")
        yield level, widen(weights, shapes)


def widen(narrow: Weights, shapes: Sequence[tuple[int, ...]]) -> Weights:
    """The weights of a narrower network as those of the full one, with zeros for the units that it lacks.

    The outputs are the same: the units that are added give zero, and nothing listens to them.

    Args:
        narrow: weights of `build_network(..., width)`, in model order.
        shapes: of the full network's weights.
    """
    wide: Weights = []
    channels, full_channels = 1, 1  # of the layer before
    for small, shape in zip(narrow, shapes, strict=True):
        full = np.zeros(shape, small.dtype)
        if small.ndim == 2:  # after the flattening a row stands for a position and a channel
            rows = full.reshape(-1, full_channels, shape[-1])
            rows[:, :channels, : small.shape[-1]] = small.reshape(-1, channels, small.shape[-1])
        else:
            full[tuple(slice(size) for size in small.shape)] = small
        if small.ndim > 1:
            channels, full_channels = small.shape[-1], shape[-1]
        wide.append(full)
    return wide
