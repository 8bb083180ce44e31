"""What the summary says of the selection: the winner's optimism, who else might have won, and on what it hangs."""

from collections.abc import Sequence

import pandas as pd

from prunefront.common.sections import Pareto
from prunefront.frontier.pareto import score
from prunefront.frontier.selection import NOBODY, Outlook, Selection
from prunefront.frontier.sensitivity import Stretch, over_gates, weights_above_gate
from prunefront.frontier.summary import Optimism, Point, Sensitivity, Win
from prunefront.frontier.summary import Stretch as Named

MOST_WINS = 10
"""Points in the summary's list; the table of intervals has all."""


def judge_optimism(foreseen: Outlook, chosen: pd.Series, test_accuracy: float, settings: Pareto) -> Optimism:
    """The score of a point above the gate beside what is to be expected of it, and beside that of the test split."""
    found = float(chosen["score"])
    optimism = foreseen.optimism(found, settings.rule)
    return Optimism(
        score=found,
        expected=None if optimism is None else found - optimism,
        optimism=optimism,
        test_score=score(test_accuracy, float(chosen["sparsity"]), settings.gate),
    )


def list_wins(foreseen: Outlook, points: pd.DataFrame, dense: pd.Series) -> list[Win]:
    """The points that most samples would submit, and the dense network where some submit no other.

    Args:
        foreseen: of the selection among the first of the points.
        points: their rows.
        dense: the row of the dense network that stands for none.
    """
    entries = [(float(share), points.iloc[number]) for number, share in enumerate(foreseen.wins)]
    entries.append((foreseen.nobody, dense))
    best = sorted((entry for entry in entries if entry[0] > 0), key=lambda entry: -entry[0])
    return [Win(point=_named(row), share=share) for share, row in best[:MOST_WINS]]


def list_changes(selection: Selection, points: pd.DataFrame, dense: pd.Series) -> Sensitivity:
    """How the submitted point changes with the gate and the weight; for the arguments see `list_wins`."""

    def named(stretches: Sequence[Stretch]) -> list[Named]:
        rows = [dense if stretch.winner == NOBODY else points.iloc[stretch.winner] for stretch in stretches]
        return [Named(low=s.low, high=s.high, point=_named(row)) for s, row in zip(stretches, rows, strict=True)]

    return Sensitivity(gate=named(over_gates(selection)), weight=named(weights_above_gate(selection)))


def _named(row: pd.Series) -> Point:
    return Point(
        method=str(row["method"]),
        seed=int(row["seed"]),
        target_sparsity=float(row["target_sparsity"]),
        sparsity=float(row["sparsity"]),
        val_accuracy=float(row["val_accuracy"]),
    )
