"""Training curves: what each epoch of each fit of a stage came to, as a table beside the stage's weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from prunefront.common.errors import InputError, cause
from prunefront.common.files import replacing


class Epoch(NamedTuple):
    """One epoch of a fit, as Keras reports it.

    Attributes:
        loss: mean of the training loss over the epoch's steps, while the weights change.
        accuracy: share of the training examples that were right in them, in [0, 1].
        val_loss: mean loss on the validation split after the epoch, with the same terms.
        val_accuracy: share of the validation split, in [0, 1].
        learning_rate: of the optimizer after the epoch's last step.
    """

    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float


Curves = list[tuple[str, Sequence[Epoch]]]
"""(what a fit was for, its epochs), in the order of the fits."""

COLUMNS = ("fit", "epoch", *Epoch._fields)


def curves_file(folder: Path) -> Path:
    """The file in the folder of a stage's weights; a stage that trains nothing has none."""
    return folder / "curves.csv"


def write_curves(path: Path, curves: Curves) -> None:
    """Writes a row per epoch, numbered from 1; nine digits, as many as tell all float32 apart."""
    rows = [(fit, number, *epoch) for fit, epochs in curves for number, epoch in enumerate(epochs, start=1)]
    with replacing(path) as partial:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(partial, index=False, lineterminator="\n", float_format="%.9g")


def read_curves(path: Path) -> pd.DataFrame:
    """The table that `write_curves` wrote, with the columns of `COLUMNS`. Raises InputError if it is damaged."""
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(Epoch._fields, float) | {"fit": str, "epoch": int})
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected training curves; run `dvc repro`. Received: {cause(error)}") from None
    if tuple(table.columns) != COLUMNS:
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)}; run `dvc repro`. Received: {', '.join(table.columns)}"
        )
    return table
