"""Iterative magnitude pruning with the learning rate rewound, and the same with random masks as a null baseline."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prunefront.common.sections import RandomMasks, Retraining
from prunefront.pruning.masks import Weights, further_masks
from prunefront.pruning.saliency import Score

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def iterative(
    start: Weights,
    trainer: "Trainer",
    settings: Retraining | RandomMasks,
    score: Score,
    prunable: Sequence[bool],
) -> Iterator[tuple[float, Weights]]:
    """Walks the levels upwards: prunes, retrains with the zeros held, prunes what came out further.

    Each level is trained by the whole learning-rate schedule from its beginning, weights are not rewound: Renda,
    Frankle and Carbin, "Comparing rewinding and fine-tuning in neural network pruning" (2020). Weights that start
    sparser than a level keep the zeros that they have.

    Args:
        start: the dense weights, in model order.
        trainer: retrains.
        settings: the levels and how to retrain.
        score: the saliency score.
        prunable: for each weight array whether it may be pruned.
    """
    weights = start
    for level in settings.levels:
        masks = further_masks(weights, level, prunable, score)
        weights = trainer.fit(weights, settings.at(level), masks=masks, label=f"{level:.2%}")
        yield level, weights
