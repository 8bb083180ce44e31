"""The last step: all methods' points to one frontier, the submitted weights, and the one look at the test split."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.files import alone, digest, replacing, write_json
from prunefront.common.params import METHODS, NULL_BASELINES, STAGES, Params
from prunefront.common.provenance import provenance_file, read_provenance
from prunefront.data.splits import Split, read_class_names, read_labels
from prunefront.frontier.figures import draw_frontier
from prunefront.frontier.pareto import hypervolumes, scored, select
from prunefront.frontier.summary import Dense, Majority, Submitted, Summary, Zeros
from prunefront.models.certificate import certify
from prunefront.models.weights import load_weights
from prunefront.pipeline.points import COUNTED_OVER
from prunefront.pipeline.run import Run
from prunefront.pipeline.store import (
    FRONTIER,
    PICTURE,
    PREPARATION,
    SUBMITTED,
    SUMMARY,
    load_rows,
    rows_file,
    weights_file,
)
from prunefront.training.trainer import evaluate


def load_frontier(params: Params) -> pd.DataFrame:
    """The scored operating points of the methods with levels and of the seeds in the parameters, and of no others.

    Null baselines come last. They are neither on the frontier nor eligible: they show what the methods are worth.

    Raises:
        InputError: no method has any operating point, or results are missing or damaged.
    """
    gate, axis = params.pareto.gate, params.pareto.axis
    methods = _rows(METHODS, params)
    if methods is None:
        raise InputError(
            "Expected an operating point of at least one method; run `dvc repro`. Received: none in the results of "
            f"{', '.join(METHODS)}"
        )
    points = scored(methods, gate, axis).assign(eligible=True)
    null = _rows(NULL_BASELINES, params)
    if null is None:
        return points
    shown = scored(null, gate, axis).assign(on_frontier=False, eligible=False)
    return pd.concat([points, shown], ignore_index=True)


def _rows(stages: Sequence[str], params: Params) -> pd.DataFrame | None:
    levels = {stage: params.levels(stage) for stage in stages if params.levels(stage)}
    tables = [load_rows(stage, seed, levels[stage]) for stage in levels for seed in params.seeds]
    return pd.concat(tables, ignore_index=True) if tables else None


def load_baselines(params: Params) -> pd.DataFrame:
    """The row of each seed's dense network. Raises InputError if one is missing or damaged."""
    tables = [load_rows("baseline", seed, params.levels("baseline")) for seed in params.seeds]
    return pd.concat(tables, ignore_index=True)


def choose(points: pd.DataFrame, baselines: pd.DataFrame) -> tuple[pd.Series, bool]:
    """The row to submit, and whether it lies above the gate.

    Where no operating point is above the gate, the most accurate dense network is submitted: nothing pruned was good
    enough, and the row says so (sparsity of the baseline, score 0).
    """
    chosen = select(points[points["eligible"]])
    if chosen is not None:
        return chosen, True
    return baselines.assign(score=0.0).iloc[int(baselines["val_accuracy"].argmax())], False


def majority(run: Run, test: Split) -> Majority:
    """What a network that always answers with the commonest class of the training split gets right."""
    largest = int(np.bincount(read_labels("train")).argmax())
    right = [float((split.y == largest).mean()) for split in (run.validation, test)]
    return Majority(name=read_class_names()[largest], val_accuracy=right[0], test_accuracy=right[1])


def noted_warnings(params: Params) -> list[str]:
    """What the stages before this one said of their results, each line once."""
    results = [PREPARATION, *(rows_file(s, seed) for s in ("baseline", *STAGES) for seed in params.seeds)]
    noted = [read_provenance(path, "") for path in results if provenance_file(path).exists()]
    return list(dict.fromkeys(line for one in noted for line in one.warnings))


def submit(run: Run, points: pd.DataFrame, chosen: pd.Series, above_gate: bool, warnings: Sequence[str] = ()) -> None:
    """Reads the test split, after the choice, for every point and the dense baseline, and writes every result.

    Args:
        run: of the chosen point's seed.
        points: all scored operating points.
        chosen: the row to submit.
        above_gate: whether it is above the accuracy gate.
        warnings: what is to be said beside the results, a line each.

    Raises:
        InputError: the weights on disk are not those that the row was measured on.
    """
    dense = load_rows("baseline", run.seed, run.params.levels("baseline")).iloc[0]
    test, model, axis = run.read("test"), run.model, run.params.pareto.axis

    def tested(row: pd.Series) -> float:
        model.set_weights(load_weights(_measured(row)))
        accuracy, _ = evaluate(model, test)
        return accuracy

    source = _measured(chosen)
    accuracy, dense_accuracy = tested(chosen), tested(dense)
    points = points.assign(test_accuracy=[tested(row) for _, row in points.iterrows()])

    summary = Summary(
        submitted=Submitted(
            method=str(chosen["method"]),
            seed=int(chosen["seed"]),
            above_gate=above_gate,
            target_sparsity=float(chosen["target_sparsity"]),
            sparsity=float(chosen["sparsity"]),
            nonzero=int(chosen["nonzero"]),
            val_accuracy=float(chosen["val_accuracy"]),
            score=float(chosen["score"]),
            test_accuracy=accuracy,
            ledger={
                **{
                    kind: Zeros(zeros=int(chosen[f"{kind}_zeros"]), parameters=int(chosen[f"{kind}_parameters"]))
                    for kind in COUNTED_OVER
                },
                "effective": Zeros(
                    zeros=int(chosen["effective_zeros"]), parameters=int(chosen["trainable_parameters"])
                ),
            },
        ),
        baseline=Dense(seed=run.seed, val_accuracy=float(dense["val_accuracy"]), test_accuracy=dense_accuracy),
        axis=axis,
        hypervolume=hypervolumes(points, axis),
        majority=majority(run, test),
        warnings=list(warnings),
    )
    with alone(SUMMARY.with_suffix("")):  # for all files together: they belong to one run
        with replacing(SUBMITTED) as partial:
            shutil.copyfile(source, partial)
        certify(SUBMITTED)
        with replacing(FRONTIER) as partial:
            points.to_csv(partial, index=False, lineterminator="\n")
        draw_frontier(points, run.params.pareto.gate, chosen, PICTURE, axis)
        write_json(SUMMARY, summary.model_dump())


def _measured(row: pd.Series) -> Path:
    """The weight file of a row, after a check that it is the one that the row was measured on."""
    path = weights_file(row["method"], row["seed"], row["target_sparsity"])
    received = digest(path) if path.exists() else "no such file"
    if received != row["weights_sha256"]:
        raise InputError(
            f"Expected {path} to be the weights behind the metrics, with SHA-256 {row['weights_sha256']}; "
            f"run `dvc repro`. Received: {received}"
        )
    return path
