"""The frontiers of several runs, side by side: one table and one picture."""

from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from prunefront.common.errors import InputError
from prunefront.common.files import replacing
from prunefront.frontier.figures import NULL_STYLES, STYLES, label_axes, position
from prunefront.pipeline.points import read_points

NEEDED = ["method", "seed", "target_sparsity", "sparsity", "val_accuracy"]
MOST_CURVES = 500
"""That a table and a picture are made of in seconds."""
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
    """Draws validation accuracy over sparsity, a colour for each method and a kind of line for each run, as a PNG."""
    methods = list(dict.fromkeys(points.loc[points["eligible"], "method"]))
    null = list(dict.fromkeys(points.loc[~points["eligible"], "method"]))
    style = {m: STYLES[i % len(STYLES)] for i, m in enumerate(methods)}
    style |= {m: NULL_STYLES[i % len(NULL_STYLES)] for i, m in enumerate(null)}
    lines = dict(zip(dict.fromkeys(points["run"]), ["-", "--", ":", "-."] * len(points), strict=False))
    with matplotlib.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 6.2), layout="constrained")
        axes = figure.add_subplot()
        for (run, method), group in points.groupby(["run", "method"], sort=False):
            levels = group.groupby("target_sparsity")
            axes.plot(
                position(levels["sparsity"].mean()),
                levels["val_accuracy"].mean(),
                **{**style[str(method)], "linestyle": lines[str(run)]},
                markersize=4.5,
                linewidth=1.4,
                label=f"{run}: {method}",
            )
        label_axes(axes, points)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        with replacing(path) as partial:
            figure.savefig(partial, dpi=110, format="png", metadata={"Software": None})
