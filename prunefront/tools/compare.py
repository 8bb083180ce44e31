"""The frontiers of several runs, side by side: one table and one picture."""

from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from prunefront.common.errors import InputError
from prunefront.frontier.figures import (
    SIZE,
    Entry,
    add_legend,
    draw_curves,
    label_axes,
    look,
    means,
    method_entry,
    method_styles,
    write_figure,
)
from prunefront.pipeline.points import read_points

NEEDED = ["method", "seed", "target_sparsity", "sparsity", "val_accuracy"]
MOST_CURVES = 500
"""That a table and a picture are made of in seconds."""
RUN_DASHES: list[Any] = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 4)), (0, (8, 2, 1, 2))]
DEFAULTS: dict[str, Any] = {"test_accuracy": float("nan"), "eligible": True}


def load_runs(folders: list[Path]) -> pd.DataFrame:
    """The operating points of all folders, with the folder's name in the column `run`.

    Args:
        folders: each with a `frontier.csv`, as the last stage writes it; `test_accuracy` and `eligible` may be absent.

    Raises:
        InputError: a folder has no such file, the file is damaged, or two folders have one name.
    """
    tables = []
    for folder in folders:
        path = folder / "frontier.csv"
        rows = read_points(path, NEEDED, list(DEFAULTS))
        if rows.empty:
            raise InputError(f"{path}: expected rows with the columns {', '.join(NEEDED)}. Received: none")
        absent = {name: value for name, value in DEFAULTS.items() if name not in rows}
        tables.append(rows.assign(run=folder.resolve().name, **absent))
    points = pd.concat(tables, ignore_index=True)
    if points["run"].nunique() < len(folders):
        raise InputError(f"Expected folders with different names. Received: {', '.join(map(str, folders))}")
    curves = points.groupby(["run", "method"]).ngroups
    if curves > MOST_CURVES:
        raise InputError(f"Expected at most {MOST_CURVES} methods of all runs together. Received: {curves}")
    return points


def tabulate(points: pd.DataFrame, levels: list[float]) -> pd.DataFrame:
    """Mean accuracies over the seeds as text, "validation / test" in percent: a row per level, a column per method.

    Raises:
        InputError: no run has any of the levels.
    """

    def cell(group: pd.DataFrame) -> str:
        validation, test = (100 * group[name].mean() for name in ("val_accuracy", "test_accuracy"))
        return f"{validation:.1f}" if pd.isna(test) else f"{validation:.1f} / {test:.1f}"

    chosen = points[points["target_sparsity"].isin(levels)]
    if chosen.empty:
        known = ", ".join(f"{level:.4g}" for level in sorted(set(points["target_sparsity"])))
        raise InputError(f"Expected a level that a run has: {known}. Received: {', '.join(map(str, levels))}")
    cells = {
        (level, f"{run}: {method}"): cell(group)
        for (run, method, level), group in chosen.groupby(["run", "method", "target_sparsity"], sort=False)
    }
    columns = list(dict.fromkeys(column for _, column in cells))
    found = sorted(set(chosen["target_sparsity"]))
    rows = [[cells.get((level, column), "") for column in columns] for level in found]
    index = [f"{100 * level:.4g} %" for level in found]
    return pd.DataFrame(rows, index=pd.Index(index, name="sparsity"), columns=columns)


def draw(points: pd.DataFrame, path: Path) -> None:
    """Writes the picture of `comparison_figure` as a PNG."""
    write_figure(comparison_figure(points), path)


def comparison_figure(points: pd.DataFrame) -> Figure:
    """Validation accuracy over sparsity, a colour and marker for each method and dashes for each run: means over the
    seeds, with one standard deviation on either side.

    Args:
        points: see `load_runs`.
    """
    known, runs = method_styles(points), dict(zip(dict.fromkeys(points["run"]), cycle(RUN_DASHES), strict=False))
    curves = points["run"] + ": " + points["method"]
    named = zip(curves, points["run"], points["method"], strict=True)
    styles = {curve: {**known[method], "linestyle": runs[run]} for curve, run, method in named}
    drawn = means(points.assign(curve=curves, saving=points["sparsity"]))
    with look():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        label_axes(axes, points, bounds=[*drawn["low"], *drawn["high"]])
        draw_curves(axes, drawn, styles)
        methods = [method_entry(method, {**style, "linestyle": "none"}) for method, style in known.items()]
        lines = [Entry(Line2D([], [], color="0.3", linestyle=dashes), run) for run, dashes in runs.items()]
        several = drawn["low"].notna().any()
        add_legend(figure, [*lines, *methods], "means over the seeds, bands: ± standard deviation" if several else "")
    return figure
