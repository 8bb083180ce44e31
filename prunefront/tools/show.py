"""The result as text, for a terminal or a log."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from prunefront.export.latency import BATCHES, THREADS, read_latency
from prunefront.export.results import described, read_exports
from prunefront.frontier.intervals import of_points, read_intervals
from prunefront.frontier.names import method_name
from prunefront.frontier.pareto import saving
from prunefront.frontier.summary import Made, Submitted, Summary, read_summary
from prunefront.pipeline.store import FRONTIER, INTERVALS, PICTURE, SUBMITTED, SUMMARY, load_result

CELLS = {
    "": ("place", "{}"),
    "method": ("method", "{}"),
    "seed": ("seed", "{}"),
    "sparsity": ("sparsity", "{:.2%}"),
    "non-zero": ("nonzero", "{:,}"),
    "bytes": ("bytes_lossless", "{:,}"),
    "multiply-adds": ("multiply_adds_nonzero", "{:,}"),
    "validation accuracy": ("val_accuracy", "{:.4f}"),
    "95 % interval": ("interval", "{}"),
    "beside the submitted": ("standing", "{}"),
    "wins": ("wins", "{:.0%}"),
    "test accuracy": ("test_accuracy", "{:.4f}"),
    "score": ("score", "{:.4f}"),
}
"""For each heading the column of the rows, and how it is written."""
ADDED = ("95 % interval", "beside the submitted", "wins")
"""Headings that only results with intervals have."""
ALIKE = "cannot be told"
LEFT = ("", "method", "beside the submitted")


def print_frontier() -> None:
    """Prints the Pareto frontier, the submitted point, where the files are, and what is known of its exports.

    Raises:
        InputError: there are no results yet, or they are damaged.
    """
    points, summary = load_result(), read_summary()
    intervals = of_points(points, read_intervals()) if INTERVALS.exists() else None
    if intervals is not None:
        points = points.assign(
            interval=[f"{low:.4f} to {high:.4f}" for low, high in intervals[["val_low", "val_high"]].to_numpy()],
            standing=standings(points, intervals, summary.submitted),
            wins=intervals["wins"],
        )
    front = points[points["on_frontier"]]
    front = front.assign(saving=saving(front, summary.axis)).sort_values(["saving", "val_accuracy"], kind="stable")
    submitted, baseline = summary.submitted, summary.baseline
    gate_note = "" if submitted.above_gate else " (no operating point is above the accuracy gate)"
    by_rule = "" if summary.rule == "score" else f" by {summary.rule}"
    chosen = (
        f"submitted{by_rule}: {method_name(submitted.method)} ({submitted.method}) at {submitted.sparsity:.2%} "
        f"sparsity{gate_note}, score {submitted.score:.4f}, validation accuracy {submitted.val_accuracy:.4f}, test "
        f"accuracy {submitted.test_accuracy:.4f} (dense: {baseline.val_accuracy:.4f}, {baseline.test_accuracy:.4f})"
    )
    counts = [
        f"{entry.zeros:,} of {entry.parameters:,} {kind} ({entry.zeros / max(1, entry.parameters):.2%})"
        for kind, entry in submitted.ledger.items()
    ]
    headings = (
        "method",
        "seed",
        "sparsity",
        "non-zero",
        "bytes",
        "multiply-adds",
        "validation accuracy",
        *ADDED,
        "score",
    )
    console = Console(width=max(140, Console().width), soft_wrap=True)  # a cut number helps nobody
    console.print(as_table("Pareto frontier", front, headings))
    console.print(chosen, highlight=False)
    if summary.majority is not None:
        console.print(
            f"always {summary.majority.name}, the commonest class: validation accuracy "
            f"{summary.majority.val_accuracy:.4f}, test accuracy {summary.majority.test_accuracy:.4f}",
            highlight=False,
            markup=False,
        )
    for line in [*judged(summary), *([] if intervals is None else [alike(points, intervals, summary.submitted)])]:
        console.print(line, highlight=False)
    console.print(f"its zeros: {', '.join(counts)} parameters", highlight=False)
    console.print(f"weights {SUBMITTED}, picture {PICTURE}, all points {FRONTIER}, summary {SUMMARY}", highlight=False)
    if summary.runtime is not None:
        console.print(f"made {described_runtime(summary.runtime)}", highlight=False)
    for warning in summary.warnings:
        console.print(f"warning: {warning}", highlight=False, markup=False)
    exports = read_exports()
    for line in [] if exports is None else described(exports):
        console.print(f"export {line}", highlight=False)
    latency = read_latency()
    if latency is not None:
        print_latency(latency)


def standings(points: pd.DataFrame, intervals: pd.DataFrame, submitted: Submitted) -> list[str]:
    """For each point in words what its validation accuracy is beside that of the submitted one."""
    itself = is_submitted(points, submitted)
    words = np.where(intervals["behind"] > 0, "less accurate", "more accurate")
    words = np.where(intervals["told_apart"], words, ALIKE)
    return list(map(str, np.where(itself, "submitted", words)))


def is_submitted(points: pd.DataFrame, submitted: Submitted) -> "pd.Series":
    """For each point whether it is the submitted one; none is where that is a dense network."""
    same = (points["method"] == submitted.method) & (points["seed"] == submitted.seed)
    return same & (points["target_sparsity"] == submitted.target_sparsity)


def alike(points: pd.DataFrame, intervals: pd.DataFrame, submitted: Submitted) -> str:
    """A line on the points that cannot be told from the submitted one, and on the sparsest of them."""
    others = points[points["eligible"] & ~is_submitted(points, submitted)]
    near = others[~intervals["told_apart"][others.index]]
    if near.empty:
        return f"each of {len(others)} other points is told from it by its validation accuracy at 95 %"
    sparsest = near.iloc[int(near["sparsity"].argmax())]
    return (
        f"{len(near)} of {len(others)} other points cannot be told from it by their validation accuracy at 95 %, each "
        f"comparison by itself; the sparsest is {method_name(sparsest['method'])}, {sparsest['sparsity']:.2%}"
    )


def judged(summary: Summary) -> list[str]:
    """Lines on what the choice is worth; none for results of earlier versions."""
    lines = []
    if summary.optimism is not None and summary.optimism.expected is not None:
        found = summary.optimism
        lines.append(
            f"its score {found.score:.4f} is expected to be {found.expected:.4f} on fresh examples (optimism "
            f"{found.optimism:.4f}); on the test split it is {found.test_score:.4f}"
        )
    if summary.wins:
        several = len({win.point.seed for win in summary.wins}) > 1
        first = [
            f"{method_name(win.point.method)}, {win.point.sparsity:.2%}{f', seed {win.point.seed}' * several} "
            f"({win.share:.0%})"
            for win in summary.wins[:3]
        ]
        lines.append(f"other samples of the validation examples would submit: {'; '.join(first)}")
    return lines


def described_runtime(made: Made) -> str:
    """How results were made, in a line."""
    if made.portable:
        how = f"portably, for x86-64 machines with {made.instructions}"
    else:
        how = f"with {made.instructions or 'whatever the machine offers'}: {made.otherwise}"
    threads = "a thread per core" if made.threads is None else f"{made.threads} thread{'s' * (made.threads > 1)}"
    return ", ".join([how, threads, *(f"{name} {number}" for name, number in made.versions.items())])


def print_latency(latency: pd.DataFrame) -> None:
    """Prints how fast each model is in each format, a column for each size of batch and number of threads."""
    table = Table(title="Speed, in multiples of the dense network's in LiteRT float32", title_justify="left")
    for heading in ("model", "format"):
        table.add_column(heading)
    columns = [(batch, threads) for batch in BATCHES for threads in THREADS]
    for batch, threads in columns:
        table.add_column(f"batch {batch}, {threads} thread{'s' * (threads > 1)}", justify="right")
    for (model, name), rows in latency.groupby(["model", "format"], sort=False):
        cells = {
            (row.batch, row.threads): f"{row.ratio:.2f} ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
            for row in rows.itertuples()
        }
        table.add_row(str(model), str(name), *(cells.get(column, "") for column in columns))
    Console(width=max(140, Console().width), soft_wrap=True).print(table)


def as_table(title: str, rows: pd.DataFrame, headings: Sequence[str]) -> Table:
    """Points as a table.

    Args:
        title: of the table.
        rows: a row per point.
        headings: some of `CELLS`; those whose columns the rows lack are left out.
    """
    table = Table(title=title, title_justify="left")
    rows = rows.assign(method=[method_name(method) for method in rows["method"]])
    shown = [CELLS[heading] for heading in headings if CELLS[heading][0] in rows]
    for heading in headings:
        if CELLS[heading][0] in rows:
            table.add_column(heading, justify="left" if heading in LEFT else "right")
    for row in rows.to_dict("records"):
        table.add_row(*(form.format(row[column]) for column, form in shown))
    return table
