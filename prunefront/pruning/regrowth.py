"""Masks that move: some of what is kept leaves, and as many pruned weights come back where the gradient is largest."""

import math
from collections.abc import Sequence

import numpy as np

from prunefront.common.errors import InputError
from prunefront.pruning.masks import Masks, Weights
from prunefront.pruning.saliency import Score


def regrown_masks(
    weights: Weights,
    masks: Masks,
    gradients: Sequence[np.ndarray | None],
    share: float,
    prunable: Sequence[bool],
    score: Score,
) -> Masks:
    """Other masks with as many kept weights in each array: the lowest scores leave, the largest gradients come back.

    Evci et al., "Rigging the lottery" (2020), in which the gradient of a pruned weight says how much the loss would
    gain by it. What leaves does not come back at once; a pruned weight without a gradient does not come back; equal
    ones go by position, first ones first.

    Args:
        weights: in model order.
        masks: for each of them, True = kept.
        gradients: of the loss, for each of them; None where there is none, and that mask stays as it is.
        share: of the kept weights of each array that leaves, in [0, 1], rounded down.
        prunable: for each array whether it may be pruned.
        score: the saliency score; what scores +inf stays.

    Raises:
        InputError: the share lies outside its range, or the gradients are not finite.
    """
    if not 0 <= share <= 1:
        raise InputError(f"Expected a share of the kept weights in [0, 1]. Received: {share}")
    return [
        _moved(array, mask, gradient, share, score) if flag and gradient is not None else mask
        for array, mask, gradient, flag in zip(weights, masks, gradients, prunable, strict=True)
    ]


def _moved(array: np.ndarray, mask: np.ndarray, gradient: np.ndarray, share: float, score: Score) -> np.ndarray:
    if not np.all(np.isfinite(gradient)):
        raise InputError("Expected finite gradients to choose by what comes back; lower the learning rate")
    scores, pull = np.asarray(score(array)).ravel(), np.abs(gradient).ravel()
    flat = mask.ravel().copy()
    kept, pruned = np.flatnonzero(flat & ~np.isposinf(scores)), np.flatnonzero(~flat & (pull > 0))
    count = min(math.floor(share * np.count_nonzero(flat)), kept.size, pruned.size)
    flat[kept[np.argsort(scores[kept], kind="stable")[:count]]] = False
    flat[pruned[np.argsort(-pull[pruned], kind="stable")[:count]]] = True
    return flat.reshape(mask.shape)
