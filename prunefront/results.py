"""A run's results as a folder to keep: small files that Git can hold, without the pipeline around them."""

import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.errors import InputError
from prunefront.experiment import Experiment
from prunefront.files import replacing_folder, write_json
from prunefront.network import multiply_adds
from prunefront.points import FRONTIER, PICTURE, SUBMITTED, SUMMARY, cost_file
from prunefront.runtime import tf
from prunefront.weights import load_named_weights, load_weights

STAGES_THAT_TRAIN = [
    "baseline",
    "freeze",
    "masked",
    "gradual",
    "iterative",
    "random_global",
    "random_layerwise",
    "small_dense",
]


def publish(experiment: Experiment, params_file: Path, folder: Path) -> None:
    """Writes `folder`: frontier, summary, picture, parameters, cost, and the submitted weights as a small `.npz`.

    Args:
        experiment: of the run.
        params_file: the parameters that it ran with.
        folder: replaced as a whole.

    Raises:
        InputError: the run is not complete.
    """
    needed = [FRONTIER, SUMMARY, PICTURE, SUBMITTED]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        raise InputError(f"Expected a complete run; run `dvc repro`. Received: no {', '.join(missing)}")
    with replacing_folder(folder) as partial:
        for path in (FRONTIER, SUMMARY, PICTURE):
            shutil.copyfile(path, partial / path.name)
        shutil.copyfile(params_file, partial / "params.yaml")
        arrays = {name.replace("/", "."): array for name, array in load_named_weights(SUBMITTED).items()}
        np.savez_compressed(partial / "submitted.npz", allow_pickle=False, **arrays)
        write_json(partial / "cost.json", cost(experiment))


def cost(experiment: Experiment) -> dict[str, Any]:
    """What the run's stages spent on training, as far as this machine has run them.

    A multiply-add of training counts three times that of a forward pass (forward, and backward for activations and for
    weights), of the dense network: zeros save nothing here. For the narrow dense networks that is an upper bound.
    """
    model, weights = experiment.model, load_weights(SUBMITTED)
    dense = multiply_adds(model, [np.ones(w.shape) for w in weights])
    stages: dict[str, Any] = {}
    for stage in STAGES_THAT_TRAIN:
        files = {str(seed): cost_file(stage, seed) for seed in experiment.params.seeds}
        spent = {seed: json.loads(path.read_text(encoding="utf-8")) for seed, path in files.items() if path.exists()}
        if any(one["epochs"] for one in spent.values()):
            stages[stage] = {seed: {**one, "multiply_adds": 3 * dense * one["images"]} for seed, one in spent.items()}
    return {
        "multiply_adds_per_example": {"dense": dense, "submitted": multiply_adds(model, weights)},
        "training": stages,
        "machine": f"{_processor()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}",
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        if names:
            return names[0].split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
