"""A run's results as a folder to keep: small files that Git can hold, without the pipeline around them."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.files import replacing_folder, write_json
from prunefront.common.machine import processor
from prunefront.common.params import TRAINED
from prunefront.common.runtime import tf
from prunefront.export.latency import LATENCY, read_latency
from prunefront.export.results import TABLE, read_exports
from prunefront.models.certificate import certificate_path, certify
from prunefront.models.multiply_adds import multiply_adds
from prunefront.models.weights import load_named_weights, load_weights
from prunefront.pipeline.run import Run
from prunefront.pipeline.store import REPORT, RESULTS, SUBMITTED, load_cost, load_rows
from prunefront.report.page import write_report
from prunefront.tools.checked import check_results

WEIGHTS = "submitted.npz"
PUBLISHED = {
    *(path.name for path in RESULTS),
    "params.yaml",
    "cost.json",
    REPORT.name,
    WEIGHTS,
    certificate_path(Path(WEIGHTS)).name,
}
OPTIONAL = {TABLE.name, LATENCY.name}


def publish(run: Run, params_file: Path, folder: Path) -> None:
    """Writes `folder`: all that the last stage found, a page of it, parameters, cost, the submitted weights as a small
    `.npz`, and their certificate, see `prunefront verify`.

    The results are checked first, see `check_results`. What the stage `export` and `prunefront bench` found comes along
    if it is about these weights.

    Args:
        run: of the run.
        params_file: the parameters that it ran with.
        folder: replaced as a whole, if it holds nothing else.

    Raises:
        InputError: the run is not complete, not by these parameters, or not true, or the folder holds other files.
    """
    if not folder.name or (folder.exists() and not (folder.is_dir() and _names(folder) <= PUBLISHED | OPTIONAL)):
        raise InputError(f"Expected a new folder, or one of earlier published results. Received: {folder}")
    missing = [str(path) for path in (*RESULTS, SUBMITTED) if not path.exists()]
    if missing:
        raise InputError(f"Expected a complete run; run `dvc repro`. Received: no {', '.join(missing)}")
    check_results(run)
    with replacing_folder(folder) as partial:
        for path in RESULTS:
            shutil.copyfile(path, partial / path.name)
        shutil.copyfile(params_file, partial / "params.yaml")
        arrays = {name.replace("/", "."): array for name, array in load_named_weights(SUBMITTED).items()}
        np.savez_compressed(partial / WEIGHTS, allow_pickle=False, **arrays)
        certify(partial / WEIGHTS)
        write_json(partial / "cost.json", cost(run))
        write_report(run.params, partial / REPORT.name, None)
        for table, path in ((read_exports(), TABLE), (read_latency(), LATENCY)):
            if table is not None:
                shutil.copyfile(path, partial / path.name)


def cost(run: Run) -> dict[str, Any]:
    """What the run's stages spent on training, as far as they ran here.

    Multiply-adds are those of the dense network, `forward_passes` times: zeros save nothing in training. For the narrow
    dense networks that is an upper bound. Those of the stage `teacher` are of its own network; its passes for others to
    imitate count there, in passes of theirs.
    """
    model, weights = run.model, load_weights(SUBMITTED)
    example = run.validation.x[:1]
    dense = multiply_adds(model, [np.ones(w.shape) for w in weights], example)
    stages: dict[str, Any] = {}
    for stage in TRAINED:
        for seed in run.params.seeds_of(stage):
            spent = load_cost(stage, seed)
            if spent is None or spent.epochs == 0:
                continue
            each = int(load_rows(stage, seed, (0.0,))["multiply_adds"].iloc[0]) if stage == "teacher" else dense
            numbers = spent.model_dump(exclude={"rows_sha256"})
            stages.setdefault(stage, {})[str(seed)] = numbers | {"multiply_adds": each * spent.forward_passes}
    return {
        "multiply_adds_per_example": {"dense": dense, "submitted": multiply_adds(model, weights, example)},
        "training": stages,
        "machine": f"{processor()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}",
    }


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
