"""Methods 1 and 2 of the founding report: magnitude pruning without retraining, global or layerwise."""

from collections.abc import Callable, Iterator, Sequence

from prunefront.pruning.masks import Masks, Weights, apply_masks
from prunefront.pruning.saliency import Score


def prune(
    dense: Weights,
    levels: Sequence[float],
    make_masks: Callable[[Weights, float, Sequence[bool], Score], Masks],
    score: Score,
    prunable: Sequence[bool],
) -> Iterator[tuple[float, Weights]]:
    """Prunes the dense weights to each level, each time afresh.

    Args:
        dense: weights in model order.
        levels: target sparsities in [0, 1).
        make_masks: the threshold rule, `global_masks` for method 1 or `layerwise_masks` for method 2.
        score: the saliency score.
        prunable: for each weight array whether it may be pruned.
    """
    for level in levels:
        yield level, apply_masks(dense, make_masks(dense, level, prunable, score))
