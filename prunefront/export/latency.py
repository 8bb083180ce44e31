"""The table that `prunefront bench` writes; it differs from run to run, and neither Git nor DVC tracks it."""

from pathlib import Path

import pandas as pd

from prunefront.export.results import read_table
from prunefront.pipeline.store import SUBMITTED

LATENCY = Path("costs/latency.csv")
COLUMNS = [
    "model",
    "format",
    "batch",
    "threads",
    "milliseconds",
    "ratio",
    "ratio_low",
    "ratio_high",
    "rounds",
    "submitted_sha256",
]
"""`milliseconds` is the median over the rounds of the time of a batch; `ratio` that of the time of the dense network in
LiteRT float32 over it, in the same round, of as large a batch on as many threads; low and high are the extremes."""
BATCHES = (1, 64)
THREADS = (1, 2)


def read_latency() -> pd.DataFrame | None:
    """The rows of `prunefront bench`, None if it has not run, or not for the submitted weights as they are now."""
    return read_table(LATENCY, COLUMNS, SUBMITTED, "submitted_sha256")
