"""Operating points on disk: a folder of weight files, one per level, and one row per point.

`models/STAGE/SEED/s97_5.weights.h5` holds the point of stage STAGE at the target sparsity 0.975, and
`metrics/STAGE/SEED.csv` the rows of all its points.
"""

from pathlib import Path

import pandas as pd

from prunefront.errors import InputError
from prunefront.masks import Weights
from prunefront.weights import load_weights

FRONTIER = Path("metrics/frontier.csv")
SUMMARY = Path("metrics/pareto.json")
PICTURE = Path("metrics/pareto.png")
SUBMITTED = Path("models/submitted.weights.h5")

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
]


def level_name(level: float) -> str:
    """A level as a name without dots, which would nest in DVC: 0.9 is `s90`, 0.975 is `s97_5`."""
    return "s" + f"{level * 100:.10g}".replace(".", "_")


def weights_folder(stage: str, seed: int) -> Path:
    return Path("models") / stage / str(seed)


def weights_file(stage: str, seed: int, level: float) -> Path:
    return weights_folder(stage, seed) / f"{level_name(level)}.weights.h5"


def rows_file(stage: str, seed: int) -> Path:
    return Path("metrics") / stage / f"{seed}.csv"


def cost_file(stage: str, seed: int) -> Path:
    """What the stage's last run spent; it differs from run to run, and neither Git nor DVC tracks it."""
    return Path("costs") / stage / f"{seed}.json"


def unfinished_folder(stage: str, seed: int) -> Path:
    """Where a stage that trains keeps the fits that it has finished, until it is complete."""
    return Path("unfinished") / stage / str(seed)


def load_nearest(stage: str, seed: int, level: float) -> tuple[float, Weights]:
    """The stage's point at `level`, or at the highest level below it, as (level, weights).

    Raises:
        InputError: the stage has no such point: it has not run, or starts above `level`.
    """
    folder = weights_folder(stage, seed)
    stored = {_level(path): path for path in folder.glob("s*.weights.h5")}
    below = [candidate for candidate in stored if candidate <= level]
    if not below:
        raise InputError(
            f"Expected weights in {folder} at sparsity {level} or below; run `dvc repro`, or first "
            f"`python -m stages.{stage} --seed {seed}`. Received: {len(stored)} weight files"
        )
    return max(below), load_weights(stored[max(below)])


def load_rows(stage: str, seed: int) -> pd.DataFrame:
    """The rows of a stage's operating points, with the columns of `COLUMNS`; none if its levels are empty.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = rows_file(stage, seed)
    try:
        rows = pd.read_csv(path, dtype={"method": str})
    except FileNotFoundError:
        raise InputError(
            f"Expected the results of stage {stage} for seed {seed}; run `dvc repro`, or first "
            f"`python -m stages.{stage} --seed {seed}`. Received: no file {path}"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a CSV file of operating points. Received: {error}") from None
    if list(rows.columns) != COLUMNS or rows.isna().to_numpy().any():
        raise InputError(
            f"{path}: expected a row per operating point with the columns {', '.join(COLUMNS)} and no gaps. "
            f"Received: {len(rows)} rows with {', '.join(rows.columns)}"
        )
    return rows


def _level(path: Path) -> float:
    return float(path.name.removesuffix(".weights.h5")[1:].replace("_", ".")) / 100
