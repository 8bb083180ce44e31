"""A network of another kind that the others may imitate."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunefront.common.sections import Teacher
from prunefront.pruning.masks import Weights

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def teacher(start: Weights | None, trainer: "Trainer", settings: Teacher) -> Iterator[tuple[float, Weights]]:
    """Trains the teacher: one point, at sparsity 0. No label of the validation split has a part in it.

    Args:
        start: weights in model order to start from; None starts from random ones.
        trainer: trains, the last epoch counts.
        settings: how to train; with 0 epochs the starting weights are the teacher.
    """
    yield 0.0, trainer.fit(start, settings, choose=False)
