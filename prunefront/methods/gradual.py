"""Gradual magnitude pruning: the sparsity rises along a cubic curve while the network trains."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prunefront.common.sections import Gradual
from prunefront.pruning.masks import Weights, count_false, nonzero_masks
from prunefront.pruning.saliency import Score
from prunefront.pruning.schedules import Ramp

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def gradual(
    start: Weights,
    trainer: "Trainer",
    settings: Gradual,
    score: Score,
    prunable: Sequence[bool],
    regrown: float = 0.0,
) -> Iterator[tuple[float, Weights]]:
    """Walks the levels upwards, each from the weights of the one before.

    At each level the sparsity rises from the level below along the cubic curve of Zhu and Gupta, "To prune, or not to
    prune" (2017), in `ramp_epochs` epochs, by a step every `ramp_steps` training steps; the rest of the epochs retrains
    with the zeros held, and the best of those is kept. Weights that start sparser than a level keep their zeros.

    Args:
        start: the dense weights, in model order.
        trainer: retrains.
        settings: the levels, the ramp and how to retrain.
        score: the saliency score.
        prunable: for each weight array whether it may be pruned.
        regrown: see `Ramp`.
    """
    weights = start
    pool = sum(w.size for w, flag in zip(weights, prunable, strict=True) if flag)
    for level in settings.levels:
        present = nonzero_masks(weights, prunable)
        initial = min(level, count_false(present) / pool)
        ramp = Ramp(initial, level, settings.ramp_epochs, settings.ramp_steps, score, tuple(prunable), regrown)
        weights = trainer.fit(weights, settings.at(level), masks=present, ramp=ramp, label=f"{level:.2%}")
        yield level, weights
