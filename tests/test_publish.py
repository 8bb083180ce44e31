"""`publish` takes nothing at its word: what was changed by hand, or since, is one line, and nothing is written."""

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prunefront import InputError, load_weights
from prunefront.common.files import digest
from prunefront.common.params import Params, load_params
from prunefront.common.provenance import check_provenance, relevant, tree_digest, write_provenance
from prunefront.common.runtime import keras
from prunefront.models.certificate import verify
from prunefront.pipeline.run import open_run
from prunefront.pipeline.store import FRONTIER, SUBMITTED, SUMMARY
from prunefront.tools.publish import OPTIONAL, PUBLISHED
from prunefront.tools.publish import publish as write
from prunefront.tools.show import print_frontier
from stages.baseline import baseline
from stages.freeze import freeze
from stages.masked import masked
from stages.pareto import pareto
from stages.prepare import prepare
from stages.prune_global import prune_global
from stages.prune_layerwise import prune_layerwise
from tests.helpers import ROOT, edited, set_params

layers = keras.layers
PARAMS = Path("params.yaml")
OTHERS = ("gradual", "iterative", "random", "small_dense", "recalibrate", "magnitude_rewind", "regrow")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the results of a small run: 60 examples of 4 numbers, three of the methods."""
    folder = tmp_path_factory.mktemp("whole")
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    np.savez(folder / "own.npz", x_train=x, y_train=(x[:, 0] > 0).astype(np.int64))
    keras.utils.set_random_seed(0)
    keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(2)]).save(folder / "net.keras")
    levels = [(f"{section}.levels", []) for section in OTHERS]
    own = ("data.source", "npz"), ("data.path", "own.npz"), ("data.image_size", None), ("model.path", "net.keras")
    short = (
        ("baseline.epochs", 8),
        ("baseline.keep_epoch", 0),
        ("baseline.learning_rate", 0.05),
        ("baseline.batch_size", 9),
    )
    some = ("prune.levels", [0.0, 0.5]), ("freeze.levels", [0.5]), ("freeze.epochs", 1), ("masked.levels", [0.5])
    edited(folder, *own, *short, *some, ("masked.epochs", 1), ("export.formats", []), *levels)
    (folder / "inputs").mkdir()
    shutil.copy(ROOT / "inputs" / "none", folder / "inputs")
    before = Path.cwd()
    os.chdir(folder)
    try:
        prepare(PARAMS)
        for stage in (baseline, prune_global, prune_layerwise, freeze, masked):
            stage(None, PARAMS)
        pareto(PARAMS)
        opened = open_run("publish", load_params(PARAMS), 0)
    finally:
        os.chdir(before)
    return folder, opened


@pytest.fixture
def run(whole, tmp_path, monkeypatch):
    """A copy of it, as the present folder."""
    folder = tmp_path / "run"
    shutil.copytree(whole[0], folder)
    monkeypatch.chdir(folder)
    return whole[1]


def publish(run, folder):
    """As the command does, but for the network, which is built once."""
    write(replace(run, params=load_params(PARAMS)), PARAMS, Path(folder))


def table(path, name, value, row=0):
    rows = pd.read_csv(path)
    rows.loc[row, name] = value
    rows.to_csv(path, index=False)


def summary(**changes):
    content = json.loads(SUMMARY.read_text())
    content["submitted"].update(changes)
    SUMMARY.write_text(json.dumps(content))


def alter(path):
    """Adds to one weight that is not zero."""
    with h5py.File(path, "r+") as file:
        kernel = file["layers/dense/vars/0"]
        values = kernel[...]
        values[tuple(np.argwhere(values)[0])] += 1
        kernel[...] = values


def trust(*paths, of=FRONTIER):
    """Puts the digests that files have now into the provenance of results: whoever edits them may edit that too."""
    path = of.with_suffix(".provenance.json")
    content = json.loads(path.read_text())
    content["results"].update({str(p): digest(Path(p)) for p in paths})
    path.write_text(json.dumps(content))


def other_point():
    """Another point's weights in the place of the submitted ones."""
    submitted = digest(SUBMITTED)
    shutil.copy(next(p for p in Path("models").glob("*/0/s*.h5") if digest(p) != submitted), SUBMITTED)
    trust(SUBMITTED)


def altered_with_all_digests():
    """A weight altered in the submitted file and in its point's, with every digest that stands for it."""
    chosen = json.loads(SUMMARY.read_text())["submitted"]
    rows = Path("metrics", chosen["method"], "0.csv")
    row = int((pd.read_csv(FRONTIER)["weights_sha256"] == digest(SUBMITTED)).to_numpy().argmax())
    own = int((pd.read_csv(rows)["weights_sha256"] == digest(SUBMITTED)).to_numpy().argmax())
    with h5py.File(SUBMITTED, "r+") as file:
        kernel = file["layers/dense_1/vars/0"]
        kernel[...] = -kernel[...]
    table(FRONTIER, "weights_sha256", digest(SUBMITTED), row)
    table(rows, "weights_sha256", digest(SUBMITTED), own)
    trust(rows, of=rows)
    trust(SUBMITTED, FRONTIER)


def altered_data():
    content = dict(np.load("own.npz"))
    content["x_train"][0, 0] += 1
    np.savez("own.npz", **content)


def rerun_baseline():
    set_params(Path(), baseline={"learning_rate": 0.04})
    baseline(None, PARAMS)


FAULTS = {
    "a weight": (lambda: alter(SUBMITTED), r"models/submitted.weights.h5: expected .*pareto wrote, with SHA-256 .*Rec"),
    "a weight, its digest edited": (
        lambda: (alter(SUBMITTED), trust(SUBMITTED)),
        r"models/submitted.weights.h5: expected the weights of the chosen point .* .* Received: \w{64}$",
    ),
    "weights, every digest edited": (
        altered_with_all_digests,
        r"(pareto.json: expected val_accuracy \S+, as models/submitted|expected results that start from .* as it is n)",
    ),
    "another point's weights": (other_point, r"submitted.weights.h5: expected the weights of the chosen point \("),
    "accuracy": (lambda: summary(test_accuracy=1.0), r"metrics/pareto.json: expected the file that pareto wrote"),
    "accuracy, its digest edited": (
        lambda: (summary(val_accuracy=0.5), trust(SUMMARY)),
        r"metrics/pareto.json: expected val_accuracy \S+, as models/submitted.weights.h5 has it;.* Received: 0.5$",
    ),
    "zeros": (
        lambda: (summary(ledger={"kernel": {"zeros": 1, "parameters": 48}}), trust(SUMMARY)),
        r"expected among kernel weights Zeros\(zeros=\d+, parameters=48\), .*Received: Zeros\(zeros=1, param",
    ),
    "sparsity": (lambda: (summary(sparsity=0.99), trust(SUMMARY)), r"expected \d+ non-zero weights, .*, 0.99$"),
    "a point that is none": (
        lambda: (summary(target_sparsity=0.6), trust(SUMMARY)),
        r"metrics/pareto.json: expected an operating point as the submitted one;.* Received: \w+, seed 0, at 0.6$",
    ),
    "the frontier": (
        lambda: table(FRONTIER, "test_accuracy", 0.25),
        r"frontier.csv: expected the file that pareto",
    ),
    "the frontier, its digest edited": (
        lambda: (table(FRONTIER, "val_accuracy", 0.25), trust(FRONTIER)),
        r"metrics/frontier.csv: expected val_accuracy \S+ in row 1, by the results of prune_global;.* Received: 0.25$",
    ),
    "a row less": (
        lambda: (FRONTIER.write_text("".join(FRONTIER.read_text().splitlines(keepends=True)[:-1])), trust(FRONTIER)),
        r"metrics/frontier.csv: expected the 6 operating points that the present parameters ask for;.*: 5 points, not",
    ),
    "a stage's rows": (
        lambda: table("metrics/masked/0.csv", "val_accuracy", 0.25),
        r"metrics/masked/0.csv: expected the file that masked wrote, .*`prunefront masked --seed 0`. Received: \w{64}$",
    ),
    "epochs": (
        lambda: set_params(Path(), masked={"epochs": 7}),
        r"masked/0.csv: expected results of the present param.* Received: .* with masked.epochs 1, which is 7 now$",
    ),
    "a level": (lambda: set_params(Path(), prune={"levels": [0.5]}), r"made with prune.levels \[0.0, 0.5\], which is"),
    "a recipe": (
        lambda: set_params(Path(), freeze={"recipe": "cosine"}),
        r"metrics/freeze/0.csv: .* made with freeze.recipe plain, which is cosine now$",
    ),
    "a recipe's content": (
        lambda: set_params(
            Path(), recipes={"plain": {**load_params(PARAMS).recipes["plain"].model_dump(), "dropout": 0.5}}
        ),
        r"metrics/baseline/0.csv: .* made with recipes.plain.dropout 1.0, which is 0.5 now$",
    ),
    "the gate": (lambda: set_params(Path(), pareto={"gate": 0.61}), r"with pareto.gate 0.6, which is 0.61 now$"),
    "a seed": (
        lambda: set_params(Path(), seeds=[0, 1]),
        r"Expected metrics/baseline/1.provenance.json, .*--seed 1`",
    ),
    "fractions": (
        lambda: set_params(Path(), data={"test_fraction": 0.3}),
        r"prepare.json: .* with data.test_fraction 0.",
    ),
    "data": (altered_data, r"metrics/prepare.json: expected .*results made with other content of data.path$"),
    "prepared data": (
        lambda: np.save("data/prepared/test_y.npy", 1 - np.load("data/prepared/test_y.npy")),
        r"metrics/prepare.json: expected .* Received: results made with other data than those in data/prepared$",
    ),
    "the network": (
        lambda: keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Dense(2)]).save("net.keras"),
        r"metrics/prepare.json: expected .*results made with other content of model.path$",
    ),
    "a stage run again by hand": (
        rerun_baseline,
        r"metrics/prune_global/0.csv: expected results that start from models/baseline/0/s0.weights.h5 as it is now;",
    ),
    "no provenance": (
        Path("metrics/freeze/0.provenance.json").unlink,
        r"Expected metrics/freeze/0.provenance.json, which says what metrics/freeze/0.csv was made with; run",
    ),
    "damaged provenance": (
        lambda: Path("metrics/freeze/0.provenance.json").write_text("{"),
        r"metrics/freeze/0.provenance.json: expected Provenance as JSON",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_not_so_is_not_published(name, run):
    make, message = FAULTS[name]
    make()
    with pytest.raises(InputError, match=message) as told:
        publish(run, "mine")
    assert "\n" not in str(told.value)
    assert not [path for path in Path().iterdir() if "mine" in path.name]


def test_a_whole_run_is_published_with_its_certificate_in_the_same_bytes_each_time(run):
    publish(run, "one")
    publish(run, "other")
    names = {path.name for path in Path("one").iterdir()}
    assert PUBLISHED <= names <= PUBLISHED | OPTIONAL
    for name in names:
        assert Path("one", name).read_bytes() == Path("other", name).read_bytes(), name
    with zipfile.ZipFile("one/submitted.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    submitted = json.loads(SUMMARY.read_text())["submitted"]
    assert verify(Path("one/submitted.npz"))["zeros"] == submitted["ledger"]["all"]["zeros"]
    for mine, theirs in zip(load_weights("one/submitted.npz"), load_weights(SUBMITTED), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    publish(run, "one")  # over earlier results


@pytest.mark.usefixtures("run")
def test_the_majority_class_is_beside_the_others(capsys):
    labels = {name: np.load(f"data/prepared/{name}_y.npy") for name in ("train", "validation", "test")}
    largest = np.bincount(labels["train"]).argmax()
    majority = json.loads(SUMMARY.read_text())["majority"]
    shares = [float((labels[name] == largest).mean()) for name in ("validation", "test")]
    assert majority == {"name": str(largest), "val_accuracy": shares[0], "test_accuracy": shares[1]}
    print_frontier()
    assert f"always {largest}, the commonest class: validation accuracy {shares[0]:.4f}" in capsys.readouterr().out


# --- what results were made with


STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
del STAGES["report"]  # `publish` makes the page anew


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "prepare"])
def test_a_provenance_names_the_parameters_that_dvc_watches(stage, tmp_path):
    params = load_params(edited(tmp_path))
    recipe = getattr(params.section(stage), "recipe", None) if stage not in ("pareto", "export") else None
    watched = {name.partition("${")[0] + recipe if "${" in name else name for name in STAGES[stage]["params"]}
    watched -= {"seeds"} if stage != "pareto" else set()  # a seed's results know nothing of the others
    assert set(relevant(params, stage)) == watched


def test_a_provenance_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = load_params(edited(tmp_path))
    Path("prepared").mkdir()
    Path("prepared/x.npy").write_bytes(b"1")
    Path("rows.csv").write_text("a")
    arguments = "masked", params, Path("prepared"), Path("rows.csv"), "run it"
    write_provenance("masked", params, Path("prepared"), [Path("rows.csv")], {"models/a.h5": "0" * 64}, ["odd"])
    noted = check_provenance(*arguments)
    assert noted.results == {"rows.csv": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}
    assert (noted.starts, noted.warnings, noted.files) == ({"models/a.h5": "0" * 64}, ["odd"], {})
    assert noted.params["masked"]["epochs"] == params.masked.epochs
    Path("rows.csv").unlink()
    with pytest.raises(InputError, match=r"^rows.csv: expected .* SHA-256 ca978\w+; run it. Received: no such file$"):
        check_provenance(*arguments)


def test_a_folder_s_digest_is_of_names_and_contents(tmp_path):
    def made(**files):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, content in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tree_digest(folder)

    one = made(a="1", b__c="2")
    assert one == made(b__c="2", a="1")
    assert len({one, made(a="1", b__c="3"), made(a="1", b__d="2"), made(a="1"), made(a="12", b__c="")}) == 5


def test_every_section_is_named_by_some_stage(tmp_path):
    """So that no change of a parameter goes unnoticed."""
    params = load_params(edited(tmp_path))
    named = {name.partition(".")[0] for stage in STAGES for name in relevant(params, stage)}
    assert named == set(Params.model_fields)
