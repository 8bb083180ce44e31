"""How sure the accuracies are: 95 % intervals and comparisons, from which examples each point gets right.

The bootstrap draws examples, the same for all points, so that two points are compared on the same examples. To the n
examples four imagined ones are added, and n + 4 are drawn from n + 4: one that both of two points get right, one that
only the first does, one that only the second does, and one that neither does. For one accuracy that is Agresti and
Coull's (1998) addition of two successes and two failures, for a difference Bonett and Price's (2012) of one discordant
example on either side. Without them a bootstrap would be sure of what it has never seen: no error among n examples
would have an interval of no width, and one example would tell two points apart.

For a mean over seeds the seeds are drawn as well, the same for all methods.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.frontier.resampling import RESAMPLES, exact, resamples, seed_draws
from prunefront.pipeline.points import read_points
from prunefront.pipeline.store import FRONTIER, INTERVALS

COLUMNS = [
    "method",
    "target_sparsity",
    "seeds",
    "n",
    "sparsity",
    "val_accuracy",
    "val_low",
    "val_high",
    "test_accuracy",
    "test_low",
    "test_high",
    "behind",
    "behind_low",
    "behind_high",
    "p_value",
    "told_apart",
    "wins",
]
"""Of `metrics/intervals.csv`: see `docs/intervals.md`."""
LEVEL = 0.05
"""The share of comparisons of equals that may be told apart."""
IMAGINED = 4
ALL = "all"
"""In the place of a seed where a row is about the mean over all of them."""


@dataclass(frozen=True)
class Comparison:
    """How much more accurate one point is than another: the difference, its 95 % interval, and a two-sided p value."""

    difference: float
    low: float
    high: float
    p_value: float

    @property
    def told_apart(self) -> bool:
        """Whether they differ at 95 %: exactly where the interval does not hold 0."""
        return self.p_value <= LEVEL


NO_DIFFERENCE = Comparison(0.0, 0.0, 0.0, 1.0)
"""Of a point and itself."""


@dataclass(frozen=True)
class Resampled:
    """What points get right in samples of the examples; groups of points are one method and level for several seeds.

    Attributes:
        right: shape (points, n), bool.
        sums: shape (samples, points), int64: how many of the real examples in a sample are right.
        imagined: shape (samples, 4), int64: how often it has each imagined one.
    """

    right: np.ndarray
    sums: np.ndarray
    imagined: np.ndarray

    @classmethod
    def of(cls, right: np.ndarray, count: int = RESAMPLES) -> "Resampled":
        """Draws the samples. `right` is of shape (points, n), bool."""
        examples = right.shape[1]
        columns = exact(right.T, examples)
        parts = [(c[:, :examples] @ columns, c[:, examples:]) for c in resamples(examples + IMAGINED, count)]
        sums, imagined = (np.concatenate(part).astype(np.int64) for part in zip(*parts, strict=True))
        return cls(right, sums, imagined)

    @cached_property
    def totals(self) -> np.ndarray:
        """How many of all examples each point gets right, shape (points,)."""
        return self.right.sum(axis=1)

    def accuracy(self, group: Sequence[int]) -> tuple[float, float, float]:
        """Mean accuracy of a group of points, one for each seed, and its 95 % interval."""
        size, seeds = self._seeds(len(group))
        both, first = self.imagined[:, 0], self.imagined[:, 1]
        low, high = interval((self.sums[:, group] * seeds).sum(axis=1) + size * (both + first))
        drawn, examples = size * (self.right.shape[1] + IMAGINED), self.right.shape[1] * len(group)
        accuracy = int(self.totals[group].sum()) / examples
        return accuracy, min(accuracy, low / drawn), max(accuracy, high / drawn)

    def comparison(self, one: Sequence[int], other: Sequence[int]) -> Comparison:
        """How much more accurate a group of points is than another, seed by seed."""
        size, seeds = self._seeds(len(one))
        ahead = ((self.sums[:, one] - self.sums[:, other]) * seeds).sum(axis=1)
        ahead += size * (self.imagined[:, 1] - self.imagined[:, 2])
        low, high = interval(ahead)
        drawn, examples = size * (self.right.shape[1] + IMAGINED), self.right.shape[1] * len(one)
        difference = int(self.totals[one].sum() - self.totals[other].sum()) / examples
        # of a handful of examples the imagined ones outweigh what was found
        return Comparison(difference, min(difference, low / drawn), max(difference, high / drawn), p_value(ahead))

    def _seeds(self, count: int) -> tuple[int, np.ndarray]:
        """How many seeds a sample has, and how often each, shape (samples, count)."""
        return max(1, count - 1), seed_draws(count, len(self.sums))


def interval(values: np.ndarray) -> tuple[int, int]:
    """The values between which 95 % of a bootstrap's lie (percentile interval): of B the (B + 1) / 40th smallest and
    the (B + 1) / 40th largest.

    Args:
        values: shape (B,), integers; B + 1 is a multiple of 40.
    """
    ordered, tail = np.sort(values), round((len(values) + 1) * LEVEL / 2)
    return int(ordered[tail - 1]), int(ordered[-tail])


def p_value(differences: np.ndarray) -> float:
    """Twice the smaller share of a bootstrap's differences on either side of 0, those that are 0 counted on both:
    min(1, 2 * (min(#{d <= 0}, #{d >= 0}) + 1) / (B + 1)). It is at most .05 exactly where `interval` does not hold 0.

    Args:
        differences: shape (B,), integers.
    """
    fewer = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(differences) + 1))


def accuracy_interval(right: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of an accuracy, by a bootstrap over the examples and four imagined ones.

    Args:
        right: for each example whether it is right, shape (n,), bool.

    Returns:
        Its ends, in [0, 1]. No error among n examples leaves room for a few: (.986, 1.) of 359.

    Raises:
        InputError: it is no such array, or empty.
    """
    return Resampled.of(_vector(right)[np.newaxis]).accuracy([0])[1:]


def compare_points(one: np.ndarray, other: np.ndarray) -> Comparison:
    """How much more accurate one network is than another on the same examples, by a paired bootstrap over these.

    Args:
        one, other: for each example whether it is right, shape (n,), bool.

    Returns:
        Difference of the accuracies, its 95 % interval, and a two-sided p value, which is 1 of equal arrays.

    Raises:
        InputError: they are no such arrays, empty, or of different lengths.
    """
    pair = _vector(one), _vector(other)
    if len(pair[0]) != len(pair[1]):
        raise InputError(f"Expected the same examples for both. Received: {len(pair[0])} and {len(pair[1])}")
    return Resampled.of(np.stack(pair)).comparison([0], [1])


def _vector(right: np.ndarray) -> np.ndarray:
    right = np.asarray(right)
    if right.ndim != 1 or right.dtype != bool or not len(right):
        raise InputError(
            f"Expected a boolean array of shape (n,), whether each example is right. "
            f"Received: {right.dtype} of shape {right.shape}"
        )
    return right


def tabulate(
    points: pd.DataFrame,
    wins: np.ndarray,
    submitted: pd.Series,
    dense: pd.DataFrame,
    val: np.ndarray,
    test: np.ndarray,
) -> pd.DataFrame:
    """The table of intervals, see `docs/intervals.md`.

    Args:
        points: rows of all operating points, for all seeds of a method the same levels in the same order.
        wins: the share of samples in which each is submitted; the last of the points, which never are, are left out.
        submitted: the row that is submitted, one of `points` or of `dense`.
        dense: the rows of the dense networks, one for each seed.
        val, test: which examples of the split each point, then each dense network gets right, shape (rows, n), bool.

    Returns:
        The columns `COLUMNS`; a row for each point, then one for each method and level with `seeds` = all.
    """
    rows = pd.concat([points, dense], ignore_index=True)
    validation, tested = Resampled.of(val), Resampled.of(test)
    numbers = rows.groupby(["method", "target_sparsity"], sort=False).indices
    seeds = {key: list(map(int, group)) for key, group in numbers.items()}
    chosen = seeds[submitted["method"], submitted["target_sparsity"]]
    reference = [number for number in chosen if rows["seed"][number] == submitted["seed"]]
    digests = rows["weights_sha256"].tolist()

    def row(group: list[int], against: list[int], share: float, name: str) -> list[object]:
        same = [digests[number] for number in group] == [digests[number] for number in against]
        behind = NO_DIFFERENCE if same else validation.comparison(against, group)
        first = rows.iloc[group[0]]
        return [
            first["method"],
            first["target_sparsity"],
            name,
            len(group),
            rows["sparsity"].iloc[group].mean(),
            *validation.accuracy(group),
            *tested.accuracy(group),
            behind.difference,
            behind.low,
            behind.high,
            behind.p_value,
            behind.told_apart,
            share,
        ]

    single = [
        row([i], reference, share, str(rows["seed"][i]))
        for i, share in enumerate([*wins, *np.zeros(len(points) - len(wins))])
    ]
    together = [row(group, chosen, np.nan, ALL) for group in seeds.values() if group[0] < len(points)]
    return pd.DataFrame(single + together, columns=COLUMNS)


def read_intervals(path: Path = INTERVALS) -> pd.DataFrame:
    """The table of intervals: a row for each operating point, in the order of `frontier.csv`, then a row for the mean
    over the seeds of each method and level, whose `seeds` is `all` and whose `wins` is NaN.

    Raises:
        InputError: the file is missing or damaged.
    """
    return read_points(path, COLUMNS)


def of_points(points: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """The rows of the table that are about single points, in their order.

    Args:
        points: as `store.load_result` gives them.
        intervals: see `read_intervals`.

    Raises:
        InputError: they are of other points.
    """
    single = intervals[intervals["seeds"] != ALL].reset_index(drop=True)
    mine, theirs = (
        list(zip(rows["method"], rows[name].astype(str), rows["target_sparsity"], rows["val_accuracy"], strict=True))
        for rows, name in ((points, "seed"), (single, "seeds"))
    )
    if mine != theirs:
        raise InputError(f"{INTERVALS}: expected the points of {FRONTIER}; run `dvc repro`. Received: others")
    return single.set_index(points.index)
