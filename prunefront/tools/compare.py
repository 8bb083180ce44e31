"""The frontiers of several runs, side by side: one table and one picture."""

from itertools import combinations, cycle
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
from prunefront.frontier.intervals import ALL, read_intervals
from prunefront.frontier.intervals import COLUMNS as INTERVAL_COLUMNS
from prunefront.frontier.names import method_name
from prunefront.frontier.summary import read_summary
from prunefront.pipeline.points import read_points
from prunefront.pipeline.store import INTERVALS, SUMMARY

NEEDED = ["method", "seed", "target_sparsity", "sparsity", "val_accuracy"]
ALIKE = "≈"
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


def load_means(folders: list[Path]) -> pd.DataFrame:
    """The rows of all folders' tables of intervals that are about means over the seeds, with the column `run`; no rows
    of folders without such a table.

    Raises:
        InputError: a table is damaged.
    """
    tables = [pd.DataFrame(columns=[*INTERVAL_COLUMNS, "run"])]
    for folder in folders:
        path = folder / INTERVALS.name
        if path.exists():
            rows = read_intervals(path)
            tables.append(rows[rows["seeds"] == ALL].assign(run=folder.resolve().name))
    return pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)


def tabulate(points: pd.DataFrame, levels: list[float], intervals: pd.DataFrame | None = None) -> pd.DataFrame:
    """Mean accuracies over the seeds as text, "validation / test" in percent: a row per level, a column per method.

    Args:
        points: see `load_runs`.
        levels: target sparsities.
        intervals: see `load_means`; where it has a row, each accuracy is followed by its 95 % interval, and `ALIKE`
            marks what cannot be told from the run's submitted method and level, itself among it.

    Raises:
        InputError: no run has any of the levels.
    """
    known = {} if intervals is None else intervals.set_index(["run", "method", "target_sparsity"]).to_dict("index")

    def cell(key: tuple[Any, ...], group: pd.DataFrame) -> str:
        parts, row = [], known.get(key)
        for name in ("val", "test"):
            accuracy = group[f"{name}_accuracy"].mean()
            if not pd.isna(accuracy):
                ends = "" if row is None else f" ({100 * row[f'{name}_low']:.1f} to {100 * row[f'{name}_high']:.1f})"
                parts.append(f"{100 * accuracy:.1f}{ends}")
        return " / ".join(parts) + (f" {ALIKE}" if row is not None and not row["told_apart"] else "")

    chosen = points[points["target_sparsity"].isin(levels)]
    if chosen.empty:
        present = ", ".join(f"{level:.4g}" for level in sorted(set(points["target_sparsity"])))
        raise InputError(f"Expected a level that a run has: {present}. Received: {', '.join(map(str, levels))}")
    cells = {
        (level, str(run), str(method)): cell((run, method, level), group)
        for (run, method, level), group in chosen.groupby(["run", "method", "target_sparsity"], sort=False)
    }
    curves = list(dict.fromkeys((run, method) for _, run, method in cells))
    found = sorted(set(chosen["target_sparsity"]))
    rows = [[cells.get((level, *curve), "") for curve in curves] for level in found]
    columns = [f"{run}: {method_name(method)}" for run, method in curves]
    index = [f"{100 * level:.4g} %" for level in found]
    return pd.DataFrame(rows, index=pd.Index(index, name="sparsity"), columns=columns)


def overlaps(folders: list[Path]) -> list[str]:
    """Lines on the submitted points of two runs whose 95 % intervals on their test splits overlap.

    Runs without intervals, and those that submit a dense network, are left out. The runs' points are not compared on
    the same examples, which may be others: overlapping intervals do not say that the points are equal.

    Raises:
        InputError: a summary or a table is damaged, or the table has no row of the submitted point.
    """
    found = [(folder.resolve().name, row) for folder in folders if (row := _submitted(folder)) is not None]
    lines = []
    for (one, first), (other, second) in combinations(found, 2):
        if first["test_low"] <= second["test_high"] and second["test_low"] <= first["test_high"]:
            lines.append(
                f"{_described(one, first)} and {_described(other, second)}: the intervals overlap, so that neither is "
                f"known to be more accurate"
            )
    return lines


def _submitted(folder: Path) -> "pd.Series | None":
    """The row of intervals of a run's submitted point, if it has one."""
    path = folder / INTERVALS.name
    if not (path.exists() and (folder / SUMMARY.name).exists()):
        return None
    submitted = read_summary(folder / SUMMARY.name).submitted
    if not submitted.above_gate:
        return None
    rows = read_intervals(path)
    same = (rows["method"] == submitted.method) & (rows["seeds"] == str(submitted.seed))
    rows = rows[same & (rows["target_sparsity"] == submitted.target_sparsity)]
    if rows.empty:
        raise InputError(f"{path}: expected a row of the point that {SUMMARY.name} says is submitted. Received: none")
    return rows.iloc[0]


def _described(run: str, row: "pd.Series") -> str:
    accuracy, low, high = (100 * row[f"test_{name}"] for name in ("accuracy", "low", "high"))
    point = f"{method_name(row['method'])}, {row['sparsity']:.2%}"
    return f"{run}'s submitted point ({point}, test accuracy {accuracy:.1f} %, {low:.1f} to {high:.1f} %)"


def draw(points: pd.DataFrame, path: Path, intervals: pd.DataFrame | None = None) -> None:
    """Writes the picture of `comparison_figure` as a PNG."""
    write_figure(comparison_figure(points, intervals), path)


def comparison_figure(points: pd.DataFrame, intervals: pd.DataFrame | None = None) -> Figure:
    """Validation accuracy over sparsity, a colour and marker for each method and dashes for each run: means over the
    seeds, with their 95 % intervals, or one standard deviation on either side where no run has intervals.

    Args:
        points: see `load_runs`.
        intervals: see `load_means`.
    """
    known, runs = method_styles(points), dict(zip(dict.fromkeys(points["run"]), cycle(RUN_DASHES), strict=False))
    points = points.assign(curve=_curve(points), saving=points["sparsity"])
    named = zip(points["curve"], points["run"], points["method"], strict=True)
    styles = {curve: {**known[method], "linestyle": runs[run]} for curve, run, method in named}
    sure = intervals is not None and len(intervals) > 0
    drawn = means(points, intervals.assign(curve=_curve(intervals)) if intervals is not None and sure else None)
    with look():
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        label_axes(axes, points, bounds=[*drawn["low"], *drawn["high"]])
        draw_curves(axes, drawn, styles)
        methods = [method_entry(method, {**style, "linestyle": "none"}) for method, style in known.items()]
        lines = [Entry(Line2D([], [], color="0.3", linestyle=dashes), run) for run, dashes in runs.items()]
        bands = f", bands: {'95% interval' if sure else '± standard deviation'}" if drawn["low"].notna().any() else ""
        add_legend(figure, [*lines, *methods], f"mean over the seeds{bands}")
    return figure


def _curve(rows: pd.DataFrame) -> "pd.Series":
    return rows["run"] + ": " + rows["method"]
