"""Methods 1 and 2 of the founding report: magnitude pruning without retraining, global or layerwise."""

from collections.abc import Iterator, Sequence

from prunefront.pruning.masks import Weights, apply_masks, masks_for_levels
from prunefront.pruning.saliency import Score


def prune(
    dense: Weights,
    levels: Sequence[float],
    score: Score,
    prunable: Sequence[bool],
    layerwise: bool,
) -> Iterator[tuple[float, Weights]]:
    """Prunes the dense weights to each level, each time afresh.

    Args:
        dense: weights in model order.
        levels: target sparsities in [0, 1).
        score: the saliency score.
        prunable: for each weight array whether it may be pruned.
        layerwise: the threshold rule: one for each array (method 2), or one for all (method 1).
    """
    masks = masks_for_levels(dense, levels, prunable, score, layerwise)
    for level in levels:
        yield level, apply_masks(dense, masks.masks(level))
