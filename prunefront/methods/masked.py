"""Method 4 of the founding report: retrain everything with the gradient multiplied by a mask."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from prunefront.common.sections import Retraining
from prunefront.pruning.masks import Weights, apply_masks, further_masks, nonzero_masks
from prunefront.pruning.saliency import Score

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def masked(
    start: Callable[[float], tuple[float, Weights]],
    trainer: "Trainer",
    settings: Retraining,
    score: Score,
    prunable: Sequence[bool],
) -> Iterator[tuple[float, Weights]]:
    """Retrains at each level from method 3's weights, with every zero held.

    Args:
        start: gives method 3's weights at a level, or at the highest level below it, with that level.
        trainer: retrains.
        settings: the levels and how to retrain.
        score: the saliency score of further zeros.
        prunable: for each weight array whether it may be pruned.
    """
    for level in settings.levels:
        reached, weights = start(level)
        if reached < level:  # method 3 has no such level
            weights = apply_masks(weights, further_masks(weights, level, prunable, score))
        masks = nonzero_masks(weights, prunable)
        yield level, trainer.fit(weights, settings.at(level), masks=masks, label=f"{level:.1%}")
