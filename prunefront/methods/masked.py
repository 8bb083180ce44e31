"""Method 4 of the founding report: retrain everything with the gradient multiplied by a mask."""

from collections.abc import Callable, Iterator, Sequence

from prunefront.masks import Weights, apply_masks, global_masks, nonzero_masks
from prunefront.params import Masked
from prunefront.training import Trainer


def masked(
    start: Callable[[float], tuple[float, Weights]],
    trainer: Trainer,
    recipe: Masked,
    prunable: Sequence[bool],
) -> Iterator[tuple[float, Weights]]:
    """Retrains at each level from method 3's weights, with every zero held.

    Args:
        start: gives method 3's weights at a level, or at the highest level below it, with that level.
        trainer: retrains.
        recipe: the levels and how to retrain.
        prunable: for each weight array whether it may be pruned.
    """
    for level in recipe.levels:
        reached, weights = start(level)
        if reached < level:  # method 3 has no such level: threshold further by method 1's rule
            weights = apply_masks(weights, global_masks(weights, level, prunable))
        yield level, trainer.fit(weights, recipe, masks=nonzero_masks(weights, prunable), label=f"{level:.1%}")
