"""Saliency scores to masks, in plain NumPy.

A *score* says how much a weight matters (`saliency.py`); a *mask* says which weights are kept. Lists of weights and of
masks are in model order, the order of `keras.Model.get_weights()`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from prunefront.common.errors import InputError, cause
from prunefront.pruning.saliency import Score, magnitude
from prunefront.pruning.selection import MANY, Keys, first_counts, pieces

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


@dataclass(frozen=True)
class LevelMasks:
    """The masks of several levels in one array for each weight array: what a level removes, higher ones remove as well.

    Attributes:
        levels: target sparsities, upwards.
        removed_from: for each weight the number of the level that removes it first, counted from 0; `len(levels)` for
            those that none removes. uint8, or uint16 for more than 254 levels.
    """

    levels: tuple[float, ...]
    removed_from: list[np.ndarray]

    def masks(self, level: float) -> Masks:
        """A boolean array for each weight array, True = kept. Raises InputError if it is none of the levels."""
        if level not in self.levels:
            raise InputError(f"Expected one of the levels, {list(self.levels)}. Received: {level}")
        number = self.levels.index(level)
        return [codes > number for codes in self.removed_from]


def masks_for_levels(
    weights: Sequence[ArrayLike],
    levels: Sequence[float],
    prunable: Sequence[bool] | None = None,
    score: Score = magnitude,
    layerwise: bool = False,
) -> LevelMasks:
    """The masks of all levels at once, in a few passes over the weights: see `selection.py`.

    Args:
        weights: real-valued arrays of any shapes; those that are mapped from files are read in pieces.
        levels: target sparsities in [0, 1), not falling.
        prunable: which of the arrays take part (default: all); the others are kept whole.
        score: the saliency score; one of `saliency.py`, which allocates the sparsity over the arrays.
        layerwise: one threshold for each array, so that each reaches the sparsity by itself; else one for all together.

    Returns:
        Masks that remove exactly `pruned_count` weights of all prunable ones, or of each prunable array as many, but
        for those that score +inf. Exact zeros go first, equal scores by position, so that masks nest.

    Raises:
        InputError: a level outside [0, 1) or lower than the one before, NaN or infinite weights or scores, or lists of
            different lengths.
    """
    levels = tuple(levels)
    if any(low > high for low, high in pairwise(levels)):
        raise InputError(f"Expected levels upwards. Received: {list(levels)}")
    arrays, prunable = _checked(weights, prunable)
    sizes = [a.size for a, flag in zip(arrays, prunable, strict=True) if flag]
    if not layerwise:
        counts = [pruned_count(level, sum(sizes)) for level in levels]
        return LevelMasks(levels, _removed_from(arrays, counts, prunable, score))
    alone = []
    for array, flag in zip(arrays, prunable, strict=True):
        counts = [pruned_count(level, array.size if flag else 0) for level in levels]
        alone += _removed_from([array], counts, [flag], score, fewer=True)
    return LevelMasks(levels, alone)


def global_masks(
    weights: Sequence[ArrayLike], sparsity: float, prunable: Sequence[bool] | None = None, score: Score = magnitude
) -> Masks:
    """One threshold over the scores of all weights together; with the default score, method 1.

    The case of one level of `masks_for_levels`, whose arguments, result and errors it shares.
    """
    return masks_for_levels(weights, [sparsity], prunable, score).masks(sparsity)


def layerwise_masks(
    weights: Sequence[ArrayLike], sparsity: float, prunable: Sequence[bool] | None = None, score: Score = magnitude
) -> Masks:
    """One threshold for each array, so that each reaches the sparsity by itself; with the default score, method 2.

    The case of one level of `masks_for_levels`, whose arguments, result and errors it shares.
    """
    return masks_for_levels(weights, [sparsity], prunable, score, layerwise=True).masks(sparsity)


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
    return [codes > 0 for codes in _removed_from(arrays, [pruned], prunable, score)]


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
    """The arrays, and a flag for each; those that may be pruned are finite real numbers."""
    arrays = _arrays(weights, "weights")
    prunable = [True] * len(arrays) if prunable is None else [bool(flag) for flag in prunable]
    if len(prunable) != len(arrays):
        raise InputError(
            f"Expected one prunable flag for each of {len(arrays)} weight arrays. Received: {len(prunable)} flags"
        )
    for position, (array, flag) in enumerate(zip(arrays, prunable, strict=True)):
        if flag and not _finite(array):
            raise InputError(
                f"Expected finite real weights. Received: weights[{position}] of shape {array.shape} and dtype "
                f"{array.dtype}, with NaN, infinity or values that are not numbers"
            )
    return arrays, prunable


def _removed_from(
    arrays: list[np.ndarray], counts: list[int], prunable: list[bool], score: Score, fewer: bool = False
) -> list[np.ndarray]:
    """For each weight the number of the first of some counts that removes it, see `LevelMasks.removed_from`.

    Args:
        arrays, prunable: see `_checked`.
        counts: how many of the lowest scores each removes, not falling.
        score: see `masks_for_levels`.
        fewer: whether counts beyond what may be removed remove all of that; else they are an error.
    """
    pool = [a for a, flag in zip(arrays, prunable, strict=True) if flag]
    if score is magnitude:  # which is in the bits of the weights as they are
        values, keys, spared = pool, Keys(_common_type(pool), magnitudes=True), 0
    else:
        scores = [_scored(a, score) for a in pool]
        values, keys, spared = scores, Keys(_common_type(scores), magnitudes=False), sum(map(_spared, scores))
    size = sum(a.size for a in pool)
    for count in counts:
        if not 0 <= count <= size:
            raise InputError(f"Expected a number of weights to prune between 0 and {size}. Received: {count}")
        if count > size - spared and not fewer:
            raise InputError(
                f"Expected at most {size - spared} of {size} weights to prune, since the floor keeps the others; make "
                f"it (prune.floor) or the level smaller. Received: {count}"
            )
    found = iter(first_counts(values, [min(count, size - spared) for count in counts], keys))
    never = np.uint8(len(counts)) if len(counts) < MANY else np.uint16(len(counts))
    return [next(found) if flag else np.broadcast_to(never, a.shape) for a, flag in zip(arrays, prunable, strict=True)]


def _finite(array: np.ndarray) -> bool:
    """Whether all are finite real numbers; read in pieces."""
    if array.dtype.name == "bfloat16":
        return all(np.isfinite(piece.astype(np.float32)).all() for piece in pieces(array))
    return array.dtype.kind in "iu" or (array.dtype.kind == "f" and all(np.isfinite(p).all() for p in pieces(array)))


def _spared(scores: np.ndarray) -> int:
    return int(np.count_nonzero(np.isposinf(scores)))


def _scored(array: np.ndarray, score: Score) -> np.ndarray:
    """The scores, with zeros below all others whatever the score says of them: what is pruned stays pruned."""
    array = _comparable(array)
    scores = np.asarray(score(array))
    fits = scores.shape == array.shape and scores.dtype.kind in "fiu"
    if not fits or not np.all(np.isfinite(scores) | np.isposinf(scores)):
        raise InputError(
            f"Expected a score that gives real numbers, finite or +inf, of the shape of the weights, "
            f"{array.shape}. Received: {getattr(score, '__name__', score)}, which gives shape {scores.shape} and dtype "
            f"{scores.dtype}, or NaN"
        )
    return np.where(array != 0, scores, -np.inf)


def _common_type(arrays: Sequence[np.ndarray]) -> np.dtype:
    """The float type that all values go into: float32 for those of up to 32 bits."""
    narrow = all(a.dtype.name == "bfloat16" or (a.dtype.kind == "f" and a.dtype.itemsize <= 4) for a in arrays)
    return np.dtype(np.float32 if narrow else np.float64)


def _comparable(array: np.ndarray) -> np.ndarray:
    """As a type that scores can compute with (not bfloat16) and that has every magnitude (not int8, for -128)."""
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    return array.astype(np.float64) if array.dtype.kind == "i" else array
