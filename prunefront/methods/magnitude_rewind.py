"""Magnitude pruning with late rewinding: prune the trained network, retrain from the weights of an early epoch."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prunefront.common.sections import Retraining
from prunefront.pruning.masks import Weights, apply_masks, further_masks
from prunefront.pruning.saliency import Score

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def magnitude_rewind(
    start: Weights,
    trainer: "Trainer",
    settings: Retraining,
    score: Score,
    prunable: Sequence[bool],
    early: Weights,
) -> Iterator[tuple[float, Weights]]:
    """Prunes once to each level, each time from the dense weights, and retrains from those of an early epoch.

    The masks are chosen on the trained weights; what they keep goes back to its values early in training, and the
    learning-rate schedule begins anew: Frankle, Dziugaite, Roy and Carbin, "Stabilizing the lottery ticket hypothesis"
    (2019) and "Linear mode connectivity and the lottery ticket hypothesis" (2020).

    Args:
        start: the dense weights, in model order.
        trainer: retrains.
        settings: the levels and how to retrain.
        score: the saliency score.
        prunable: for each weight array whether it may be pruned.
        early: the weights of an early epoch of the training that ended in `start`.
    """
    for level in settings.levels:
        masks = further_masks(start, level, prunable, score)
        yield level, trainer.fit(apply_masks(early, masks), settings.at(level), masks=masks, label=f"{level:.2%}")
