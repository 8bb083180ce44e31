"""The results at hand, checked before anything is made of them: nothing in them is taken at its word."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.files import digest
from prunefront.common.params import TRAINED, Params
from prunefront.common.provenance import Provenance, check_provenance
from prunefront.data.splits import PREPARED
from prunefront.export.results import TABLE, read_exports
from prunefront.frontier.intervals import of_points, read_intervals
from prunefront.frontier.submission import load_baselines, load_frontier
from prunefront.frontier.summary import Submitted, Zeros, read_summary
from prunefront.models.counts import count
from prunefront.models.weights import check_shapes, load_weights
from prunefront.pipeline.points import COUNTED_OVER, NUMBERS, SHARES
from prunefront.pipeline.run import Run
from prunefront.pipeline.store import (
    FRONTIER,
    PREPARATION,
    SUBMITTED,
    SUMMARY,
    load_result,
    rows_file,
    weights_file,
)
from prunefront.training.trainer import evaluate

ROUNDING = 0.005
"""The share of examples that another machine's rounding may answer otherwise; one example in any case."""


def check_results(run: Run) -> None:
    """Checks that the results in `metrics/` and `models/` are a whole run of the present parameters, and true.

    In turn: each stage's results were made with the present parameters, data and files, from weights that are still
    those of the stages before it, and nobody has changed them since; the frontier is that of the stages' rows; the
    submitted file is the chosen point's; and it has, counted and evaluated anew, the zeros and the accuracies that the
    summary states.

    Args:
        run: of the present parameters.

    Raises:
        InputError: the first thing that is otherwise.
    """
    points, submitted = load_result(), read_summary().submitted
    rows = _checked_stages(run.params)
    _check_frontier(points, load_frontier(run.params))
    of_points(points, read_intervals())
    _check_submitted(submitted, rows)
    _check_weights(run, submitted)
    if read_exports() is not None:
        check_provenance("export", run.params, PREPARED, TABLE, _again("export"))


def _checked_stages(params: Params) -> pd.DataFrame:
    """The rows of all stages, after a check of what they were made with."""
    check_provenance("prepare", params, PREPARED, PREPARATION, _again("prepare"))
    ran = [stage for stage in TRAINED if params.levels(stage)]
    noted = {
        (stage, seed): check_provenance(stage, params, PREPARED, rows_file(stage, seed), _again(stage, seed))
        for stage in ran
        for seed in params.seeds_of(stage)
    }
    rows = pd.concat([load_baselines(params), load_frontier(params)], ignore_index=True)
    for (stage, seed), one in noted.items():
        _check_starts(stage, seed, one, rows)
    check_provenance("pareto", params, PREPARED, FRONTIER, _again("pareto"))
    return rows


def _check_starts(stage: str, seed: int, noted: Provenance, rows: pd.DataFrame) -> None:
    """Whether a stage started from the weights that the stages before it have now."""
    files = map(weights_file, rows["method"], rows["seed"], rows["target_sparsity"])
    now = dict(zip((path.as_posix() for path in files), rows["weights_sha256"], strict=True))
    for name, was in noted.starts.items():
        found = now.get(name) or (digest(Path(name)) if Path(name).is_file() else "no such file")
        if found != was:
            raise InputError(
                f"{rows_file(stage, seed)}: expected results that start from {name} as it is now; "
                f"{_again(stage, seed)}. Received: results that started from one with SHA-256 {was}, and it is {found}"
            )


def _check_frontier(points: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Whether the table of all points is that of the stages' rows."""
    keys = ["method", "seed", "target_sparsity"]
    if points[keys].to_dict("records") != expected[keys].to_dict("records"):
        raise InputError(
            f"{FRONTIER}: expected the {len(expected)} operating points that the present parameters ask for; "
            f"{_again('pareto')}. Received: {len(points)} points, not those"
        )
    for name in [name for name in points if name in expected]:
        close = name in SHARES | NUMBERS
        same = np.isclose(points[name], expected[name], atol=1e-12) if close else points[name] == expected[name]
        if not same.all():
            row = int((~np.asarray(same)).argmax())
            raise InputError(
                f"{FRONTIER}: expected {name} {expected[name][row]} in row {row + 1}, by the results of "
                f"{expected['method'][row]}; {_again('pareto')}. Received: {points[name][row]}"
            )


def _check_submitted(submitted: Submitted, rows: pd.DataFrame) -> None:
    """Whether the submitted file is that of the chosen point, and the summary says of it what its row does."""
    chosen = rows[
        (rows["method"] == submitted.method)
        & (rows["seed"] == submitted.seed)
        & (rows["target_sparsity"] == submitted.target_sparsity)
    ]
    if chosen.empty:
        raise InputError(
            f"{SUMMARY}: expected an operating point as the submitted one; {_again('pareto')}. Received: "
            f"{submitted.method}, seed {submitted.seed}, at {submitted.target_sparsity}"
        )
    row = chosen.iloc[0]
    received = digest(SUBMITTED)
    if received != row["weights_sha256"]:
        raise InputError(
            f"{SUBMITTED}: expected the weights of the chosen point ({submitted.method}, seed {submitted.seed}, at "
            f"{submitted.target_sparsity}), with SHA-256 {row['weights_sha256']}; {_again('pareto')}. "
            f"Received: {received}"
        )


def _check_weights(run: Run, submitted: Submitted) -> None:
    """Whether the submitted weights have the zeros and accuracies that the summary states: counted and evaluated."""
    arrays = load_weights(SUBMITTED)
    check_shapes(arrays, run.model, str(SUBMITTED))
    counts = count(run.weights, arrays)
    for kind in COUNTED_OVER:
        found = Zeros(zeros=getattr(counts, f"{kind}_zeros"), parameters=getattr(counts, f"{kind}_parameters"))
        if submitted.ledger.get(kind) != found:
            raise _untrue(f"among {kind} weights {found!r}", repr(submitted.ledger.get(kind)))
    nonzero = counts.trainable_parameters - counts.trainable_zeros
    sparsity = counts.trainable_zeros / counts.trainable_parameters
    if nonzero != submitted.nonzero or not math.isclose(sparsity, submitted.sparsity, abs_tol=1e-12):
        raise _untrue(f"{nonzero} non-zero weights, sparsity {sparsity}", f"{submitted.nonzero}, {submitted.sparsity}")
    run.model.set_weights(arrays)
    for name, split in (("val_accuracy", run.validation), ("test_accuracy", run.read("test"))):
        accuracy, stated = evaluate(run.model, split)[0], getattr(submitted, name)
        if abs(accuracy - stated) > max(ROUNDING, 1 / len(split.y)) + 1e-12:
            raise _untrue(f"{name} {accuracy}", stated)


def _untrue(found: str, stated: object) -> InputError:
    return InputError(f"{SUMMARY}: expected {found}, as {SUBMITTED} has it; {_again('pareto')}. Received: {stated}")


def _again(stage: str, seed: int | None = None) -> str:
    by_hand = f"prunefront {stage}" + ("" if seed is None else f" --seed {seed}")
    return f"run `dvc repro`, or first `{by_hand}`"
