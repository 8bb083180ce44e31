"""What the dense and the submitted network take each class for, as a table of counts."""

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError, cause
from prunefront.common.files import replacing
from prunefront.pipeline.store import CONFUSION

COLUMNS = ("network", "split", "label", "answer", "examples")
NETWORKS = ("dense", "submitted")


def counted(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """How often each class was taken for each.

    Args:
        labels, answers: shape (n,), classes numbered from 0.
        classes: how many there are.

    Returns:
        Shape (classes, classes), int64: labels down, answers across. Its sum is n, its trace the right answers.
    """
    return np.bincount(labels * classes + answers, minlength=classes * classes).reshape(classes, classes)


def rows_of(network: str, split: str, counts: np.ndarray, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The rows of a matrix: the diagonal whole, which names every class in its order, of the rest what is not 0."""
    label, answer = np.nonzero((counts > 0) | np.eye(len(counts), dtype=bool))
    return [(network, split, names[i], names[j], str(counts[i, j])) for i, j in zip(label, answer, strict=True)]


def write_confusion(rows: list[tuple[str, ...]]) -> None:
    """Writes the rows of all matrices."""
    with replacing(CONFUSION) as partial:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(partial, index=False, lineterminator="\n")


def read_confusion() -> dict[tuple[str, str], tuple[list[str], np.ndarray]] | None:
    """For each network and split the names of the classes and the counts, see `counted`; None without the file.

    Raises:
        InputError: it is damaged.
    """
    if not CONFUSION.exists():
        return None
    try:
        table = pd.read_csv(CONFUSION, dtype=dict.fromkeys(COLUMNS[:4], str) | {"examples": int}, keep_default_na=False)
        matrices = {}
        for (network, split), rows in table.groupby(["network", "split"], sort=False):
            names = rows.loc[rows["label"] == rows["answer"], "label"].tolist()
            number = {name: i for i, name in enumerate(names)}
            counts = np.zeros((len(names), len(names)), np.int64)
            counts[rows["label"].map(number), rows["answer"].map(number)] = rows["examples"]
            matrices[str(network), str(split)] = names, counts
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{CONFUSION}: expected the columns {', '.join(COLUMNS)}; run `dvc repro`. Received: {cause(error)}"
        ) from None
    return matrices
