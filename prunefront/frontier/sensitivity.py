"""How the submitted point changes with what was chosen beforehand: the gate, and the weight of the accuracy."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from prunefront.frontier.figures import look, write_figure
from prunefront.frontier.names import method_name
from prunefront.frontier.pareto import highest
from prunefront.frontier.selection import NOBODY, Selection

Box = tuple[float, float, float, float]
"""Left, bottom, width, height."""
MOST_NAMED = 12
"""Points that the legend names: those that win most of the picture."""


class Stretch(NamedTuple):
    """The values, from `low` and below `high`, for which one point is submitted; `NOBODY` stands for none."""

    low: float
    high: float
    winner: int


def over_gates(selection: Selection) -> list[Stretch]:
    """The winner by the selection's rule for each gate in [0, 1]: it stays until the gate reaches its accuracy."""
    accuracy = _accuracy(selection)
    stretches, gate = list[Stretch](), 0.0
    while gate < 1:
        winner = replace(selection, gate=gate).winner()
        end = 1.0 if winner == NOBODY else float(accuracy[winner])
        stretches.append(Stretch(gate, end, winner))
        gate = end
    return stretches


def over_weights(accuracy: np.ndarray, sparsity: np.ndarray) -> list[Stretch]:
    """The point with the highest w * accuracy + (1 - w) * sparsity for each weight w in [0, 1]: the founding report's
    score has w = 1/2. The upper envelope of a line for each point, walked from the sparsest to the most accurate.

    Args:
        accuracy, sparsity: of the points above the gate, shape (points,).
    """
    if not len(accuracy):
        return [Stretch(0.0, 1.0, NOBODY)]
    stretches, weight = list[Stretch](), 0.0
    winner = int(highest(1 + sparsity[np.newaxis], accuracy[np.newaxis])[0])
    while True:
        gain, loss = accuracy - accuracy[winner], sparsity[winner] - sparsity
        steeper = gain + loss > 0
        crossing = np.where(steeper & (gain > 0), loss / np.where(steeper, gain + loss, 1), np.inf)
        end = float(crossing.min())
        if end >= 1:
            return [*stretches, Stretch(weight, 1.0, winner)]
        stretches.append(Stretch(weight, end, winner))
        winner = int(highest(np.where(crossing == end, 1 + accuracy, 0)[np.newaxis], sparsity[np.newaxis])[0])
        weight = end


def weights_above_gate(selection: Selection) -> list[Stretch]:
    """`over_weights` of the selection's points above its gate, with their numbers among all."""
    accuracy = _accuracy(selection)
    above = np.flatnonzero(accuracy > selection.gate)
    found = over_weights(accuracy[above], selection.sparsity[above])
    return [s if s.winner == NOBODY else s._replace(winner=int(above[s.winner])) for s in found]


def draw_sensitivity(selection: Selection, points: pd.DataFrame, path: Path) -> None:
    """Draws for each gate and weight which point has the highest weighted sum, as a PNG; the same rows, the same bytes.

    Args:
        selection: among the points.
        points: their rows.
        path: the PNG to write.
    """
    regions = _regions(selection)
    named = sorted(regions, key=lambda winner: -sum(width * height for _, _, width, height in regions[winner]))[
        :MOST_NAMED
    ]
    order = sorted(regions, key=lambda winner: -1 if winner == NOBODY else selection.sparsity[winner], reverse=True)
    colours = dict(zip(order, matplotlib.colormaps["viridis"](np.linspace(0, 1, len(order))), strict=True))
    with look():
        figure = Figure(figsize=(7.6, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for winner in order:
            colour = "0.85" if winner == NOBODY else colours[winner]
            label = _name(points, winner) if winner in named else None
            for left, bottom, width, height in regions[winner]:
                axes.add_patch(Rectangle((left, bottom), width, height, color=colour, linewidth=0, label=label))
                label = None
        axes.plot(
            0.5,
            selection.gate,
            marker="*",
            markersize=14,
            color="white",
            markeredgecolor="black",
            linestyle="none",
            label="this run's gate, the score's weight",
        )
        lowest = min(bottom for parts in regions.values() for _, bottom, _, _ in parts)
        axes.set(xlim=(0, 1), ylim=(lowest, 1))
        axes.set_xlabel("weight of the accuracy against the sparsity")
        axes.set_ylabel("accuracy gate")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        title = "submitted, from sparse to dense"
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title=title, alignment="left")
    write_figure(figure, path)


def _regions(selection: Selection) -> dict[int, list[Box]]:
    """The boxes that each winner has in the plane of weights and gates, from a little below what matters."""
    accuracy = _accuracy(selection)
    edges = np.unique([0.0, *accuracy, 1.0])  # between two of them the same points are above the gate
    bands = [weights_above_gate(replace(selection, gate=float(edge))) for edge in edges[:-1]]
    winning = [accuracy[stretch.winner] for band in bands for stretch in band if stretch.winner != NOBODY]
    lowest = max(0.0, min([selection.gate, *winning]) - 0.05)
    found: dict[int, list[Box]] = {}
    for edge, top, band in zip(edges, edges[1:], bands, strict=False):
        bottom = max(float(edge), lowest)
        for low, high, winner in band:
            if high > low and top > bottom:
                found.setdefault(winner, []).append((low, bottom, high - low, float(top) - bottom))
    return found


def _name(points: pd.DataFrame, winner: int) -> str:
    if winner == NOBODY:
        return "no point above the gate"
    row = points.iloc[winner]
    seed = f", seed {row['seed']}" if points["seed"].nunique() > 1 else ""
    return f"{method_name(row['method'])}, {row['sparsity']:.1%}{seed}"


def _accuracy(selection: Selection) -> np.ndarray:
    return selection.right.sum(axis=1) / selection.right.shape[1]
