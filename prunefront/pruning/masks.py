"""Saliency scores to masks, in plain NumPy.

A *score* says how much a weight matters (`saliency.py`); a *mask* says which weights are kept. Lists of weights and of
masks are in model order, the order of `keras.Model.get_weights()`.
"""

import math
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from prunefront.common.errors import InputError, cause
from prunefront.pruning.saliency import Score, magnitude

Weights = list[np.ndarray]
Masks = list[np.ndarray]


def pruned_count(sparsity: float, size: int) -> int:
    """How many of `size` weights a target sparsity removes: `floor(sparsity * (size - 1)) + 1`, none at 0.

    This is the number of values at or below the percentile `100 * sparsity` of distinct values, the rule of the
    founding report.

    Args:
        sparsity: target share of zeros, in [0, 1).
        size: number of weights, 0 or more.

    Raises:
        InputError: the sparsity lies outside [0, 1) or is not a number.
    """
    given: object = sparsity  # callers may give anything
    if isinstance(given, bool) or not isinstance(given, Real) or not 0 <= sparsity < 1:  # also refuses NaN
        raise InputError(f"Expected a sparsity in [0, 1), for example 0.9. Received: sparsity={sparsity!r}")
    if sparsity == 0 or size == 0:
        return 0
    return math.floor(sparsity * (size - 1)) + 1


def keep_largest(scores: np.ndarray, pruned: int) -> np.ndarray:
    """A mask that removes exactly the `pruned` smallest scores.

    Equal scores are removed in order of position, first ones first: a threshold alone would remove all of them or none
    and miss the count. The same order at every count makes masks nest as the count grows.

    Args:
        scores: any shape, no NaN.
        pruned: how many to remove, in [0, scores.size].

    Returns:
        Boolean array of the shape of `scores`, True = kept.

    Raises:
        InputError: the count lies outside its range.
    """
    flat = np.ravel(scores)
    if not 0 <= pruned <= flat.size:
        raise InputError(f"Expected a number of weights to prune between 0 and {flat.size}. Received: {pruned}")
    if pruned == 0:
        return np.ones(scores.shape, bool)
    threshold = np.partition(flat, pruned - 1)[pruned - 1]
    kept = flat > threshold
    ties = np.flatnonzero(flat == threshold)
    already = flat.size - np.count_nonzero(kept) - ties.size
    kept[ties[pruned - already :]] = True
    return kept.reshape(scores.shape)


def global_masks(
    weights: Sequence[ArrayLike], sparsity: float, prunable: Sequence[bool] | None = None, score: Score = magnitude
) -> Masks:
    """One threshold over the scores of all weights together; with the default score, method 1.

    Args:
        weights: real-valued arrays of any shapes.
        sparsity: target share of zeros among the prunable weights, in [0, 1).
        prunable: which of the arrays take part (default: all); the others are kept whole.
        score: the saliency score; one of `saliency.py`, which allocates the sparsity over the arrays.

    Returns:
        A boolean array for each array of `weights`, True = kept, with exactly `pruned_count` False in all.

    Raises:
        InputError: sparsity outside [0, 1), NaN or infinite weights or scores, or lists of different lengths.
    """
    weights = list(weights)
    arrays, prunable = _checked(weights, prunable)
    pool = sum(a.size for a, flag in zip(arrays, prunable, strict=True) if flag)
    return prune_smallest(weights, pruned_count(sparsity, pool), prunable, score)


def further_masks(weights: Sequence[ArrayLike], sparsity: float, prunable: Sequence[bool], score: Score) -> Masks:
    """`global_masks` that never bring a zero back: weights that are sparser already keep the zeros that they have."""
    masks = global_masks(weights, sparsity, prunable, score)
    zeros = nonzero_masks(weights, prunable)
    return zeros if count_false(zeros) > count_false(masks) else masks


def prune_smallest(
    weights: Sequence[ArrayLike], pruned: int, prunable: Sequence[bool] | None = None, score: Score = magnitude
) -> Masks:
    """Masks that remove exactly the `pruned` lowest scores among all prunable weights together, exact zeros first.

    Arguments and errors are those of `global_masks`, with a count in [0, number of prunable weights] for the sparsity.
    What scores +inf is not removed: a count beyond all others is an error.
    """
    arrays, prunable = _checked(weights, prunable)
    pool = [_scored(a, score) for a, flag in zip(arrays, prunable, strict=True) if flag]
    flat = np.concatenate([s.ravel() for s in pool]) if pool else np.zeros(0)
    most = flat.size - _spared(flat)
    if most < pruned <= flat.size:
        raise InputError(
            f"Expected at most {most} of {flat.size} weights to prune, since the floor keeps the others; make it "
            f"(prune.floor) or the level smaller. Received: {pruned}"
        )
    kept = keep_largest(flat, pruned)
    ends = np.cumsum([s.size for s in pool])[:-1]
    pieces = iter(np.split(kept, ends) if pool else [])
    return [
        next(pieces).reshape(a.shape) if flag else np.ones(a.shape, bool)
        for a, flag in zip(arrays, prunable, strict=True)
    ]


def layerwise_masks(
    weights: Sequence[ArrayLike], sparsity: float, prunable: Sequence[bool] | None = None, score: Score = magnitude
) -> Masks:
    """One threshold for each array, so that each reaches the sparsity by itself; with the default score, method 2.

    Arguments, result and errors are those of `global_masks`, with `pruned_count` False in each prunable array, or as
    many as do not score +inf.
    """
    arrays, prunable = _checked(weights, prunable)
    pruned_count(sparsity, 0)
    return [
        _keep_by_itself(_scored(a, score), sparsity) if flag else np.ones(a.shape, bool)
        for a, flag in zip(arrays, prunable, strict=True)
    ]


def removable(weights: Sequence[ArrayLike], prunable: Sequence[bool], score: Score) -> list[int]:
    """How many weights of each array may be pruned: all of a prunable one but those that score +inf."""
    arrays, prunable = _checked(weights, prunable)
    return [a.size - _spared(_scored(a, score)) if flag else 0 for a, flag in zip(arrays, prunable, strict=True)]


def apply_masks(weights: Sequence[ArrayLike], masks: Sequence[ArrayLike]) -> Weights:
    """New arrays with exact zeros where a mask is False; kept values and dtypes are unchanged.

    Raises:
        InputError: another number of masks than of weights, or a mask of another shape or dtype than boolean.
    """
    arrays = _arrays(weights, "weights")
    checked = check_masks(masks, [a.shape for a in arrays])
    return [np.where(m, a, np.zeros((), a.dtype)) for a, m in zip(arrays, checked, strict=True)]


def check_masks(masks: Sequence[ArrayLike], shapes: Sequence[tuple[int, ...]]) -> Masks:
    """The masks as boolean arrays, after a check that there is one of the right shape for each of `shapes`."""
    checked = _arrays(masks, "masks")
    if len(checked) != len(shapes):
        raise InputError(f"Expected one mask for each of {len(shapes)} weight arrays. Received: {len(checked)} masks")
    for position, (mask, shape) in enumerate(zip(checked, shapes, strict=True)):
        if mask.dtype != bool:
            raise InputError(
                f"Expected boolean masks (True = kept); convert with mask.astype(bool). "
                f"Received: masks[{position}].dtype={mask.dtype}"
            )
        if mask.shape != tuple(shape):
            raise InputError(
                f"Expected a mask of the shape of its weights, {tuple(shape)}. "
                f"Received: masks[{position}].shape={mask.shape}"
            )
    return checked


def nonzero_masks(weights: Sequence[ArrayLike], prunable: Sequence[bool]) -> Masks:
    """The masks that a set of pruned weights implies: False where a prunable weight is exactly zero."""
    return [(np.asarray(w) != 0) | (not p) for w, p in zip(weights, prunable, strict=True)]


def count_zeros(weights: Sequence[ArrayLike]) -> int:
    """Number of exact zeros (-0.0 counts, tiny values do not)."""
    arrays = _arrays(weights, "weights")
    return sum(a.size - int(np.count_nonzero(a)) for a in arrays)


def count_false(masks: Sequence[np.ndarray]) -> int:
    """Number of weights that the masks remove."""
    return sum(m.size - int(np.count_nonzero(m)) for m in masks)


def sparsity(weights: Sequence[ArrayLike]) -> float:
    """Exact zeros divided by the number of weights, in [0, 1].

    Raises:
        InputError: there are no weights to count.
    """
    arrays = _arrays(weights, "weights")
    total = sum(array.size for array in arrays)
    if total == 0:
        raise InputError("Expected at least one weight to count the sparsity of. Received: none")
    return count_zeros(arrays) / total


def _arrays(given: Sequence[ArrayLike], what: str) -> list[np.ndarray]:
    """The arrays of a list; whatever else a caller may have is refused."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputError(f"Expected {what}: a list of arrays, one for each of the model's. Received: {given!r}"[:300])
    try:
        return [np.asarray(one) for one in given]
    except ValueError as error:  # rows of different lengths
        raise InputError(f"Expected {what}: a list of arrays. Received: something else ({cause(error)})") from None


def _checked(weights: Sequence[ArrayLike], prunable: Sequence[bool] | None) -> tuple[list[np.ndarray], list[bool]]:
    """The arrays in a form that can be scored, and a flag for each; those that may be pruned are finite."""
    arrays = [_comparable(array) for array in _arrays(weights, "weights")]
    prunable = [True] * len(arrays) if prunable is None else [bool(flag) for flag in prunable]
    if len(prunable) != len(arrays):
        raise InputError(
            f"Expected one prunable flag for each of {len(arrays)} weight arrays. Received: {len(prunable)} flags"
        )
    for position, (array, flag) in enumerate(zip(arrays, prunable, strict=True)):
        if flag and (array.dtype.kind not in "fiu" or not np.all(np.isfinite(array))):
            raise InputError(
                f"Expected finite real weights. Received: weights[{position}] of shape {array.shape} and dtype "
                f"{array.dtype}, with NaN, infinity or values that are not numbers"
            )
    return arrays, prunable


def _keep_by_itself(scores: np.ndarray, sparsity: float) -> np.ndarray:
    return keep_largest(scores, min(pruned_count(sparsity, scores.size), scores.size - _spared(scores)))


def _spared(scores: np.ndarray) -> int:
    return int(np.count_nonzero(np.isposinf(scores)))


def _scored(array: np.ndarray, score: Score) -> np.ndarray:
    """The scores, with zeros below all others whatever the score says of them: what is pruned stays pruned."""
    scores = np.asarray(score(array))
    fits = scores.shape == array.shape and scores.dtype.kind in "fiu"
    if not fits or not np.all(np.isfinite(scores) | np.isposinf(scores)):
        raise InputError(
            f"Expected a score that gives real numbers, finite or +inf, of the shape of the weights, "
            f"{array.shape}. Received: {getattr(score, '__name__', score)}, which gives shape {scores.shape} and dtype "
            f"{scores.dtype}, or NaN"
        )
    return np.where(array != 0, scores, -np.inf)


def _comparable(array: np.ndarray) -> np.ndarray:
    """As a type that NumPy can partition (not bfloat16) and in which every magnitude exists (not int8, for -128)."""
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    return array.astype(np.float64) if array.dtype.kind == "i" else array
