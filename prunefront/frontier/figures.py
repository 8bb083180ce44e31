"""The picture of the frontier."""

import math
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, PercentFormatter

from prunefront.common.files import replacing
from prunefront.common.params import Axis
from prunefront.frontier.pareto import costs, saving

# Okabe and Ito's colours, told apart by the colour-blind; markers and dashes tell them apart in grey.
STYLES: list[dict[str, Any]] = [
    {"color": "#0072B2", "marker": "o", "linestyle": "--"},
    {"color": "#E69F00", "marker": "s", "linestyle": ":"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#D55E00", "marker": "D", "linestyle": "-"},
    {"color": "#CC79A7", "marker": "v", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "#56B4E9", "marker": "P", "linestyle": (0, (1, 1))},
    {"color": "#F0E442", "marker": "<", "linestyle": (0, (3, 1))},
    {"color": "#000000", "marker": ">", "linestyle": (0, (1, 2))},
]
# Null baselines: grey, told apart by markers.
NULL_STYLES: list[dict[str, Any]] = [
    {"color": "0.55", "marker": "x", "linestyle": ":"},
    {"color": "0.55", "marker": "+", "linestyle": "--"},
    {"color": "0.55", "marker": "1", "linestyle": "-"},
]
TICKS = [0, 0.5, 0.75, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]
COSTS: dict[Axis, tuple[str, float]] = {
    "bytes": ("kB in a sparse file without loss", 1e3),
    "multiply_adds": ("millions of multiply-adds with non-zero weights per example", 1e6),
}
"""How costs are labelled, and the unit that they are given in."""
MOST_TICKS = 9


def draw_frontier(rows: pd.DataFrame, gate: float, submitted: "pd.Series", path: Path, axis: Axis = "sparsity") -> None:
    """Draws accuracy over sparsity for each method, the frontier, the gate and the submitted point, as a PNG.

    Methods with several seeds are drawn as the mean over the seeds, with one standard deviation on either side. The
    sparsity axis is logarithmic in the share of weights that is left, where the differences are; an axis of costs is
    logarithmic in the cost, less to the right. The same rows give the same bytes.

    Args:
        rows: one row per operating point, with the columns of `submission.load_frontier`; those that are not eligible,
            the null baselines, are drawn in grey.
        gate: in [0, 1].
        submitted: the row of the submitted point.
        path: the PNG to write.
        axis: what is drawn beside the accuracy, see `pareto.saving`.
    """
    rows, best = rows.assign(saving=saving(rows, axis)), saving(submitted, axis)
    with matplotlib.rc_context(
        {"font.size": 10, "svg.hashsalt": "0", "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(11, 5.4), layout="constrained")
        axes = figure.add_subplot()
        front = rows[rows["on_frontier"]].drop_duplicates(["saving", "val_accuracy"]).sort_values("saving")
        axes.plot(
            position(front["saving"]),
            front["val_accuracy"],
            color="0.8",
            linewidth=7,
            solid_capstyle="round",
            solid_joinstyle="round",
            label="Pareto frontier (all points)",
            zorder=1,
        )
        for styles, shown in ((STYLES, rows[rows["eligible"]]), (NULL_STYLES, rows[~rows["eligible"]])):
            for style, (method, group) in zip(cycle(styles), shown.groupby("method", sort=False), strict=False):
                _draw_method(axes, str(method), group, style)
        axes.axhline(gate, color="black", linewidth=1, linestyle=(0, (2, 2)), label=f"accuracy gate ({gate:.0%})")
        axes.plot(
            position(best),
            submitted["val_accuracy"],
            marker="*",
            markersize=20,
            color="white",
            markeredgecolor="black",
            markeredgewidth=1.4,
            linestyle="none",
            zorder=5,
            label=f"submitted: {submitted['method']}\nat {submitted['sparsity']:.1%}, "
            f"accuracy {submitted['val_accuracy']:.1%}",
        )
        label_axes(axes, rows, axis)
        seeds = rows["seed"].nunique()
        title = f"mean of {seeds} seeds\n± standard deviation" if seeds > 1 else None
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title=title)
        with replacing(path) as partial:
            figure.savefig(partial, dpi=130, format="png", metadata={"Software": None})


def _draw_method(axes: Axes, method: str, group: pd.DataFrame, style: dict[str, Any]) -> None:
    """One method's curve: the mean over seeds at each level, with the spread where there are several."""
    levels = group.groupby("target_sparsity")
    mean, spread = levels["val_accuracy"].mean(), levels["val_accuracy"].std()
    x, seeds = position(levels["saving"].mean()), group["seed"].nunique()
    axes.plot(x, mean, markersize=4.5, linewidth=1.4, label=method, zorder=3, **style)
    if seeds > 1:
        axes.fill_between(x, mean - spread, mean + spread, color=style["color"], alpha=0.2, linewidth=0, zorder=2)


def label_axes(axes: Axes, rows: pd.DataFrame, axis: Axis = "sparsity") -> None:
    """Ticks, limits and labels of a picture of accuracy over sparsity, or over what an axis saves, at `position`."""
    ticks, labels, name = _sparsity_ticks(rows) if axis == "sparsity" else _cost_ticks(rows, axis)
    axes.xaxis.set_major_locator(FixedLocator([position(t) for t in ticks]))
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(min(0.5, rows["val_accuracy"].min()) - 0.02, 1.01 if rows["val_accuracy"].max() > 0.9 else None)
    axes.set_xlabel(name)
    axes.set_ylabel("validation accuracy")
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def _sparsity_ticks(rows: pd.DataFrame) -> tuple[list[float], list[str], str]:
    """Sparsities, how they are written, and the axis's name."""
    densest = min(1, rows["sparsity"].max())
    ticks = [t for t in TICKS if t <= densest + (1 - densest) / 3]
    labels = [f"{t:.4g}%" for t in 100 * np.array(ticks)]
    return ticks, labels, "sparsity: zeros among all trainable parameters (log scale of what is left)"


def _cost_ticks(rows: pd.DataFrame, axis: Axis) -> tuple[list[float], list[str], str]:
    """Shares saved, each labelled with its cost, 1, 2 or 5 times a power of ten, and the axis's name."""
    name, unit = COSTS[axis]
    cost, dense = costs(rows, axis)
    least, most, whole = max(1, int(cost.min())), max(1, int(cost.max())), max(1, int(dense.max()))
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    ticks = [digit * 10**power for power in powers for digit in (1, 2, 5) if least <= digit * 10**power <= most]
    if len(ticks) > MOST_TICKS:
        ticks = [tick for tick in ticks if str(tick).startswith("1")]
    if len(ticks) < 2:
        ticks = sorted({least, most})
    return [1 - tick / whole for tick in ticks], [f"{tick / unit:,.4g}" for tick in ticks], f"{name} (log scale)"


def position(saved: Any) -> Any:
    """The horizontal position of a sparsity, or of what is saved of a cost: 0 at 0 %, 1 at 90 %, 2 at 99 %."""
    return -np.log10(np.maximum(1 - saved, 1e-6))
