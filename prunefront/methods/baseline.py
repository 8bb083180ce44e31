"""The dense network that the other methods start from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunefront.common.params import Training
from prunefront.pruning.masks import Weights

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def baseline(start: Weights | None, trainer: "Trainer", settings: Training) -> Iterator[tuple[float, Weights]]:
    """Trains the dense network: one point, at sparsity 0.

    Args:
        start: weights in model order to start from; None starts from random ones.
        trainer: trains.
        settings: how to train; with 0 epochs the starting weights are the dense network.
    """
    yield 0.0, trainer.fit(start, settings)
