"""The result as text, for a terminal or a log."""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from prunefront.export.results import described, read_exports
from prunefront.frontier.pareto import saving
from prunefront.frontier.summary import Made, read_summary
from prunefront.pipeline.store import FRONTIER, PICTURE, SUBMITTED, SUMMARY, load_result
from prunefront.tools.latency import BATCHES, THREADS, read_latency

CELLS = {
    "": ("place", "{}"),
    "method": ("method", "{}"),
    "seed": ("seed", "{}"),
    "sparsity": ("sparsity", "{:.2%}"),
    "non-zero": ("nonzero", "{:,}"),
    "bytes": ("bytes_lossless", "{:,}"),
    "multiply-adds": ("multiply_adds_nonzero", "{:,}"),
    "validation accuracy": ("val_accuracy", "{:.4f}"),
    "test accuracy": ("test_accuracy", "{:.4f}"),
    "score": ("score", "{:.4f}"),
}
"""For each heading the column of the rows, and how it is written."""
LEFT = ("", "method")


def print_frontier() -> None:
    """Prints the Pareto frontier, the submitted point, where the files are, and what is known of its exports.

    Raises:
        InputError: there are no results yet, or they are damaged.
    """
    points, summary = load_result(), read_summary()
    front = points[points["on_frontier"]]
    front = front.assign(saving=saving(front, summary.axis)).sort_values(["saving", "val_accuracy"], kind="stable")
    submitted, baseline = summary.submitted, summary.baseline
    gate_note = "" if submitted.above_gate else " (no operating point is above the accuracy gate)"
    chosen = (
        f"submitted: {submitted.method} at {submitted.sparsity:.2%} sparsity{gate_note}, score "
        f"{submitted.score:.4f}, validation accuracy {submitted.val_accuracy:.4f}, test accuracy "
        f"{submitted.test_accuracy:.4f} (dense: {baseline.val_accuracy:.4f}, {baseline.test_accuracy:.4f})"
    )
    counts = [
        f"{entry.zeros:,} of {entry.parameters:,} {kind} ({entry.zeros / max(1, entry.parameters):.2%})"
        for kind, entry in submitted.ledger.items()
    ]
    headings = ("method", "seed", "sparsity", "non-zero", "bytes", "multiply-adds", "validation accuracy", "score")
    console = Console(soft_wrap=True)
    console.print(as_table("Pareto frontier", front, headings))
    console.print(chosen, highlight=False)
    console.print(f"its zeros: {', '.join(counts)} parameters", highlight=False)
    console.print(f"weights {SUBMITTED}, picture {PICTURE}, all points {FRONTIER}, summary {SUMMARY}", highlight=False)
    if summary.runtime is not None:
        console.print(f"made {described_runtime(summary.runtime)}", highlight=False)
    exports = read_exports()
    for line in [] if exports is None else described(exports):
        console.print(f"export {line}", highlight=False)
    latency = read_latency()
    if latency is not None:
        print_latency(latency)


def described_runtime(made: Made) -> str:
    """How results were made, in a line."""
    if made.portable:
        how = f"portably, for x86-64 machines with {made.instructions}"
    else:
        how = "with whatever the machine offers: another kind gives other results (runtime.portable: false)"
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
    Console(soft_wrap=True, width=120).print(table)


def as_table(title: str, rows: pd.DataFrame, headings: Sequence[str]) -> Table:
    """Points as a table.

    Args:
        title: of the table.
        rows: a row per point.
        headings: some of `CELLS`; those whose columns the rows lack are left out.
    """
    table = Table(title=title, title_justify="left")
    shown = [CELLS[heading] for heading in headings if CELLS[heading][0] in rows]
    for heading in headings:
        if CELLS[heading][0] in rows:
            table.add_column(heading, justify="left" if heading in LEFT else "right")
    for row in rows.to_dict("records"):
        table.add_row(*(form.format(row[column]) for column, form in shown))
    return table
