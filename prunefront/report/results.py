"""Everything that the page shows, read from the files of a run and checked to belong together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from prunefront.common.files import read_json
from prunefront.common.params import TRAINED, Params
from prunefront.export.results import read_exports
from prunefront.frontier.confusion import read_confusion
from prunefront.frontier.intervals import ALL, of_points, read_intervals
from prunefront.frontier.names import method_name
from prunefront.frontier.summary import Summary, read_summary
from prunefront.pipeline.store import INTERVALS, load_result, load_rows, weights_folder
from prunefront.report.layers import read_layers
from prunefront.training.curves import curves_file, read_curves

BOUNDS = ("val_low", "val_high", "test_low", "test_high")


class Prepared(BaseModel):
    """How many classes and examples there are, as `metrics/prepare.json` has it."""

    model_config = ConfigDict(extra="ignore")

    classes: int
    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Results:
    """A run's results.

    Attributes:
        params: that it ran with.
        summary: the submitted point and the dense network.
        dense: the row of the dense network of the submitted point's seed.
        points: a row per operating point, with `name`, what people call its method, and where there are intervals
            their bounds, `told_apart` and `wins`.
        means: a row per method and level, the means over the seeds, with `val_low` and `val_high` if there are
            intervals.
        layers: a row per operating point and layer, see `read_layers`; empty without the files.
        curves: a row per epoch of every fit, see `read_curves`, with `stage`, `name` and `seed`.
        confusion: see `read_confusion`.
        exports: see `read_exports`.
        prepared: counts of the data; None without the file.
    """

    params: Params
    summary: Summary
    dense: pd.Series
    points: pd.DataFrame
    means: pd.DataFrame
    layers: pd.DataFrame
    curves: pd.DataFrame
    confusion: dict[tuple[str, str], tuple[list[str], np.ndarray]] | None
    exports: pd.DataFrame | None
    prepared: Prepared | None

    @property
    def sure(self) -> bool:
        """Whether there are intervals."""
        return "val_low" in self.points

    @property
    def chosen(self) -> pd.Series | None:
        """The row of the submitted point; None where that is the dense network."""
        submitted = self.summary.submitted
        same = self.points["method"] == submitted.method
        same &= (self.points["seed"] == submitted.seed) & (self.points["target_sparsity"] == submitted.target_sparsity)
        return self.points[same].iloc[0] if same.any() else None

    @property
    def submitted(self) -> pd.Series:
        """The row of what was submitted, the dense network's too."""
        chosen = self.chosen
        return self.dense if chosen is None else chosen


def read_results(params: Params) -> Results:
    """Reads what the stages of a run have left; what a run may lack is left out.

    Raises:
        InputError: the run is not complete, a file is damaged, or files are not of one run.
    """
    points, summary = load_result(), read_summary()
    points = points.assign(name=points["method"].map(method_name))
    means = _means(points)
    if INTERVALS.exists():
        points, means = _with_intervals(points, means, read_intervals())
    prepared = Path("metrics/prepare.json")
    return Results(
        params=params,
        summary=summary,
        dense=load_rows("baseline", summary.baseline.seed, params.levels("baseline")).iloc[0],
        points=points,
        means=means,
        layers=read_layers(points),
        curves=_curves(params),
        confusion=read_confusion(),
        exports=read_exports(),
        prepared=read_json(prepared, Prepared) if prepared.exists() else None,
    )


def _means(points: pd.DataFrame) -> pd.DataFrame:
    """The means over the seeds of each method and level, in the order of the points."""
    keys = ["method", "name", "target_sparsity", "eligible"]
    numbers = points.drop(columns=["seed"]).select_dtypes("number").columns.difference(keys)
    return points.groupby(keys, sort=False)[list(numbers)].mean().reset_index()


def _with_intervals(
    points: pd.DataFrame, means: pd.DataFrame, intervals: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points and means with their intervals. Raises InputError if these are of other points."""
    each, columns = of_points(points, intervals), [*BOUNDS, "p_value", "told_apart", "wins"]
    of_all = intervals[intervals["seeds"] == ALL]
    bounds = (of_all if len(of_all) else each)[["method", "target_sparsity", *BOUNDS]]
    return points.join(each[columns]), means.merge(bounds, "left", ["method", "target_sparsity"])


def _curves(params: Params) -> pd.DataFrame:
    tables = []
    for stage in TRAINED:
        for seed in params.seeds_of(stage) if params.levels(stage) else ():
            path = curves_file(weights_folder(stage, seed))
            if path.exists():
                tables.append(read_curves(path).assign(stage=stage, name=method_name(stage), seed=seed))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
