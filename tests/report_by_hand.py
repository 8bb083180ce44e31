"""A run's files, written by hand: ten points of three methods and two seeds, with names that mean something in HTML."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from prunefront.common.files import digest
from prunefront.frontier.confusion import rows_of, write_confusion
from prunefront.frontier.intervals import COLUMNS as INTERVAL_COLUMNS
from prunefront.frontier.pareto import scored
from prunefront.models.certificate import certify
from prunefront.models.weight_files import ORDER
from prunefront.pipeline.points import COLUMNS
from prunefront.pipeline.store import (
    FRONTIER,
    INTERVALS,
    SUBMITTED,
    SUMMARY,
    weights_file,
    weights_folder,
    write_rows,
)
from prunefront.training.curves import Epoch, curves_file, write_curves
from tests.helpers import edited, operating_points

CLASSES = ("<script>document.title = 'hacked'</script>", "Größe & Maß", "'\"{{ 1 }}")
LAYERS = ("</script><img src=http://example.com/x>", "dense \"ä\" & 'ö'")
PARAMETERS = 20
"""Twelve in a convolution of shape (2, 2, 1, 3), eight in a dense layer of shape (4, 2)."""
POINTS = {
    ("prune_global", 0.0): ((0.9, 0.88), (0.9, 0.9), 4000),
    ("prune_global", 0.5): ((0.89, 0.87), (0.85, 0.9), 2000),
    ("prune_global", 0.9): ((0.3, 0.5), (0.3, 0.4), 400),
    ("gradual", 0.9): ((0.88, 0.86), (0.87, 0.84), 410),
    ("random_global", 0.9): ((0.2, 0.1), (0.2, 0.15), 420),
}
"""(method, level): validation accuracy of both seeds, test accuracy of both seeds, bytes."""
SEEDS = (0, 1)


def write_run(folder: Path, classes: tuple[str, ...] = CLASSES, intervals: bool = True) -> None:
    """Writes everything that the pipeline would leave in `folder`, which has to be the present one."""
    none = ("freeze", "masked", "iterative", "small_dense")
    edited(
        folder,
        ("seeds", list(SEEDS)),
        ("prune.levels", [0, 0.5, 0.9]),
        ("gradual.levels", [0.9]),
        ("random.levels", [0.9]),
        *((f"{section}.levels", []) for section in none),
    )
    order = [(method, level, seed) for method, level in POINTS for seed in SEEDS]
    order.sort(key=lambda point: (list(dict.fromkeys(m for m, _ in POINTS)).index(point[0]), point[2]))
    rows = [_row(method, level, seed) for method, level, seed in order]
    points = scored(pd.concat(rows, ignore_index=True), 0.6, "sparsity")
    points.loc[points["method"] == "random_global", ["eligible", "on_frontier"]] = False
    FRONTIER.parent.mkdir(parents=True)
    points.to_csv(FRONTIER, index=False)
    for seed in SEEDS:
        row = _row("prune_global", 0.0, seed).assign(method="baseline", weights_sha256=_weights("baseline", 0.0, seed))
        write_rows("baseline", seed, row[COLUMNS], {"epochs": 2, "images": 200, "seconds": 1.5})
        curve = [Epoch(1.5, 0.5, 1.25, 0.75, 1e-3), Epoch(1.0, 0.8, 0.5, 0.9, 1e-3)]
        write_curves(curves_file(weights_folder("baseline", seed)), [("dense", curve)])
        write_curves(curves_file(weights_folder("gradual", seed)), [("90.00%", curve[:1]), ("95.00%", curve)])
    chosen = points[(points["method"] == "gradual") & (points["seed"] == 0)].iloc[0]
    SUBMITTED.write_bytes(weights_file("gradual", 0, 0.9).read_bytes())
    _summary(chosen)
    counts = np.array([[5, 1, 0], [0, 6, 0], [2, 0, 4]]) if len(classes) == 3 else np.eye(len(classes), dtype=int) * 3
    counts[0, -1] += 2
    write_confusion(
        [
            row
            for network in ("dense", "submitted")
            for split in ("validation", "test")
            for row in rows_of(network, split, counts, classes)
        ]
    )
    Path("metrics/prepare.json").write_text(json.dumps({"classes": 3, "train": 100, "validation": 50, "test": 18}))
    if intervals:
        _intervals(points)


def _row(method: str, level: float, seed: int) -> pd.DataFrame:
    validation, test, size = POINTS[method, level]
    row = operating_points((method, validation[seed], level, size, size * 10), weights=PARAMETERS, multiply_adds=40_000)
    sha = _weights(method, level, seed)
    return row.assign(
        seed=seed, val_loss=0.5, test_accuracy=test[seed], weights_sha256=sha, on_frontier=False, eligible=True
    )


def _weights(stage: str, level: float, seed: int) -> str:
    """Writes a file as Keras lays it out; the share `level` of each array, rounded down, is zero."""
    path = weights_file(stage, seed, level)
    path.parent.mkdir(parents=True, exist_ok=True)
    names = []
    with h5py.File(path, "w") as file:
        for group, name, shape in (("conv2d", LAYERS[0], (2, 2, 1, 3)), ("dense", LAYERS[1], (4, 2))):
            variables = file.create_group(f"layers/{group}/vars")
            variables.attrs["name"] = name
            size = int(np.prod(shape))
            values = np.arange(size) + 1 + seed
            variables["0"] = np.where(np.arange(size) < int(level * size), 0, values).reshape(shape).astype(np.float32)
            variables["1"] = np.ones(shape[-1], np.float32)
            names += [f"layers/{group}/vars/0", f"layers/{group}/vars/1"]
        file.attrs[ORDER] = names
    certify(path)
    return digest(path)


def _summary(chosen: pd.Series) -> None:
    submitted = {name: chosen[name].item() for name in ("seed", "target_sparsity", "sparsity", "nonzero")}
    submitted |= {name: chosen[name].item() for name in ("val_accuracy", "score", "test_accuracy")}
    submitted |= {"method": chosen["method"], "above_gate": True, "ledger": {}}
    baseline = {"seed": 0, "val_accuracy": 0.9, "test_accuracy": 0.9}
    content = {"submitted": submitted, "baseline": baseline, "axis": "sparsity", "hypervolume": {"gradual": 0.8}}
    SUMMARY.write_text(json.dumps(content))


def _intervals(points: pd.DataFrame) -> None:
    """An accuracy's interval reaches a twentieth to either side, that of a mean a fortieth."""
    each = points.assign(seeds=points["seed"].astype(str), n=1, wins=0.0, half=0.05)
    each.loc[(each["method"] == "gradual") & (each["seed"] == 0), "wins"] = 0.75
    keys = ["method", "target_sparsity"]
    means = points.groupby(keys, sort=False)[["sparsity", "val_accuracy", "test_accuracy"]].mean().reset_index()
    rows = pd.concat([each, means.assign(seeds="all", n=2, wins=np.nan, half=0.025)], ignore_index=True)
    for split in ("val", "test"):
        rows[f"{split}_low"] = (rows[f"{split}_accuracy"] - rows["half"]).clip(0, 1)
        rows[f"{split}_high"] = (rows[f"{split}_accuracy"] + rows["half"]).clip(0, 1)
    told_apart = rows["val_accuracy"] < 0.8
    rows = rows.assign(behind=0.0, behind_low=0.0, behind_high=0.0, p_value=0.5, told_apart=told_apart)
    rows[INTERVAL_COLUMNS].to_csv(INTERVALS, index=False)
