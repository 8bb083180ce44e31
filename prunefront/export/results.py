"""What the stage `export` leaves: a folder of files and a table of them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from prunefront.common.errors import InputError, cause
from prunefront.common.files import digest, replacing, replacing_folder
from prunefront.pipeline.store import SUBMITTED

FOLDER = Path("exports")
TABLE = Path("metrics/exports.csv")
STEM = "submitted"
COLUMNS = [
    "format",
    "file",
    "bytes",
    "bytes_gzip",
    "bytes_zstd",
    "parameters",
    "zeros",
    "val_accuracy",
    "test_accuracy",
    "largest_difference",
    "weights_sha256",
]
"""Sizes in bytes, of C with the header; numbers and zeros among the weights in the file; accuracies in [0, 1]; the
largest difference between an output and the model's, as a share of the outputs' scale, rounded up to one digit and no
less than 1e-5, these three empty where nothing could run the file; the digest of the weight file behind it."""


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes rows with the columns of `COLUMNS`."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def write_no_exports() -> None:
    """The empty results where no format is asked for."""
    with replacing_folder(FOLDER):
        write_table(TABLE, pd.DataFrame(columns=COLUMNS))


def read_table(path: Path, columns: Sequence[str], weights: Path, digests: str) -> pd.DataFrame | None:
    """A table that a command wrote about weights.

    Args:
        path: of a CSV file.
        columns: that it has.
        weights: the file that it should be about.
        digests: the column with the digest of the file that it is about.

    Returns:
        The rows; None if there is no file, or one about other weights.

    Raises:
        InputError: the file is damaged.
    """
    if not (path.exists() and weights.exists()):
        return None
    try:
        table = pd.read_csv(path)
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(f"{path}: expected a table; make it again. Received: {cause(error)}") from None
    absent = [name for name in columns if name not in table]
    if absent:
        raise InputError(f"{path}: expected the columns {', '.join(columns)}; make it again. Received: no {absent[0]}")
    return table[list(columns)] if (table[digests] == digest(weights)).all() else None


def read_exports() -> pd.DataFrame | None:
    """The rows of the stage `export`, None if it has not run for the submitted weights as they are now."""
    return read_table(TABLE, COLUMNS, SUBMITTED, "weights_sha256")


def described(table: pd.DataFrame) -> list[str]:
    """Each row of an export table as a line."""
    lines = []
    for row in table.to_dict("records"):
        tried = "not run"
        if row["val_accuracy"] == row["val_accuracy"]:
            tried = (
                f"validation accuracy {row['val_accuracy']:.4f}, test accuracy {row['test_accuracy']:.4f}, outputs "
                f"within {row['largest_difference']:.0e} of their scale"
            )
        sizes = f"{row['bytes']:,} bytes ({row['bytes_zstd']:,} with zstd)"
        zeros = f"{row['zeros']:,} of {row['parameters']:,} weights zero"
        lines.append(f"{row['format']}: {row['file']}, {sizes}, {zeros}, {tried}")
    return lines
