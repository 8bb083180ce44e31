"""Operating points on disk: a folder of weight files, one per level, and one row per point.

`models/STAGE/SEED/s97_5.weights.h5` holds the point of stage STAGE at the target sparsity 0.975, and
`metrics/STAGE/SEED.csv` the rows of all its points.
"""

import re
import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, NonNegativeFloat, NonNegativeInt

from prunefront.common.errors import InputError
from prunefront.common.files import digest, read_json, replacing, replacing_folder, write_json
from prunefront.common.provenance import provenance_file
from prunefront.models.weights import load_weights
from prunefront.pipeline.points import COLUMNS, COSTS, FRONTIER_COLUMNS, read_points
from prunefront.pruning.masks import Weights

FRONTIER = Path("metrics/frontier.csv")
SUMMARY = Path("metrics/pareto.json")
PICTURE = Path("metrics/pareto.png")
INTERVALS = Path("metrics/intervals.csv")
SENSITIVITY = Path("metrics/sensitivity.png")
CONFUSION = Path("metrics/confusion.csv")
REPORT = Path("metrics/report.html")
SUBMITTED = Path("models/submitted.weights.h5")
RESULTS = (FRONTIER, INTERVALS, CONFUSION, SUMMARY, PICTURE, SENSITIVITY)
"""What the last stage writes to be read: all of it is published, and belongs to one run."""
PREPARATION = Path("metrics/prepare.json")
CORRECT = Path("models/correct.npz")


def level_name(level: float) -> str:
    """A level as a name without dots, which would nest in DVC: 0.9 is `s90`, 0.975 is `s97_5`."""
    return "s" + f"{level * 100:.10g}".replace(".", "_")


def weights_folder(stage: str, seed: int) -> Path:
    return Path("models") / stage / str(seed)


def weights_file(stage: str, seed: int, level: float) -> Path:
    return weights_folder(stage, seed) / f"{level_name(level)}.weights.h5"


def kept_file(folder: Path) -> Path:
    """The file of weights that are no operating point, in a folder such as `models/baseline_early/SEED`."""
    return folder / "kept.weights.h5"


def rows_file(stage: str, seed: int) -> Path:
    return Path("metrics") / stage / f"{seed}.csv"


def cost_file(stage: str, seed: int) -> Path:
    """What the stage's last run spent; it differs from run to run, and neither Git nor DVC tracks it."""
    return Path("costs") / stage / f"{seed}.json"


class Spent(BaseModel, allow_inf_nan=False):
    """What a stage's last run spent, see `trainer.Cost`, and the digest of the rows that it wrote."""

    rows_sha256: str
    epochs: NonNegativeInt
    images: NonNegativeInt = 0
    forward_passes: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0


def load_cost(stage: str, seed: int) -> Spent | None:
    """What a stage spent on its present results; None where another machine made them, or a run before them.

    Raises:
        InputError: the file is damaged.
    """
    path, rows = cost_file(stage, seed), rows_file(stage, seed)
    if not (path.exists() and rows.exists()):
        return None
    spent = read_json(path, Spent)
    return spent if spent.rows_sha256 == digest(rows) else None


def summary_file(stage: str) -> Path:
    return Path("metrics") / f"{stage}.json"


def done_file(stage: str, seed: int) -> Path:
    """What the results of a seed were made from, see `done.made_from`; it lies beside the cost."""
    return cost_file(stage, seed).with_suffix(".done.json")


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
            f"`prunefront {stage} --seed {seed}`. Received: {len(stored)} weight files"
        )
    return max(below), load_weights(stored[max(below)])


def load_kept(name: str, seed: int) -> Weights:
    """The weights that a stage kept under a name. Raises InputError if it has not run, or kept none."""
    path = kept_file(weights_folder(name, seed))
    if not path.exists():
        raise InputError(f"Expected weights that an earlier stage keeps; run `dvc repro`. Received: no file {path}")
    return load_weights(path)


def load_rows(stage: str, seed: int, levels: Sequence[float]) -> pd.DataFrame:
    """The rows of a stage's operating points, with the columns of `COLUMNS`.

    Args:
        stage: its name.
        seed: the replicate.
        levels: target sparsities, of each of which there has to be a row.

    Raises:
        InputError: the file is missing, damaged, or of other points.
    """
    path = rows_file(stage, seed)
    again = f"run `dvc repro`, or first `prunefront {stage} --seed {seed}`"
    if not path.exists():
        raise InputError(f"Expected the results of stage {stage} for seed {seed}; {again}. Received: no file {path}")
    rows = read_points(path, COLUMNS)
    received = list(zip(rows["method"], rows["seed"], map(level_name, rows["target_sparsity"]), strict=True))
    if received != [(stage, seed, level_name(level)) for level in levels]:
        raise InputError(
            f"{path}: expected a row of {stage}, seed {seed}, for each of its levels, {', '.join(map(str, levels))}; "
            f"{again}. Received: {len(rows)} rows, {', '.join(map(str, rows['target_sparsity']))}"
        )
    return rows


def load_result() -> pd.DataFrame:
    """The rows of all methods together, as the last stage wrote them; those of earlier versions lack the costs.

    Raises:
        InputError: it has not run, or the file is damaged.
    """
    if not FRONTIER.exists():
        raise InputError(f"Expected results in {FRONTIER} and {SUMMARY}; run `dvc repro`. Received: no {FRONTIER}")
    return read_points(FRONTIER, [name for name in FRONTIER_COLUMNS if name not in COSTS], COSTS)


def write_rows(stage: str, seed: int, rows: pd.DataFrame, cost: dict[str, float]) -> None:
    """Writes the rows of a stage's points, and what they cost."""
    path = rows_file(stage, seed)
    with replacing(path) as partial:
        rows.to_csv(partial, index=False, lineterminator="\n")
    write_json(cost_file(stage, seed), {"rows_sha256": digest(path), **cost})


def write_no_points(stage: str, seed: int) -> None:
    """The empty results of a method that is left out."""
    with replacing_folder(weights_folder(stage, seed)):
        write_rows(stage, seed, pd.DataFrame(columns=COLUMNS), {"epochs": 0})
        provenance_file(rows_file(stage, seed)).unlink(missing_ok=True)


def drop_other_seeds(names: Iterable[str], seeds: Collection[int]) -> None:
    """Deletes results of seeds that are no more among the parameters': what a stage leaves follows from those alone.

    Args:
        names: of folders in `models/` and `metrics/`.
        seeds: that stay.
    """
    for path in other_seeds(names, seeds):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def other_seeds(names: Iterable[str], seeds: Collection[int]) -> list[Path]:
    """The results of other seeds than these in folders of these names in `models/` and `metrics/`."""
    stay = {name for seed in seeds for name in (str(seed), f"{seed}.csv", f"{seed}.provenance.json")}
    paths = [path for name in names for top in ("models", "metrics") for path in (Path(top) / name).glob("[0-9]*")]
    return [p for p in paths if re.fullmatch(r"\d+(\.csv|\.provenance\.json)?", p.name) and p.name not in stay]


def write_summary(stage: str, seeds: Sequence[int]) -> None:
    """A stage's rows as a few scalars for `dvc metrics`: of each the mean over those seeds that have rows."""
    paths = [rows_file(stage, seed) for seed in seeds]
    tables = [read_points(path, COLUMNS) for path in paths if path.exists()]
    each = pd.DataFrame([_summary(rows) for rows in tables if not rows.empty])
    points = {"seeds": len(each), "points": sum(len(rows) for rows in tables)}
    write_json(summary_file(stage), points | {str(name): float(mean) for name, mean in each.mean().items()})


def _summary(rows: pd.DataFrame) -> dict[str, float]:
    sparsest = rows.iloc[int(rows["sparsity"].argmax())]
    return {
        "val_accuracy_best": rows["val_accuracy"].max(),
        "val_accuracy_mean": rows["val_accuracy"].mean(),
        "val_accuracy_sparsest": sparsest["val_accuracy"],
        "sparsity_max": sparsest["sparsity"],
    }


def _level(path: Path) -> float:
    """The level that a weight file is of. Raises InputError if it is of none."""
    number = re.fullmatch(r"s(\d{1,2}(_\d+)?)\.weights\.h5", path.name)
    if number is None:
        raise InputError(f"{path.parent}: expected weight files of a stage, and no others. Received: {path.name}")
    return float(number[1].replace("_", ".")) / 100
