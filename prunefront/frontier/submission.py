"""The last step: all methods' points to one frontier, the submitted weights, and the one look at the test split."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.files import alone, digest, replacing, write_json
from prunefront.common.params import METHODS, NULL_BASELINES, TRAINED, Params
from prunefront.common.provenance import provenance_file, read_provenance
from prunefront.common.sections import Pareto
from prunefront.data.splits import Split, read_class_names, read_labels, read_split
from prunefront.frontier.confusion import NETWORKS, counted, rows_of, write_confusion
from prunefront.frontier.figures import draw_frontier
from prunefront.frontier.intervals import tabulate
from prunefront.frontier.judgement import judge_optimism, list_changes, list_wins
from prunefront.frontier.pareto import hypervolumes, scored
from prunefront.frontier.selection import NOBODY, Selection, outlook
from prunefront.frontier.sensitivity import draw_sensitivity
from prunefront.frontier.summary import Dense, Majority, Submitted, Summary, Zeros, made_with
from prunefront.models.certificate import certify
from prunefront.models.pinned import unpinned
from prunefront.models.weights import load_weights
from prunefront.pipeline.correct import correct_file, read_correct, refused, write_correct
from prunefront.pipeline.points import COUNTED_OVER
from prunefront.pipeline.run import Run
from prunefront.pipeline.store import (
    CORRECT,
    FRONTIER,
    INTERVALS,
    PICTURE,
    PREPARATION,
    SENSITIVITY,
    SUBMITTED,
    SUMMARY,
    load_rows,
    rows_file,
    weights_file,
)
from prunefront.training.trainer import answers, evaluate_each, share

KEY = ("method", "seed", "target_sparsity")
"""What tells rows apart."""


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


def load_right(rows: pd.DataFrame) -> np.ndarray:
    """Which validation examples each row's network gets right, shape (rows, n), bool.

    Raises:
        InputError: the data are not prepared, or a file is missing, damaged, or not about these weights and examples.
    """
    y, found = read_split("validation").y, []
    for _, row in rows.iterrows():
        path = correct_file(row["method"], row["seed"], row["target_sparsity"])
        right = read_correct(path, y, [row["weights_sha256"]])[0]
        if share(right) != row["val_accuracy"]:
            raise refused(path, f"an accuracy of {share(right)}, where the metrics have {row['val_accuracy']}")
        found.append(right)
    return np.stack(found)


def select_among(points: pd.DataFrame, right: np.ndarray, settings: Pareto) -> Selection:
    """The selection among the points that may be submitted, which come first.

    Args:
        points: see `load_frontier`.
        right: see `load_right`; further rows count for nothing.
        settings: gate and rule.
    """
    eligible = points[points["eligible"]]
    return Selection(right[: len(eligible)], eligible["sparsity"].to_numpy(), settings.gate, settings.rule)


def choose(points: pd.DataFrame, baselines: pd.DataFrame, settings: Pareto) -> tuple[pd.Series, bool]:
    """The row to submit, and whether it lies above the gate.

    Where no operating point is above the gate, the most accurate dense network is submitted: nothing pruned was good
    enough, and the row says so (sparsity of the baseline, score 0).

    Args:
        points: see `load_frontier`.
        baselines: the rows of the dense networks.
        settings: gate and rule.

    Raises:
        InputError: see `load_right`.
    """
    winner = select_among(points, load_right(points), settings).winner()
    if winner != NOBODY:
        return points.iloc[winner], True
    return _most_accurate(baselines), False


def _most_accurate(baselines: pd.DataFrame) -> pd.Series:
    return baselines.assign(score=0.0).iloc[int(baselines["val_accuracy"].argmax())]


def majority(run: Run, test: Split) -> Majority:
    """What a network that always answers with the commonest class of the training split gets right."""
    largest = int(np.bincount(read_labels("train")).argmax())
    right = [float((split.y == largest).mean()) for split in (run.validation, test)]
    return Majority(name=read_class_names()[largest], val_accuracy=right[0], test_accuracy=right[1])


def noted_warnings(params: Params) -> list[str]:
    """What the stages before this one said of their results, each line once."""
    results = [PREPARATION, *(rows_file(s, seed) for s in TRAINED for seed in params.seeds_of(s))]
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
    settings, baselines = run.params.pareto, load_baselines(run.params)
    networks = pd.concat([points, baselines], ignore_index=True)
    right, test, source = load_right(networks), run.read("test"), _measured(chosen)
    tested = np.stack([_evaluated(run, row, test) for _, row in networks.iterrows()])
    accuracies = pd.Series([share(one) for one in tested], pd.MultiIndex.from_frame(networks[list(KEY)]))
    points = points.assign(test_accuracy=accuracies.to_numpy()[: len(points)])
    dense = baselines[baselines["seed"] == run.seed].iloc[0]
    accuracy, dense_accuracy = (float(accuracies[tuple(row[list(KEY)])]) for row in (chosen, dense))
    selection = select_among(points, right, settings)
    foreseen = outlook(selection)
    intervals = tabulate(points, foreseen.wins, chosen, baselines, right, tested)
    common = majority(run, test)

    summary = Summary(
        submitted=_submitted(chosen, above_gate, accuracy),
        baseline=Dense(seed=run.seed, val_accuracy=float(dense["val_accuracy"]), test_accuracy=dense_accuracy),
        axis=settings.axis,
        hypervolume=hypervolumes(points, settings.axis),
        rule=settings.rule,
        optimism=judge_optimism(foreseen, chosen, accuracy, settings) if above_gate else None,
        wins=list_wins(foreseen, points, _most_accurate(baselines)),
        sensitivity=list_changes(selection, points, _most_accurate(baselines)),
        runtime=made_with(run.params.runtime, unpinned(run.model)),
        majority=common,
        warnings=list(warnings),
    )
    with alone(SUMMARY.with_suffix("")):  # for all files together: they belong to one run
        with replacing(SUBMITTED) as partial:
            shutil.copyfile(source, partial)
        certify(SUBMITTED)
        with replacing(FRONTIER) as partial:
            points.to_csv(partial, index=False, lineterminator="\n")
        with replacing(INTERVALS) as partial:
            intervals.to_csv(partial, index=False, lineterminator="\n")
        with replacing(CORRECT) as partial:
            write_correct(partial, tested, test.y, networks["weights_sha256"].tolist())
        draw_frontier(points, settings.gate, chosen, PICTURE, settings.axis, intervals, common.val_accuracy)
        draw_sensitivity(selection, points, SENSITIVITY)
        write_confusion(_confusion(run, {"validation": run.validation, "test": test}, (dense, chosen)))
        write_json(SUMMARY, summary.model_dump())


def _submitted(chosen: pd.Series, above_gate: bool, test_accuracy: float) -> Submitted:
    return Submitted(
        method=str(chosen["method"]),
        seed=int(chosen["seed"]),
        above_gate=above_gate,
        target_sparsity=float(chosen["target_sparsity"]),
        sparsity=float(chosen["sparsity"]),
        nonzero=int(chosen["nonzero"]),
        val_accuracy=float(chosen["val_accuracy"]),
        score=float(chosen["score"]),
        test_accuracy=test_accuracy,
        ledger={
            **{
                kind: Zeros(zeros=int(chosen[f"{kind}_zeros"]), parameters=int(chosen[f"{kind}_parameters"]))
                for kind in COUNTED_OVER
            },
            "effective": Zeros(zeros=int(chosen["effective_zeros"]), parameters=int(chosen["trainable_parameters"])),
        },
    )


def _evaluated(run: Run, row: pd.Series, split: Split) -> np.ndarray:
    """Which examples of a split a row's network gets right, shape (n,), bool."""
    run.model.set_weights(load_weights(_measured(row)))
    return evaluate_each(run.model, split)[0]


def _confusion(run: Run, splits: dict[str, Split], rows: Sequence[pd.Series]) -> list[tuple[str, ...]]:
    """What the networks of two rows, the dense and the submitted, take each class of each split for."""
    names, table = run.class_names, []
    for network, row in zip(NETWORKS, rows, strict=True):
        run.model.set_weights(load_weights(_measured(row)))
        for split, examples in splits.items():
            counts = counted(examples.y, answers(run.model, examples, run.outputs), len(names))
            table += rows_of(network, split, counts, names)
    return table


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
