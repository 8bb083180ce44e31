"""How sure the accuracies are: 95 % intervals and comparisons, from which examples each point gets right.

The bootstrap draws examples, the same for all points, so that two points are compared on the same examples. To the n
examples four imagined ones are added, and n + 4 are drawn from n + 4: one that both of two points get right, one that
only the first does, one that only the second does, and one that neither does. For one accuracy that is Agresti and
Coull's (1998) addition of two successes and two failures, for a difference Bonett and Price's (2012) of one discordant
example on either side. Without them a bootstrap would be sure of what it has never seen to fail: no error among n
examples would have an interval of no width, and one example would tell two points apart.

Everything is counted in integers, in which a sum is the same in any order: the same bytes on any machine.
"""

from pathlib import Path

import pandas as pd

from prunefront.pipeline.points import read_points
from prunefront.pipeline.store import INTERVALS

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


def read_intervals(path: Path = INTERVALS) -> pd.DataFrame:
    """The table of intervals: a row for each operating point, in the order of `frontier.csv`, then a row for the mean
    over the seeds of each method and level, whose `seeds` is `all` and whose `wins` is NaN.

    Raises:
        InputError: the file is missing or damaged.
    """
    return read_points(path, COLUMNS)
