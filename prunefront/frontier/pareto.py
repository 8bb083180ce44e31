"""Score, dominance and selection of operating points: pandas, no Keras."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.sections import Axis

AXES: dict[Axis, tuple[str, ...]] = {
    "sparsity": ("sparsity",),
    "bytes": ("bytes_lossless", "all_parameters"),
    "multiply_adds": ("multiply_adds_nonzero", "multiply_adds"),
}
"""The columns that each axis is made of."""


def score(accuracy: float, sparsity: float, gate: float = 0.6) -> float:
    """The founding report's score, `(accuracy + sparsity) / 2`, counted only above an accuracy gate.

    Args:
        accuracy: share of correct predictions, in [0, 1].
        sparsity: share of exact zeros, in [0, 1].
        gate: the accuracy that has to be exceeded, in [0, 1].

    Returns:
        The score, in [0, 1]; 0.0 at or below the gate.

    Raises:
        InputError: a value outside [0, 1] or not a number.
    """
    for name, value in (("accuracy", accuracy), ("sparsity", sparsity), ("gate", gate)):
        if not 0 <= value <= 1:
            raise InputError(f"Expected a share between 0 and 1. Received: {name}={value}")
    return (accuracy + sparsity) / 2 if accuracy > gate else 0.0


def non_dominated(points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Which points no other point dominates, when both coordinates are to be large.

    A point dominates another if it is at least as large in both coordinates and larger in one. Equal points do not
    dominate each other.

    Args:
        points: n pairs of finite numbers, shape (n, 2).

    Returns:
        Boolean array of shape (n,).

    Raises:
        InputError: not pairs, or NaN or infinity among them.
    """
    if len(points) == 0:
        return np.zeros(0, bool)
    pairs = np.asarray(points, dtype=float)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError(f"Expected pairs (accuracy, sparsity). Received: an array of shape {pairs.shape}")
    if not np.all(np.isfinite(pairs)):
        raise InputError("Expected finite pairs (accuracy, sparsity). Received: NaN or infinity among them")
    # From the largest first coordinate down, a point survives if its second one beats all that came before.
    order = np.lexsort((-pairs[:, 1], -pairs[:, 0]))
    kept = np.zeros(len(pairs), bool)
    best = -np.inf
    previous: np.ndarray | None = None
    for index in order:
        point = pairs[index]
        twin = previous is not None and np.array_equal(point, previous)
        if point[1] > best or twin:
            kept[index], best, previous = True, point[1], point
    return kept


def pareto_front(points: Sequence[Sequence[float]] | np.ndarray) -> list[Any]:
    """The points that no other point dominates, in the order given.

    Args:
        points: pairs (accuracy, sparsity) or (sparsity, accuracy); both are to be large, so the order in a pair does
            not matter.

    Returns:
        The pairs of the frontier, as they were given.

    Raises:
        InputError: see `non_dominated`.
    """
    return [point for point, kept in zip(points, non_dominated(points), strict=True) if kept]


def hypervolume(points: Sequence[Sequence[float]] | np.ndarray) -> float:
    """The area of all (accuracy, sparsity) pairs, from the corner (0, 0), that some point dominates or equals.

    Args:
        points: pairs in [0, 1] x [0, 1].

    Returns:
        The area, in [0, 1]; larger is better.
    """
    front = sorted({(float(a), float(s)) for a, s in pareto_front(points)}, reverse=True)
    reached, area = 0.0, 0.0
    for accuracy, sparsity in front:
        area += accuracy * (sparsity - reached)
        reached = sparsity
    return area


def saving(rows: Any, axis: Axis) -> Any:
    """What is saved of the dense network's cost, as a share: 0 of the dense network, larger is better, at most 1.

    Args:
        rows: with the columns that `costs` of the axis needs; or a single row.
        axis: of `params.Axis`. For `sparsity` that share of the weights itself; else 1 - cost / cost of the dense
            network, which is below 0 where a network is so small that the head of its sparse file exceeds its weights.

    Returns:
        A column, or a number.
    """
    if axis == "sparsity":
        return rows["sparsity"]
    cost, dense = costs(rows, axis)
    return 1 - cost / np.maximum(dense, 1)


def costs(rows: Any, axis: Axis) -> tuple[Any, Any]:
    """The cost of each network and that of the dense one: bytes without loss, as in a sparse file and as float32; or
    multiply-adds per example, with non-zero weights and with all of them.

    Args:
        rows: with the columns of `points.COLUMNS`; or a single row.
        axis: `bytes` or `multiply_adds`.
    """
    cost, dense = (rows[name] for name in AXES[axis])
    return cost, 4 * dense if axis == "bytes" else dense


def scored(rows: pd.DataFrame, gate: float, axis: Axis = "sparsity") -> pd.DataFrame:
    """The rows of all operating points with two columns more: `score`, and `on_frontier` among all of them together.

    Args:
        rows: of the points.
        gate: see `score`, which knows the sparsity and no other axis.
        axis: what the frontier is taken over, beside the validation accuracy, see `saving`.
    """
    scores = [score(a, s, gate) for a, s in zip(rows["val_accuracy"], rows["sparsity"], strict=True)]
    return rows.assign(score=scores, on_frontier=non_dominated(pairs(rows, axis)))


def pairs(rows: pd.DataFrame, axis: Axis) -> np.ndarray:
    """Validation accuracy and saving of each row, shape (n, 2)."""
    return np.column_stack([rows["val_accuracy"], saving(rows, axis)])


def select(rows: pd.DataFrame) -> "pd.Series | None":
    """The scored row with the highest score; between equals the more accurate, then the first.

    Returns None if every score is 0, that is, if no point lies above the gate.
    """
    if rows.empty:
        return None
    number = int(highest(rows["score"].to_numpy()[np.newaxis], rows["val_accuracy"].to_numpy()[np.newaxis])[0])
    return None if number < 0 else rows.iloc[number]


def highest(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In each row of `values` the number of the highest above 0; between equals the one with the highest of `others`,
    then the first. -1 where none is above 0.

    Args:
        values, others: shape (rows, points), points at least 1.
    """
    top = values.max(axis=1, keepdims=True)
    return np.where(top[:, 0] > 0, np.where(values == top, others, -np.inf).argmax(axis=1), -1)


def hypervolumes(rows: pd.DataFrame, axis: Axis = "sparsity") -> dict[str, float]:
    """Hypervolume of each method's own frontier, as the mean over its seeds (one value per seed, then averaged)."""
    volumes = {
        (str(method), seed): hypervolume(np.maximum(pairs(group, axis), 0))
        for (method, seed), group in rows.groupby(["method", "seed"], sort=False)
    }
    methods = dict.fromkeys(method for method, _ in volumes)
    return {name: float(np.mean([v for (method, _), v in volumes.items() if method == name])) for name in methods}
