"""The dense network that the other methods start from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunefront.common.sections import Baseline
from prunefront.pruning.masks import Weights

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def baseline(
    start: Weights | None, trainer: "Trainer", settings: Baseline, kept: dict[str, Weights | None]
) -> Iterator[tuple[float, Weights]]:
    """Trains the dense network: one point, at sparsity 0.

    Args:
        start: weights in model order to start from; None starts from random ones.
        trainer: trains.
        settings: how to train; with 0 epochs the starting weights are the dense network.
        kept: takes the weights of the early epoch that the settings name, as `baseline_early`; None if they name none.
    """
    if settings.keeps:
        dense, kept["baseline_early"] = trainer.fit_keeping(start, settings, settings.keep_epoch)
    else:
        dense, kept["baseline_early"] = trainer.fit(start, settings), None
    yield 0.0, dense
