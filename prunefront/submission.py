"""The last step: all methods' points to one frontier, the submitted weights, and their one look at the test split."""

import shutil
from pathlib import Path

import pandas as pd

from prunefront.data import read_split
from prunefront.errors import InputError
from prunefront.experiment import Experiment
from prunefront.figures import draw_frontier
from prunefront.files import replacing, write_json
from prunefront.frontier import hypervolumes, scored, select
from prunefront.network import count_trainable
from prunefront.params import Pareto
from prunefront.points import FRONTIER, PICTURE, SUBMITTED, SUMMARY, load_rows, weights_file
from prunefront.training import evaluate
from prunefront.weights import load_weights


def load_frontier(params: Pareto, seeds: tuple[int, ...]) -> pd.DataFrame:
    """The scored operating points of the methods and seeds that the parameters name, and of no others."""
    rows = pd.concat([load_rows(method, seed) for method in params.methods for seed in seeds], ignore_index=True)
    return scored(rows, params.gate)


def choose(points: pd.DataFrame, baselines: pd.DataFrame) -> tuple[pd.Series, bool]:
    """The row to submit, and whether it lies above the gate.

    Where no operating point is above the gate, the most accurate dense network is submitted: nothing pruned was good
    enough, and the row says so (sparsity of the baseline, score 0).
    """
    chosen = select(points)
    if chosen is not None:
        return chosen, True
    return baselines.assign(score=0.0).iloc[int(baselines["val_accuracy"].argmax())], False


def submit(experiment: Experiment, points: pd.DataFrame, chosen: pd.Series, above_gate: bool) -> None:
    """Reads the test split for the chosen point and its dense baseline, and writes every result.

    Args:
        experiment: of the chosen point's seed.
        points: all scored operating points.
        chosen: the row to submit.
        above_gate: whether it is above the accuracy gate.

    Raises:
        InputError: the weights on disk are not those that the row was measured on.
    """
    source = weights_file(chosen["method"], chosen["seed"], chosen["target_sparsity"])
    dense = load_rows("baseline", experiment.seed).iloc[0]
    test = read_split("test")
    experiment.model.set_weights(load_weights(weights_file("baseline", experiment.seed, 0.0)))
    dense_accuracy, _ = evaluate(experiment.model, test)
    experiment.model.set_weights(load_weights(source))
    _check_measured(experiment, chosen, source)
    accuracy, _ = evaluate(experiment.model, test)

    with replacing(SUBMITTED) as partial:
        shutil.copyfile(source, partial)
    with replacing(FRONTIER) as partial:
        points.to_csv(partial, index=False, lineterminator="\n")
    draw_frontier(points, experiment.params.pareto.gate, chosen, PICTURE)
    submitted = {
        "method": str(chosen["method"]),
        "seed": int(chosen["seed"]),
        "above_gate": above_gate,
        "target_sparsity": float(chosen["target_sparsity"]),
        "sparsity": float(chosen["sparsity"]),
        "nonzero": int(chosen["nonzero"]),
        "val_accuracy": float(chosen["val_accuracy"]),
        "score": float(chosen["score"]),
        "test_accuracy": accuracy,
    }
    baseline = {
        "seed": experiment.seed,
        "val_accuracy": float(dense["val_accuracy"]),
        "test_accuracy": dense_accuracy,
    }
    write_json(SUMMARY, {"submitted": submitted, "baseline": baseline, "hypervolume": hypervolumes(points)})


def _check_measured(experiment: Experiment, chosen: pd.Series, source: Path) -> None:
    nonzero, _ = count_trainable(experiment.model)
    accuracy, _ = evaluate(experiment.model, experiment.validation)
    # Another processor may round a few examples to the other side; other weights differ by more.
    if nonzero != chosen["nonzero"] or abs(accuracy - chosen["val_accuracy"]) > 0.01:
        raise InputError(
            f"Expected {source} to be the weights behind the metrics ({chosen['nonzero']} non-zero, accuracy "
            f"{chosen['val_accuracy']:.4f}); run `dvc repro`. Received: {nonzero} non-zero, accuracy {accuracy:.4f}"
        )
