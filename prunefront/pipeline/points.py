"""Tables of operating points, read from CSV files and checked: no cell is taken on trust."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from prunefront.common.errors import InputError, cause

COUNTED_OVER = ("kernel", "prunable", "trainable", "all")
"""What zeros are counted over, see `counts.Counts`."""

COSTS = [
    "effective_zeros",
    "multiply_adds",
    "multiply_adds_compacted",
    "multiply_adds_nonzero",
    "bytes_lossless",
    "bytes_bfloat16",
    "bytes_int8",
    "val_accuracy_bfloat16",
    "val_accuracy_int8",
]
"""What the network of a row costs to store and to run, see `costs.Costs`; results of earlier versions lack them."""

COLUMNS = [
    "method",
    "seed",
    "target_sparsity",
    "sparsity",
    "nonzero",
    "parameters",
    "val_accuracy",
    "val_loss",
    "weights_sha256",
    *(f"{kind}_{counts}" for kind in COUNTED_OVER for counts in ("zeros", "parameters")),
    *COSTS,
]
"""Of a stage's rows."""
FRONTIER_COLUMNS = [*COLUMNS, "score", "on_frontier", "eligible", "test_accuracy"]
"""Of the rows of all methods together."""

TEXTS = {"method", "weights_sha256", "seeds"}
SHARES = {"target_sparsity", "sparsity", "val_accuracy", "test_accuracy", "score"}
SHARES |= {"val_accuracy_bfloat16", "val_accuracy_int8"}
SHARES |= {"val_low", "val_high", "test_low", "test_high", "p_value"}
FLAGS = {"on_frontier", "eligible", "told_apart"}
NUMBERS = {"val_loss"}
DIFFERENCES = {"behind", "behind_low", "behind_high"}
SHARES_OR_NONE = {"wins"}
"""What the columns hold, differences of shares and shares with gaps among them; all others whole numbers from 0."""


def read_points(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of a table, with the columns that are asked for, those that are needed first.

    Args:
        path: a CSV file with a heading.
        needed: names of columns.
        optional: names of columns that may be absent.

    Returns:
        No gaps; shares in [0, 1], whole numbers from 0, finite numbers, flags and texts, as the columns' names say.

    Raises:
        InputError: the file is missing or damaged, a column is absent, or a cell does not hold what its column should.
    """
    expected = f"{path}: expected rows with the columns {', '.join(needed)}, numbers but for names, without gaps"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading = [name for name in next(csv.reader(file), []) if name]
        columns = [name for name in (*needed, *optional) if name in heading]
        absent = [name for name in needed if name not in heading]
        if absent or len(set(heading)) < len(heading):  # pandas takes minutes to tell apart columns of one name
            what = f"none {absent[0]}" if absent else "columns of one name"
            raise InputError(f"{expected}. Received: {what} among {len(heading)} columns")
        types = {name: str for name in columns if name in TEXTS}
        rows = pd.read_csv(path, usecols=columns, dtype=types, keep_default_na=False, na_values=[""], low_memory=False)
        for name in columns:
            right = _right(rows[name], name)
            if not right.all():
                row = int((~right).to_numpy().argmax())
                raise InputError(f"{expected}. Received: {name} {str(rows[name].iloc[row])[:40]!r} in row {row + 1}")
    except FileNotFoundError:
        raise InputError(f"{expected}. Received: no such file") from None
    except InputError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(f"{expected}. Received: a damaged or different file ({cause(error)})") from None
    return rows[columns]


def _right(column: "pd.Series", name: str) -> "pd.Series":
    """For each cell whether it holds what a column of that name should."""
    if name in TEXTS:
        return column.notna()
    if name in FLAGS:
        return column.isin([True, False]) & pd.api.types.is_bool_dtype(column)
    if pd.api.types.is_bool_dtype(column):
        return column.isna()
    numbers = pd.to_numeric(column, errors="coerce")
    if name in SHARES:
        return numbers.between(0, 1)
    if name in DIFFERENCES:
        return numbers.between(-1, 1)
    if name in SHARES_OR_NONE:
        return numbers.between(0, 1) | column.isna()
    finite = numbers.between(-1e308, 1e308)
    return finite if name in NUMBERS else finite & (numbers >= 0) & (numbers % 1 == 0)
