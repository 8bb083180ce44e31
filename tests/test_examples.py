"""The worked examples in docs/examples/, run as they are written."""

import importlib
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prunefront import load_weights
from prunefront.models.certificate import verify
from prunefront.models.counts import count
from prunefront.models.layers import describe_weights
from prunefront.models.model_files import load_model
from tests.helpers import ROOT, run, set_params

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def walk_through(page, folder):
    """Does what a page says, in `folder`; returns the project's folder."""
    project, exports = folder, ["litert"]
    for kind, text in BLOCK.findall((ROOT / "docs" / "examples" / page).read_text()):
        if kind in ("python", "c"):
            name = text.splitlines()[0].strip("#/* ")
            (folder / name).write_text(text)
        elif kind == "yaml":
            sections = YAML(typ="safe").load(text)
            set_params(project, **sections)
            exports = sections.get("export", {}).get("formats", exports)
        else:
            for line in text.strip().splitlines():
                command = shlex.split(line, comments=True)
                if command[0] == "cd":
                    project = folder / command[1]
                elif command == ["dvc", "repro"]:
                    repro(project, exports)
                else:
                    run(*command, folder=project)
    return project


def repro(project, exports):
    """All stages of a project in turn, in this process: importing TensorFlow once instead of a dozen times.

    The page's exports, or the given ones: what each of them holds is for other tests.
    """
    set_params(project, export={"formats": exports})
    here = Path.cwd()
    os.chdir(project)
    sys.path.insert(0, str(project))
    try:
        for name, block in YAML(typ="safe").load((project / "dvc.yaml").read_text())["stages"].items():
            command = getattr(importlib.import_module(f"prunefront.stages.{name}"), name)
            command(seed=0) if "matrix" in block else command()
    finally:
        os.chdir(here)
        sys.path.remove(str(project))


def results(project):
    points = pd.read_csv(project / "metrics" / "frontier.csv")
    return points.set_index(["method", "target_sparsity"]), json.loads(
        (project / "metrics" / "pareto.json").read_text()
    )


@pytest.mark.long
def test_an_image_folder(tmp_path):
    project = walk_through("image-folder.md", tmp_path)
    points, summary = results(project)
    assert summary["baseline"]["val_accuracy"] > 0.6
    methods = ["prune_global", "prune_layerwise", "recalibrated_global", "recalibrated_layerwise"]
    assert list(dict.fromkeys(points.index.get_level_values(0))) == [*methods, "freeze", "masked", "gradual"]
    pruned, recalibrated = (points.loc[(method, 0.7)] for method in ("prune_global", "recalibrated_global"))
    assert recalibrated["prunable_zeros"] == pruned["prunable_zeros"]
    assert recalibrated["val_loss"] < pruned["val_loss"]
    # by hand: 9 * 16 of the first convolution, 9 * 16 and 16 * 16 of the separable one; the head is left alone
    assert set(points["prunable_parameters"]) == {144 + 144 + 256}
    assert set(points["trainable_parameters"]) == {144 + 144 + 256 + 4 * 16 + 16 * 10 + 10}
    assert set(points["all_parameters"]) == {144 + 144 + 256 + 8 * 16 + 16 * 10 + 10}
    submitted = summary["submitted"]
    assert verify(project / "models" / "submitted.weights.h5")["zeros"] == submitted["ledger"]["all"]["zeros"]
    assert json.loads((project / "data" / "prepared" / "about.json").read_text())["streamed"]


@pytest.mark.long
def test_a_text_classifier(tmp_path):
    project = walk_through("text-classifier.md", tmp_path)
    points, summary = results(project)
    assert summary["baseline"]["test_accuracy"] > 0.9
    # 100 * 16 embeddings; two directions of 16 * 32 + 8 * 32 + 32; 16 + 1
    assert set(points["prunable_parameters"]) == {1600 + 2 * 800 + 17}
    assert points.loc[("masked", 0.8), "val_accuracy"] > 0.8


@pytest.mark.long
def test_a_table_and_a_trained_model(tmp_path):
    project = walk_through("tabular.md", tmp_path)
    points, summary = results(project)
    assert summary["baseline"]["val_accuracy"] > 0.9
    assert points.loc[("gradual", 0.9), "sparsity"] == pytest.approx(0.9, abs=1e-3)
    dense = load_model(tmp_path / "tumours.keras", trust=False)
    kept = load_weights(project / "models" / "prune_global" / "0" / "s0.weights.h5")
    for mine, theirs in zip(kept, dense.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    dense.load_weights(project / "models" / "submitted.weights.h5")
    counted = count(describe_weights(dense), dense.get_weights())
    assert counted.trainable_zeros == summary["submitted"]["ledger"]["trainable"]["zeros"]
    tracked = run("git", "ls-files", "--others", "--exclude-standard", "--cached", folder=project).stdout.split()
    assert not any(path.endswith(".py") for path in tracked)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_program_of_ten_lines_of_c(tmp_path):
    project = walk_through("../deploy.md", tmp_path)
    exports = pd.read_csv(project / "metrics" / "exports.csv").set_index("format")
    assert list(exports.index) == ["keras", "sparse", "c", "litert"]
    assert (exports["test_accuracy"] == exports.loc["keras", "test_accuracy"]).all()
    assert exports.loc["sparse", "bytes"] < exports.loc["keras", "bytes"] / 20
    labels = np.load(project / "data" / "prepared" / "test_y.npy")[:20]
    said = []
    for pixels in np.load(project / "data" / "prepared" / "test_x.npy")[:20]:
        (pixels / 255).astype(np.float32).tofile(project / "digit.raw")
        said.append(int(run("./classify", "digit.raw", folder=project).stdout))
    model = load_model(project / "exports" / "submitted.keras", trust=False)
    x = (np.load(project / "data" / "prepared" / "test_x.npy")[:20] / 255).astype(np.float32)
    assert said == model.predict(x, verbose=0).argmax(axis=1).tolist()
    assert np.mean(np.array(said) == labels) > 0.5  # of ten classes
