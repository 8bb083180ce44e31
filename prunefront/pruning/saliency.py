"""Saliency scores: how much each weight matters. One threshold over the scores of all arrays makes the masks.

How a score compares weights of different arrays is what allocates the sparsity over the layers. Within an array all but
the random ones order weights by magnitude, the first of equal ones lowest, so that masks nest as the sparsity grows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]
"""From an array of finite weights to scores of the same shape, the highest are kept: finite, or +inf for what no level
removes."""


def magnitude(weights: np.ndarray) -> np.ndarray:
    """The absolute value: arrays with larger weights keep more ("global" magnitude pruning)."""
    return np.abs(weights)


def uniform(weights: np.ndarray) -> np.ndarray:
    """The same sparsity in every array, up to rounding. Scores are in (-1, 0]."""
    return -_share_above(np.abs(weights))


def erk(weights: np.ndarray) -> np.ndarray:
    """Densities in proportion to `sum(shape) / prod(shape)`, at most 1: large kernels are pruned most.

    The Erdős-Rényi-kernel rule of Evci et al., "Rigging the Lottery" (2020). A threshold on the scores finds the common
    factor of the densities, and that some arrays are kept whole needs no case of its own. Scores are at most 0.
    """
    density = sum(weights.shape) / weights.size if weights.ndim and weights.size else 1.0
    return -_share_above(np.abs(weights)) / density


def lamp(weights: np.ndarray) -> np.ndarray:
    """The square of a weight over the sum of squares of all weights of its array that are not smaller.

    Lee et al., "Layer-adaptive sparsity for the magnitude-based pruning" (2021).
    The largest of each array scores 1, so no array is ever emptied before all others are down to one.
    Scores are in [0, 1].
    """
    flat = np.abs(np.ravel(weights)).astype(np.float64)
    if not flat.any():
        return np.zeros(weights.shape)
    order = np.argsort(flat, kind="stable")
    squares = np.square(flat[order] / flat[order[-1]])
    not_smaller = np.cumsum(squares[::-1])[::-1]
    scores = np.empty_like(flat)
    scores[order] = squares / not_smaller
    return scores.reshape(weights.shape)


def random_scores(seed: int, layerwise: bool) -> Score:
    """Random scores, the null hypothesis of every other: which weights are kept does not depend on their values.

    Args:
        seed: in [0, 2**32). Each call of the score draws new numbers.
        layerwise: whether each array gets the same sparsity up to rounding; else only its expectation is the same.
    """
    generator = np.random.default_rng(seed)

    def score(weights: np.ndarray) -> np.ndarray:
        drawn = np.where(weights != 0, generator.random(weights.shape), -1)  # ranks count from what is left
        return -_share_above(drawn) if layerwise else drawn

    return score


@dataclass(frozen=True)
class Sparing:
    """A score whose highest `floor` weights of each array are kept at every level, so that no layer is emptied.

    Attributes:
        score: of all other weights.
        floor: number of weights, 0 or more. Weights that are zero already are none of them.
    """

    score: Score
    floor: int

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """The scores, +inf for those that are kept."""
        if self.floor == 0:
            return self.score(weights)
        scores = np.array(self.score(weights), np.float64)
        present = np.where(weights != 0, scores, -np.inf)
        spared = np.argsort(present, axis=None, kind="stable")[max(0, scores.size - self.floor) :]
        scores.flat[spared] = np.inf
        return scores


ALLOCATIONS: dict[str, Score] = {"global": magnitude, "uniform": uniform, "erk": erk, "lamp": lamp}
"""The scores by the name that parameters give them."""


def _share_above(values: np.ndarray) -> np.ndarray:
    """For each value the share of the array's values that rank above it, in [0, 1); of equals the last is on top."""
    order = np.argsort(np.ravel(values), kind="stable")
    shares = np.empty(order.size)
    shares[order] = np.arange(order.size)[::-1] / max(order.size, 1)
    return shares.reshape(values.shape)
