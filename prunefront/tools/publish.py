"""A run's results as a folder to keep: small files that Git can hold, without the pipeline around them."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.files import replacing_folder, write_json
from prunefront.common.machine import processor
from prunefront.common.params import STAGES, Params
from prunefront.common.runtime import tf
from prunefront.export.latency import LATENCY, read_latency
from prunefront.export.results import TABLE, read_exports
from prunefront.frontier.intervals import of_points, read_intervals
from prunefront.frontier.summary import read_summary
from prunefront.models.multiply_adds import multiply_adds
from prunefront.models.weights import load_named_weights, load_weights
from prunefront.pipeline.run import Run
from prunefront.pipeline.store import (
    FRONTIER,
    INTERVALS,
    PICTURE,
    REPORT,
    SENSITIVITY,
    SUBMITTED,
    SUMMARY,
    load_cost,
    load_result,
)

PUBLISHED = {"frontier.csv", "pareto.json", "pareto.png", "params.yaml", "cost.json", "submitted.npz"}
OPTIONAL = {"exports.csv", "latency.csv", "intervals.csv", "sensitivity.png", "report.html"}


def publish(run: Run, params_file: Path, folder: Path) -> None:
    """Writes `folder`: frontier, summary, picture, parameters, cost, and the submitted weights as a small `.npz`.

    What the stage `export` and `prunefront bench` found comes along if it is about these weights.

    Args:
        run: of the run.
        params_file: the parameters that it ran with.
        folder: replaced as a whole, if it holds nothing else.

    Raises:
        InputError: the run is not complete, or not by these parameters, or the folder holds other files.
    """
    if not folder.name or (folder.exists() and not (folder.is_dir() and _names(folder) <= PUBLISHED | OPTIONAL)):
        raise InputError(f"Expected a new folder, or one of earlier published results. Received: {folder}")
    missing = [str(path) for path in (FRONTIER, SUMMARY, PICTURE, SUBMITTED) if not path.exists()]
    if missing:
        raise InputError(f"Expected a complete run; run `dvc repro`. Received: no {', '.join(missing)}")
    points = load_result()
    read_summary()
    ran = set(zip(points["method"], points["seed"], points["target_sparsity"], strict=True))
    if ran != _operating_points(run.params):
        raise InputError(
            f"Expected {FRONTIER} to be by the parameters in {params_file}; run `dvc repro`. Received: other"
        )
    if INTERVALS.exists():
        of_points(points, read_intervals())
    with replacing_folder(folder) as partial:
        for path in (FRONTIER, SUMMARY, PICTURE):
            shutil.copyfile(path, partial / path.name)
        shutil.copyfile(params_file, partial / "params.yaml")
        arrays = {name.replace("/", "."): array for name, array in load_named_weights(SUBMITTED).items()}
        np.savez_compressed(partial / "submitted.npz", allow_pickle=False, **arrays)
        write_json(partial / "cost.json", cost(run))
        for path in (INTERVALS, SENSITIVITY, REPORT):
            if path.exists():
                shutil.copyfile(path, partial / path.name)
        for table, path in ((read_exports(), TABLE), (read_latency(), LATENCY)):
            if table is not None:
                shutil.copyfile(path, partial / path.name)


def cost(run: Run) -> dict[str, Any]:
    """What the run's stages spent on training, as far as they ran here.

    Multiply-adds are those of the dense network, `forward_passes` times: zeros save nothing in training. For the narrow
    dense networks that is an upper bound.
    """
    model, weights = run.model, load_weights(SUBMITTED)
    example = run.validation.x[:1]
    dense = multiply_adds(model, [np.ones(w.shape) for w in weights], example)
    stages: dict[str, Any] = {}
    for stage in ("baseline", *STAGES):
        for seed in run.params.seeds:
            spent = load_cost(stage, seed)
            if spent is None or spent.epochs == 0:
                continue
            numbers = spent.model_dump(exclude={"rows_sha256"})
            stages.setdefault(stage, {})[str(seed)] = numbers | {"multiply_adds": dense * spent.forward_passes}
    return {
        "multiply_adds_per_example": {"dense": dense, "submitted": multiply_adds(model, weights, example)},
        "training": stages,
        "machine": f"{processor()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}",
    }


def _operating_points(params: Params) -> set[tuple[str, int, float]]:
    """(method, seed, level) of every point that the parameters ask for."""
    return {(stage, seed, level) for stage in STAGES for seed in params.seeds for level in params.levels(stage)}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
