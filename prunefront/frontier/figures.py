"""The picture of the frontier."""

import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from prunefront.common.files import replacing
from prunefront.common.params import METHODS, NULL_BASELINES
from prunefront.common.sections import Axis
from prunefront.frontier.intervals import ALL
from prunefront.frontier.names import method_name
from prunefront.frontier.pareto import costs, saving
from prunefront.frontier.scales import FONT_SIZE, amount, cost_ticks, ends, rounded, set_scale, share_ticks, written

# Colours that the colour-blind tell apart (Okabe and Ito's, without yellow, Tol's indigo and wine, and a violet);
# markers and dashes tell them apart in grey. Counts without a common divisor: no two of 110 methods have both colour
# and marker.
COLOURS = [
    *("#0072B2", "#E69F00", "#332288", "#882255", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"),
    "#9944FF",
]
MARKERS = ["o", "s", "p", "h", "^", "D", "v", "P", "<", ">", "X"]
DASHES: list[Any] = ["--", ":", (0, (3, 1)), (0, (1, 2)), "-.", "-", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]
# Null baselines: grey, told apart by markers.
NULL_MARKERS, NULL_DASHES = ["x", "+", "1", "2", "|"], [":", "--", "-", "-."]
NULL_COLOUR = "0.45"

COSTS: dict[Axis, tuple[str, dict[float, str]]] = {
    "bytes": ("{} in a sparse file without loss", {1e9: "GB", 1e6: "MB", 1e3: "kB", 1: "bytes"}),
    "multiply_adds": (
        "{}multiply-adds with non-zero weights per example",
        {1e9: "billions of ", 1e6: "millions of ", 1e3: "thousands of ", 1: ""},
    ),
}
"""How costs are labelled, and the units that they may be given in."""
SIZE = 9.6, 5.2
"""Of the picture in inches; it is higher where its legend needs that."""
DOTS = 150
"""An inch."""
LENGTHS = 410, 300
"""Of the axes in points, with the widest legend."""
WIDEST, SMALL_WIDEST = 30, 38
"""Characters in a line of the legend, and of its small grey ones."""
MARKER_SIZE, RING = 5.5, 2.6
"""Of a marker, and of what is added for each method that has the same point, in points."""
# Nothing of the machine's own: neither its matplotlibrc nor its fonts.
LOOK = {
    "font.family": ["DejaVu Sans"],
    "font.size": FONT_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}


def look() -> AbstractContextManager[None]:
    """The settings that pictures are drawn with."""
    return matplotlib.style.context(["default", LOOK], after_reset=True)


class Entry(NamedTuple):
    """Of a legend: a sample, what it is, and a second line in small grey, if any."""

    sample: Any
    text: str
    small: str = ""


def draw_frontier(
    rows: pd.DataFrame,
    gate: float,
    submitted: "pd.Series",
    path: Path,
    axis: Axis = "sparsity",
    intervals: pd.DataFrame | None = None,
    majority: float | None = None,
) -> None:
    """Writes the picture of `frontier_figure` as a PNG; the same rows give the same bytes.

    Args:
        rows: see `frontier_figure`, as the others but the path.
        gate: in [0, 1].
        submitted: the row of the submitted point.
        path: the PNG to write.
        axis: what is drawn beside the accuracy.
        intervals: of the accuracies.
        majority: the accuracy of the commonest class, in [0, 1].
    """
    write_figure(frontier_figure(rows, gate, submitted, axis, intervals, majority), path)


def frontier_figure(
    rows: pd.DataFrame,
    gate: float,
    submitted: "pd.Series",
    axis: Axis = "sparsity",
    intervals: pd.DataFrame | None = None,
    majority: float | None = None,
) -> Figure:
    """Accuracy over sparsity for each method, the frontier, the gate and the submitted point.

    Methods are drawn as the mean over the seeds, with its 95 % interval, or else one standard deviation of the seeds on
    either side. Both axes are logarithmic in what is missing to the whole, the weights that are left and the errors:
    there methods differ. An axis of costs is logarithmic in the cost, less to the right.

    Args:
        rows: one row per operating point, with the columns of `submission.load_frontier`; those that are not eligible,
            the null baselines, are drawn in grey.
        gate: in [0, 1].
        submitted: the row of the submitted point, or of a dense network that is none of the rows.
        axis: what is drawn beside the accuracy, see `pareto.saving`.
        intervals: see `intervals.read_intervals`; None draws standard deviations.
        majority: the accuracy of always answering with the commonest class, in [0, 1]; None if it is not known.
    """
    rows, best = rows.assign(saving=saving(rows, axis)), saving(submitted, axis)
    known = None if intervals is None else intervals.assign(curve=intervals["method"])
    points = means(rows.assign(curve=rows["method"]), known)
    styles = method_styles(rows)
    front = rows[rows["on_frontier"]].drop_duplicates(["saving", "val_accuracy"]).sort_values("saving")
    with look():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        levels = [gate, *([] if majority is None else [majority])]
        every = pd.concat([rows, pd.DataFrame([submitted.to_dict()])], ignore_index=True)
        label_axes(axes, every, axis, levels, [*points["low"], *points["high"]])
        frontier = axes.plot(
            front["saving"],
            front["val_accuracy"],
            color="0.82",
            linewidth=7,
            solid_capstyle="round",
            solid_joinstyle="round",
            zorder=1,
        )
        draw_curves(axes, points, styles)
        entries = [
            Entry(frontier[0], "Pareto frontier (all points)"),
            *(method_entry(method, styles[method]) for method in styles),
            Entry(_level(axes, gate, linewidth=1, linestyle=(0, (4, 2))), f"accuracy gate ({written(gate)})"),
        ]
        if majority is not None:
            dotted = _level(axes, majority, linewidth=0.8, linestyle=(0, (1, 2)))
            entries.append(Entry(dotted, f"majority class ({rounded(majority)})"))
        star = axes.plot(
            best,
            submitted["val_accuracy"],
            marker="*",
            markersize=17,
            markerfacecolor="none",
            markeredgecolor="black",
            markeredgewidth=1.4,
            linestyle="none",
            path_effects=[withStroke(linewidth=3, foreground="white")],
            zorder=6,
        )
        name, seeds = method_name(str(submitted["method"])), rows["seed"].nunique()
        seed = f", seed {submitted['seed']}" if seeds > 1 else ""
        what = f"{rounded(submitted['sparsity'])} zeros, accuracy {rounded(submitted['val_accuracy'])}{seed}"
        entries.append(Entry(star[0], f"submitted: {name}", what))
        add_legend(figure, entries, _spread(seeds, intervals is not None))
    return figure


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG."""
    with look(), replacing(path) as partial:
        figure.savefig(partial, dpi=DOTS, format="png", metadata={"Software": None})


def _level(axes: Axes, accuracy: float, **line: Any) -> Line2D:
    return axes.axhline(accuracy, color="black", zorder=2.5, **line)


def _spread(seeds: int, intervals: bool) -> str:
    """What the bands are, as the title of the legend."""
    if intervals:
        over = "examples" if seeds == 1 else "examples and seeds"
        mean = "" if seeds == 1 else f"mean of {seeds} seeds, "
        return f"{mean}bands: 95% interval over {over}"
    return "" if seeds == 1 else f"mean of {seeds} seeds, bands: ± standard deviation"


def means(rows: pd.DataFrame, intervals: pd.DataFrame | None = None) -> pd.DataFrame:
    """The points of each curve: means over the seeds, and how far the mean may be off.

    Args:
        rows: one row per operating point, with the columns curve, method, seed, target_sparsity, saving, val_accuracy.
        intervals: see `intervals.read_intervals`, with the column curve; None takes one standard deviation of the seeds
            on either side.

    Returns:
        A row per curve and level, levels upwards, with the columns curve, method, target_sparsity, saving, accuracy,
        and low and high, which are NaN where nothing is known.
    """
    levels = rows.groupby(["curve", "method", "target_sparsity"], sort=False)
    found = levels.agg(
        saving=("saving", "mean"), accuracy=("val_accuracy", "mean"), deviation=("val_accuracy", "std")
    ).reset_index()
    if intervals is None:
        low, high = found["accuracy"] - found["deviation"], found["accuracy"] + found["deviation"]
    else:
        every = intervals[intervals["seeds"] == ALL]
        bounds = every.set_index(_keys(every))[["val_low", "val_high"]].reindex(pd.MultiIndex.from_arrays(_keys(found)))
        low, high = bounds["val_low"].set_axis(found.index), bounds["val_high"].set_axis(found.index)
    found = found.assign(low=low.clip(0, 1), high=high.clip(0, 1), order=pd.factorize(found["curve"])[0])
    return found.sort_values(["order", "target_sparsity"], kind="stable", ignore_index=True).drop(columns="order")


def _keys(rows: pd.DataFrame) -> list["pd.Series"]:
    return [rows["curve"], rows["target_sparsity"].round(8)]


def method_styles(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Colour, marker and dashes of each method in the rows, in their order: a method's are the same in every picture.

    Args:
        rows: with the columns method and eligible; methods that are not are null baselines.
    """
    styles: dict[str, dict[str, Any]] = {}
    for known, eligible in ((METHODS, True), (NULL_BASELINES, False)):
        present = list(dict.fromkeys(rows.loc[rows["eligible"] == eligible, "method"]))
        numbers = {stage: number for number, stage in enumerate([*known, *(m for m in present if m not in known)])}
        styles |= {method: _style(numbers[method], eligible) for method in present}
    return styles


def _style(number: int, eligible: bool) -> dict[str, Any]:
    lists = (COLOURS, MARKERS, DASHES) if eligible else ([NULL_COLOUR], NULL_MARKERS, NULL_DASHES)
    return {
        name: choices[number % len(choices)]
        for name, choices in zip(("color", "marker", "linestyle"), lists, strict=True)
    }


def draw_curves(axes: Axes, points: pd.DataFrame, styles: dict[str, dict[str, Any]]) -> None:
    """Draws each curve: its line, a band around it, and a marker at each point.

    Where points of several curves coincide, those of the curves drawn first are larger, so that each is a ring around
    the next. A point without neighbours has an error bar in place of the band. Curves of a single point lie beside each
    other, so that their bars do, by half a marker's size on either side of their place at most.

    Args:
        axes: with its scales and limits set.
        points: see `means`.
        styles: of each curve: color, marker and linestyle.
    """
    rings = _rings(axes, points)
    step = min(RING, 5 * RING / max(1, rings.max()))
    points = points.assign(size=MARKER_SIZE + step * rings)
    levels = points.groupby("curve", sort=False).size()
    lone = list(levels.index[levels == 1])
    for curve, group in points.groupby("curve", sort=False):
        style = styles[str(curve)]
        colour, x, y = style["color"], group["saving"], group["accuracy"]
        known = group["low"].notna()
        alone = known & ~known.shift(1, fill_value=False) & ~known.shift(-1, fill_value=False)
        band: dict[str, Any] = {"where": known & ~alone, "alpha": 0.12, "linewidth": 0}
        aside = MARKER_SIZE * (lone.index(curve) / (len(lone) - 1) - 0.5) if curve in lone and len(lone) > 1 else 0
        place = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
        axes.plot(x, y, color=colour, linestyle=style["linestyle"], zorder=3)
        axes.fill_between(x, group["low"], group["high"], color=colour, zorder=2, **band)
        bar = group[alone]
        axes.errorbar(
            bar["saving"],
            (bar["low"] + bar["high"]) / 2,  # an interval need not hold its point
            yerr=(bar["high"] - bar["low"]) / 2,
            fmt="none",
            ecolor=colour,
            elinewidth=1.3,
            capsize=3,
            transform=place,
            zorder=3.5,
        )
        hollow = style["marker"] in NULL_MARKERS
        axes.scatter(
            x,
            y,
            s=group["size"] ** 2,
            marker=style["marker"],
            color=colour,
            edgecolors=None if hollow else "white",
            linewidths=1.2 if hollow else 0.5,
            transform=place,
            zorder=4,
        )


def _rings(axes: Axes, points: pd.DataFrame) -> np.ndarray:
    """For each point how many curves that are drawn later have one at the same place, within a 36th of an inch."""
    place = (axes.transScale + axes.transLimits).transform(points[["saving", "accuracy"]]) * LENGTHS
    order = pd.factorize(points["curve"])[0]
    rings = np.zeros(len(points), int)
    for shift in ((0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)):  # in one of the grids, close points share a cell
        column, row = np.floor(place / 4 + shift).T
        cells = pd.DataFrame({"column": column, "row": row, "order": order})
        each = cells.drop_duplicates().sort_values("order", ascending=False)
        each = each.assign(later=each.groupby(["column", "row"]).cumcount())
        rings = np.maximum(rings, cells.merge(each, how="left")["later"].to_numpy())
    return rings


def method_entry(method: str, style: dict[str, Any]) -> Entry:
    """What people call a method, with its stage's name in the second line, where that differs."""
    name = method_name(method)
    return Entry(_sample(**style), name, method if method != name else "")


def _sample(**style: Any) -> Line2D:
    hollow = style.get("marker") in NULL_MARKERS
    edge = {"markeredgewidth": 1.2} if hollow else {"markeredgewidth": 0.5, "markeredgecolor": "white"}
    return Line2D([], [], markersize=6, **edge, **style)


def add_legend(figure: Figure, entries: Iterable[Entry], title: str) -> Legend:
    """Adds a legend at the right, and makes the figure large enough for it."""
    blank = Line2D([], [], linestyle="none")
    lines = []
    for entry in entries:
        lines.append((entry.sample, textwrap.fill(entry.text, WIDEST)))
        lines += [(blank, textwrap.fill(entry.small, SMALL_WIDEST))] if entry.small else []
    legend = figure.legend(
        [sample for sample, _ in lines],
        [f" {text}" for _, text in lines],  # a label that begins with _ would be left out
        loc="outside right center",
        labelspacing=0.25,
        handlelength=3,
        title=textwrap.fill(title, WIDEST + 5) or None,
        alignment="left",
    )
    for (sample, _), text in zip(lines, legend.get_texts(), strict=True):
        text.set(parse_math=False, text=text.get_text()[1:])
        if sample is blank:
            text.set(color="0.4", fontsize=0.8 * FONT_SIZE)
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    width, height = figure.get_size_inches()
    needed = (box.width + figure.dpi * (LENGTHS[0] / 72 + 1)) / figure.dpi, box.height / figure.dpi + 0.4
    figure.set_size_inches(max(width, needed[0]), max(height, needed[1]))
    return legend


def label_axes(
    axes: Axes,
    rows: pd.DataFrame,
    axis: Axis = "sparsity",
    levels: Iterable[float] = (),
    bounds: Iterable[float] = (),
) -> None:
    """Scales, ticks, limits and labels of a picture of accuracy over sparsity, or over what an axis saves.

    Args:
        axes: to be labelled.
        rows: the points, see `pareto.saving`.
        axis: what is drawn beside the accuracy.
        levels: accuracies that have to be in the picture too.
        bounds: of the accuracies' intervals, see `scales.ends`.
    """
    saved = ends(saving(rows, axis))
    if axis == "sparsity":
        name, ticks, last = "sparsity: zeros among all trainable parameters", share_ticks(saved), rounded(saved.high)
    else:
        cost, dense = costs(rows, axis)
        least, whole = max(1, cost.min()), max(1, dense.max())
        form, units = COSTS[axis]
        unit = next(unit for unit in units if least >= unit / 10)
        name, ticks, last = form.format(units[unit]), cost_ticks(saved, whole, unit), amount(least / unit)
    set_scale(axes.xaxis, saved, ticks, LENGTHS[0], last)
    axes.set_xlabel(f"{name} (log scale{' of what is left' if axis == 'sparsity' else ''})")
    reached = ends(rows["val_accuracy"], levels, bounds)
    set_scale(axes.yaxis, reached, share_ticks(reached), LENGTHS[1])
    axes.set_ylabel("validation accuracy (log scale of the errors)")
