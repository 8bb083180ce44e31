"""The best point of the frontier under constraints, with its neighbours."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console

from prunefront.common.errors import InputError
from prunefront.common.sections import Axis
from prunefront.frontier.names import method_name
from prunefront.frontier.pareto import AXES, non_dominated, pairs, saving
from prunefront.frontier.summary import read_summary
from prunefront.pipeline.store import FRONTIER, load_result, weights_file
from prunefront.tools.show import as_table

WORDS = {
    "val_accuracy": "validation accuracy",
    "sparsity": "sparsity",
    "bytes_lossless": "bytes",
    "multiply_adds_nonzero": "multiply-adds",
}
"""The columns that can be limited, as texts call them."""


class Limit(NamedTuple):
    """What the points have to keep to.

    Attributes:
        column: of the rows.
        bound: the least value that is allowed, or the most.
        least: which of the two.
        slack: how far beyond the bound still counts as kept.
    """

    column: str
    bound: float
    least: bool
    slack: float = 0.0

    @property
    def axis(self) -> Axis | None:
        """The axis that it bounds; None for the accuracy."""
        return next((axis for axis, columns in AXES.items() if columns[0] == self.column), None)

    def excess(self, rows: pd.DataFrame) -> "pd.Series":
        """By how much each row misses it, as a share of the bound; 0 where it is kept."""
        missed = self.bound - rows[self.column] if self.least else rows[self.column] - self.bound
        return missed.where(missed > self.slack, 0) / max(abs(self.bound), 1e-9)

    def __str__(self) -> str:
        return f"{WORDS[self.column]} {'at least' if self.least else 'at most'} {_written(self.bound)}"


class Pick(NamedTuple):
    """The best row, and the next on either side of it along the frontier; None beyond an end."""

    larger: "pd.Series | None"
    best: "pd.Series"
    smaller: "pd.Series | None"


def limits(
    dense_accuracy: float,
    max_accuracy_drop: float | None = None,
    min_accuracy: float | None = None,
    min_sparsity: float | None = None,
    max_bytes: float | None = None,
    max_multiply_adds: float | None = None,
) -> list[Limit]:
    """The limits that are given, those of the accuracy first.

    Args:
        dense_accuracy: the dense network's, on validation data.
        max_accuracy_drop: what the validation accuracy may lie below it, in [0, 1].
        min_accuracy: on validation data, in [0, 1].
        min_sparsity: in [0, 1], to a hundredth of a percent, as it is shown: at the level 98 % a little less is zero.
        max_bytes: of the sparse file without loss.
        max_multiply_adds: with non-zero weights, per example.

    Raises:
        InputError: a value outside its range, or not a number.
    """
    shares = {"max-accuracy-drop": max_accuracy_drop, "min-accuracy": min_accuracy, "min-sparsity": min_sparsity}
    for name, value in shares.items():
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"--{name}: expected a share between 0 and 1. Received: {value}")
    for name, value in {"max-bytes": max_bytes, "max-multiply-adds": max_multiply_adds}.items():
        if value is not None and not 0 <= value < math.inf:
            raise InputError(f"--{name}: expected a number from 0. Received: {value}")
    lowest = None if max_accuracy_drop is None else dense_accuracy - max_accuracy_drop
    bounds = [
        ("val_accuracy", lowest, True, 1e-9),  # 0.75 - 0.05 is more than 0.7 in floating point
        ("val_accuracy", min_accuracy, True, 1e-9),
        ("sparsity", min_sparsity, True, 5e-5),
        ("bytes_lossless", max_bytes, False, 0.0),
        ("multiply_adds_nonzero", max_multiply_adds, False, 0.0),
    ]
    return [Limit(column, bound, least, slack) for column, bound, least, slack in bounds if bound is not None]


def pick(points: pd.DataFrame, kept: Sequence[Limit], by: Axis) -> Pick:
    """The best of the points that keep to all limits.

    Where a limit says what accuracy is enough, that is the cheapest by the axis, else the most accurate. Between equals
    the other of the two decides, then the order of the rows.

    Args:
        points: rows of the last stage; null baselines among them, which are not eligible, are left aside.
        kept: the limits, at least one.
        by: the axis that is cheap or not, see `pareto.saving`, and along which the neighbours lie.

    Raises:
        InputError: no point keeps to them; the nearest is named.
    """
    points = points[points["eligible"]].reset_index(drop=True)
    points = points.assign(saving=saving(points, by))
    excess = np.max([limit.excess(points) for limit in kept], axis=0)
    fitting = points.loc[excess == 0]
    wanted = ", ".join(map(str, kept))
    if points.empty:
        raise InputError(f"Expected a point with {wanted}. Received: no points of any method")
    if fitting.empty:
        nearest = points.iloc[int(excess.argmin())]
        columns = dict.fromkeys(limit.column for limit in kept)
        has = ", ".join(f"{WORDS[column]} {_written(nearest[column])}" for column in columns)
        raise InputError(f"Expected a point with {wanted}. Received: none; the nearest is {name(nearest)}, with {has}")
    order = ["saving", "val_accuracy"] if any(limit.axis is None for limit in kept) else ["val_accuracy", "saving"]
    best = fitting.sort_values(order, ascending=False, kind="stable").iloc[0]
    front = points.loc[non_dominated(pairs(points, by))].sort_values("saving", kind="stable")
    larger, smaller = front[front["saving"] < best["saving"]], front[front["saving"] > best["saving"]]
    return Pick(None if larger.empty else larger.iloc[-1], best, None if smaller.empty else smaller.iloc[0])


def name(row: "pd.Series") -> str:
    """A point in a few words."""
    return f"{method_name(row['method'])} at {row['sparsity']:.2%} sparsity, seed {row['seed']}"


def _written(value: float) -> str:
    return f"{value:.6g}" if value < 1 else f"{value:,.12g}"


def _axis(kept: Sequence[Limit], otherwise: Axis) -> Axis:
    """The axis of the first limit that has one."""
    return next((limit.axis for limit in kept if limit.axis is not None), otherwise)


def print_pick(by: Axis | None, **bounds: float | None) -> None:
    """Prints the best point of the last run under the limits, its neighbours, and where its weights are.

    Args:
        by: see `pick`; None for the axis of the first limit that has one, or else the run's own.
        bounds: see `limits`.

    Raises:
        InputError: there are no results, they lack the costs, a bound is out of range, or no point keeps to all.
    """
    points, summary = load_result(), read_summary()
    kept = limits(summary.baseline.val_accuracy, **bounds)
    axis = by or _axis(kept, summary.axis)
    absent = [column for column in (*AXES[axis], *(limit.column for limit in kept)) if column not in points]
    if absent:
        raise InputError(f"{FRONTIER}: expected costs; run `dvc repro`. Received: no column {absent[0]}")
    picked = pick(points, kept, axis)
    shown = {"next larger": picked.larger, "best": picked.best, "next smaller": picked.smaller}
    rows = pd.DataFrame([row for row in shown.values() if row is not None])
    rows.insert(0, "place", [place for place, row in shown.items() if row is not None])
    headings = ("", "method", "seed", "sparsity", "bytes", "multiply-adds", "validation accuracy", "test accuracy")
    path = weights_file(picked.best["method"], picked.best["seed"], picked.best["target_sparsity"])
    note = "" if path.exists() else " (not here: `dvc pull` or `dvc repro` brings it)"
    console = Console(width=max(140, Console().width), soft_wrap=True)  # a cut number helps nobody
    console.print(as_table(f"Best with {', '.join(map(str, kept))}", rows, headings))
    console.print(f"best: {name(picked.best)}; neighbours along the frontier over {axis}", highlight=False)
    console.print(f"its weights: {path}{note}", highlight=False)
    console.print(f"as a program: prunefront export {path} --to c", highlight=False)
