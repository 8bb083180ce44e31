"""Results, prepared data and models that are not what a stage wrote, and code that misbehaves: one line each."""

import json
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.common.files import read_json, write_json
from prunefront.common.params import load_params
from prunefront.data.splits import read_class_names, read_split
from prunefront.frontier.submission import load_baselines, load_frontier
from prunefront.frontier.summary import read_summary
from prunefront.models.build import build_model
from prunefront.models.model_files import load_model
from prunefront.pipeline.points import COLUMNS, FRONTIER_COLUMNS, read_points
from prunefront.pipeline.run import open_run
from prunefront.pipeline.store import FRONTIER, SUMMARY, load_nearest, load_rows, write_no_points, write_rows
from prunefront.sources.read import load
from prunefront.tools.compare import load_runs
from prunefront.tools.publish import Spent, publish
from prunefront.tools.show import print_frontier
from tests.faults.corpus import Fault, refused
from tests.helpers import data_params, edited

OTHERS = ("freeze", "masked", "gradual", "iterative", "magnitude_rewind", "random", "small_dense", "recalibrate")
POINT = dict.fromkeys(COLUMNS, 0) | {"method": "prune_global", "target_sparsity": 0.5, "sparsity": 0.5}
POINT |= {"val_accuracy": 0.75, "val_loss": 1.5, "parameters": 4, "nonzero": 2, "weights_sha256": "0" * 64}
RESULT = POINT | {"score": 0.625, "on_frontier": True, "eligible": True, "test_accuracy": 0.5}
ACCURACIES = {"val_accuracy": 0.75, "test_accuracy": 0.5}
WHOLE = {
    "submitted": {key: RESULT[key] for key in ("method", "seed", "target_sparsity", "sparsity", "nonzero", "score")}
    | {"above_gate": True, "ledger": {"kernel": {"zeros": 1, "parameters": 2}}, **ACCURACIES},
    "baseline": {"seed": 0, **ACCURACIES},
    "hypervolume": {"prune_global": 0.4},
}
SUMMARY_TEXT = json.dumps(WHOLE)
DEEP = "[" * 100_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """Methods 1 and 2 at a single level."""
    levels = [(f"{section}.levels", []) for section in OTHERS]
    return load_params(edited(tmp_path_factory.mktemp("params"), ("prune.levels", [0.5]), *levels))


# --- tables of operating points


def stages():
    """The results of the stages, whole."""
    for stage, level in (("prune_global", 0.5), ("prune_layerwise", 0.5), ("baseline", 0.0)):
        row = POINT | {"method": stage, "target_sparsity": level}
        write_rows(stage, 0, pd.DataFrame([row], columns=COLUMNS), {"epochs": 0})


def text(row):
    return ",".join(map(str, row))


HEAD, ROW = text(COLUMNS), text(POINT.values())


def cell(name, value):
    return f"{HEAD}\n{text((POINT | {name: value}).values())}\n"


TABLES = {
    "nothing": "",
    "a heading alone": HEAD + "\n",
    "no heading": ROW + "\n",
    "other columns": "a,b\n1,2\n",
    "a column twice": f"{HEAD},seed\n{ROW},0\n",
    "a row less": f"{HEAD}\n",
    "a row more": f"{HEAD}\n{ROW}\n{ROW}\n",
    "a short row": f"{HEAD}\nprune_global,0\n",
    "NUL bytes": "\0" * 100,
    "an open quote": f'{HEAD}\n"{ROW}\n',
    "another method": cell("method", "masked"),
    "another seed": cell("seed", 1),
    "another level": cell("target_sparsity", 0.6),
    **{
        f"{name} {value}": cell(name, value)
        for name in ("sparsity", "val_accuracy", "target_sparsity")
        for value in ("", "abc", "nan", "-inf", "inf", "null", "[]", "True", "-0.1", "1.5", "1e999")
    },
    **{f"nonzero {value}": cell("nonzero", value) for value in ("", "abc", "-1", "1.5", "inf", "True", "9" * 400)},
    **{f"val_loss {value}": cell("val_loss", value) for value in ("", "abc", "nan", "-inf", "True")},
    "no digest": cell("weights_sha256", ""),
}


@pytest.mark.parametrize("name", TABLES)
def test_damaged_rows_are_refused_and_never_left_out(name, params):
    stages()
    assert len(load_frontier(params)) == 2
    rows = Path("metrics/prune_global/0.csv")
    rows.write_text(TABLES[name])
    refused(Fault(lambda _: params, load_frontier, r"metrics/prune_global/0.csv: expected"), Path())


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"\xff\xfe\x00"), lambda path: path.mkdir()])
def test_rows_that_are_no_text_file_are_refused(make, params):
    stages()
    path = Path("metrics/prune_global/0.csv")
    path.unlink()
    make(path)
    refused(Fault(lambda _: params, load_frontier, r"0.csv: expected rows .*a damaged or different file"), Path())


def test_missing_rows_are_refused(params):
    stages()
    Path("metrics/prune_layerwise/0.csv").unlink()
    refused(Fault(lambda _: params, load_frontier, "run `dvc repro`, .*prunefront prune_layerwise --seed 0"), Path())
    write_no_points("baseline", 0)
    refused(Fault(lambda _: params, load_baselines, "a row of baseline, seed 0, for each of its levels"), Path())


def test_whole_rows_are_read_as_they_were_written(params):
    stages()
    rows = load_rows("prune_global", 0, params.levels("prune_global"))
    assert rows.to_dict("records") == [POINT]
    assert list(rows) == COLUMNS


@settings(max_examples=60)
@given(st.sampled_from(COLUMNS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.floats().map(str))
def test_any_cell_is_refused_in_one_line_or_what_its_column_says(name, value):
    path = Path("rows.csv")
    pd.DataFrame([POINT | {name: value}], columns=COLUMNS).to_csv(path, index=False)
    try:
        rows = read_points(path, COLUMNS)
    except InputError as error:
        rows = str(error)
    if isinstance(rows, str):
        assert "\n" not in rows
    else:
        assert rows.drop(columns=["method", "weights_sha256"]).map(np.isfinite).to_numpy().all()
        assert rows[["sparsity", "val_accuracy", "target_sparsity"]].map(lambda share: 0 <= share <= 1).to_numpy().all()


# --- the result of the last stage


FIRST = text(FRONTIER_COLUMNS)
LINES = f"{FIRST}\n{text(RESULT.values())}\n"


def result(summary=SUMMARY_TEXT, frontier=LINES):
    def make(_):
        Path("models").mkdir()
        Path("metrics").mkdir()
        Path("models/submitted.weights.h5").write_bytes(b"")
        Path("metrics/pareto.png").write_bytes(b"")
        SUMMARY.write_text(summary)
        FRONTIER.write_text(frontier)

    return make


def without(key, entry):
    return json.dumps({**WHOLE, key: {k: v for k, v in WHOLE[key].items() if k != entry}})


SUMMARIES = {
    "nothing": "",
    "text": "hello",
    "a number": "5",
    "null": "null",
    "a list": "[]",
    "an empty mapping": "{}",
    "half": SUMMARY_TEXT[:100],
    "lists 100,000 deep": DEEP,
    "mappings 100,000 deep": '{"a":' * 100_000,
    "a number of 5,000 digits": SUMMARY_TEXT.replace('"nonzero": 2', f'"nonzero": {"9" * 5000}'),
    "NaN": SUMMARY_TEXT.replace("0.625", "NaN"),
    "-Infinity": SUMMARY_TEXT.replace("0.625", "-Infinity"),
    "a share above 1": SUMMARY_TEXT.replace("0.625", "1.5"),
    "a share as text": SUMMARY_TEXT.replace("0.625", '"0.625"'),
    "a list as a number": SUMMARY_TEXT.replace("0.625", "[]"),
    "a flag as a number": SUMMARY_TEXT.replace('"above_gate": true', '"above_gate": 1'),
    "no ledger": without("submitted", "ledger"),
    "no accuracy": without("baseline", "test_accuracy"),
    "a ledger of another kind": SUMMARY_TEXT.replace('{"zeros": 1, "parameters": 2}', "null"),
    "a submitted point that is none": json.dumps({**WHOLE, "submitted": None}),
}
FRONTIERS = {
    "nothing": "",
    "a heading alone": FIRST + "\n",
    "a stage's rows": f"{HEAD}\n{ROW}\n",
    "a flag of another kind": f"{FIRST}\n{text((RESULT | {'on_frontier': 'maybe'}).values())}\n",
    "a score as text": f"{FIRST}\n{text((RESULT | {'score': 'high'}).values())}\n",
    "no test accuracy": f"{FIRST}\n{text((RESULT | {'test_accuracy': ''}).values())}\n",
}


def published(params):
    return lambda _: publish(SimpleNamespace(params=params), Path("params.yaml"), Path("out"))


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_damaged_summary_is_neither_shown_nor_published(name, params, tmp_path, monkeypatch):
    monkeypatch.setattr("prunefront.tools.publish._operating_points", lambda _: {("prune_global", 0, 0.5)})
    make = result(summary=SUMMARIES[name])
    refused(Fault(make, lambda _: print_frontier(), "metrics/pareto.json: expected Summary as JSON"), tmp_path)
    refused(Fault(lambda _: None, published(params), "metrics/pareto.json: expected Summary as JSON"), tmp_path)


@pytest.mark.parametrize("name", FRONTIERS)
def test_a_damaged_frontier_is_neither_shown_nor_published(name, params, tmp_path):
    make = result(frontier=FRONTIERS[name])
    message = "metrics/frontier.csv: expected rows|Expected metrics/frontier.csv to be by the parameters"
    refused(Fault(make, published(params), message), tmp_path)
    if name != "a heading alone":  # an empty frontier is shown as one
        refused(Fault(lambda _: None, lambda _: print_frontier(), "metrics/frontier.csv: expected rows"), tmp_path)


def test_a_whole_result_is_shown(tmp_path, capsys):
    result()(tmp_path)
    print_frontier()
    assert "submitted: prune_global at 50.00% sparsity, score 0.6250" in capsys.readouterr().out
    assert read_summary().model_dump() == WHOLE


SPENT = {"rows_sha256": "0", "epochs": 1, "images": 2, "forward_passes": 3, "seconds": 1.5}


@pytest.mark.parametrize(
    "content",
    [
        *("", "null", "[]", DEEP, "{}"),
        *(json.dumps(SPENT | {"seconds": value}) for value in (None, "1", -1, float("nan"), float("-inf"), [])),
        *(json.dumps(SPENT | {"epochs": value}) for value in (None, "1", -1, 1.5, True)),
    ],
)
def test_a_damaged_cost_is_refused(content, tmp_path):
    path = tmp_path / "0.json"
    path.write_text(content)
    refused(Fault(lambda _: path, partial(read_json, kind=Spent), "0.json: expected Spent as JSON"), tmp_path)
    write_json(path, SPENT)
    assert read_json(path, Spent).model_dump() == SPENT


# --- runs side by side

WIDE = {
    "columns of one name": (",c" * 100_000, ",1" * 100_000),
    "columns of a needed name": (",sparsity" * 100_000, ",0.5" * 100_000),
}
NEEDED = ("method", "seed", "target_sparsity", "sparsity", "val_accuracy")


def run(names, cells):
    Path("mine").mkdir()
    row = text(POINT[name] for name in NEEDED)
    Path("mine/frontier.csv").write_text(f"{text(NEEDED)}{names}\n{row}{cells}\n")
    return [Path("mine")]


@pytest.mark.parametrize("name", WIDE)
def test_a_table_with_columns_of_one_name_is_refused_at_once(name, tmp_path):
    refused(Fault(lambda _: run(*WIDE[name]), load_runs, "columns of one name among 100005 columns"), tmp_path)


@pytest.mark.parametrize("names", ["," * 100_000, "".join(f",c{i}" for i in range(100_000))])
def test_further_columns_of_a_table_are_not_read(names):
    points = load_runs(run(names, ",1" * 100_000))
    assert list(points) == [*NEEDED, "run", "test_accuracy", "eligible"]


def test_more_methods_than_a_picture_can_hold_are_refused(tmp_path):
    def make(_):
        row = text([POINT[name] for name in NEEDED[1:]])
        return run("", "\n" + "\n".join(f"m{index},{row}" for index in range(501)))

    refused(Fault(make, load_runs, "at most 500 methods of all runs together. Received: 502"), tmp_path)


# --- prepared data and the files of other stages


def prepared(path):
    path.mkdir(parents=True)
    for name in ("train", "validation", "test"):
        np.save(path / f"{name}_x.npy", np.zeros((4, 10, 10, 1), np.uint8))
        np.save(path / f"{name}_y.npy", np.arange(4) % 2)
    about = {"class_names": ["a", "b"], "pixel_range": [0.0, 1.0], "streamed": False}
    (path / "about.json").write_text(json.dumps(about))


def about(**changes):
    return lambda path: (path / "about.json").write_text(
        json.dumps({"class_names": ["a", "b"], "pixel_range": [0.0, 1.0], "streamed": False} | changes)
    )


def array(name, value):
    return lambda path: np.save(path / f"validation_{name}.npy", value)


def both(*changes):
    return lambda path: [change(path) for change in changes]


def raw(name, content):
    return lambda path: (path / name).write_bytes(content)


IMAGES = np.zeros((4, 10, 10, 1), np.uint8)
PREPARED = {
    "no JSON": raw("about.json", b"hello"),
    "JSON not in UTF-8": raw("about.json", b'{"class_names": ["\xff"]}'),
    "deep JSON": raw("about.json", DEEP.encode()),
    "class names as a number": about(class_names=5),
    "class names as text": about(class_names="ab"),
    "class names as numbers": about(class_names=[1, 2]),
    "one class": about(class_names=["a"]),
    "a range of one": about(pixel_range=[0]),
    "a range as text": about(pixel_range="01"),
    "a range without end": raw(
        "about.json", b'{"class_names": ["a", "b"], "pixel_range": [0, Infinity], "streamed": false}'
    ),
    "streamed: null": about(streamed=None),
    "fewer labels": array("y", np.arange(3) % 2),
    "no examples": both(array("x", IMAGES[:0]), array("y", np.zeros(0, np.int64))),
    "labels as floats": array("y", np.zeros(4)),
    "labels as text": array("y", np.array(["a"] * 4)),
    "labels in columns": array("y", np.zeros((4, 1), np.int64)),
    "a label of no class": array("y", np.arange(4)),
    "a label below 0": array("y", -np.arange(4)),
    "examples as text": array("x", np.array(["a"] * 4)),
    "examples as text of shape (4, 2)": array("x", np.full((4, 2), "a")),
    "examples as records": array("x", np.zeros(4, [("a", int)])),
    "examples as complex numbers": array("x", np.zeros((4, 2), complex)),
    "a single value": array("x", np.array(1.0)),
    "NaN": array("x", np.full((4, 2), np.nan)),
    "an archive as labels": lambda path: (
        np.savez(path / "validation_y.npy.npz", a=1)
        or (path / "validation_y.npy.npz").replace(path / "validation_y.npy")
    ),
    "half of the examples": lambda path: (path / "validation_x.npy").write_bytes(
        (path / "validation_x.npy").read_bytes()[:200]
    ),
    "no labels": lambda path: (path / "validation_y.npy").unlink(),
    "a folder": lambda path: (path / "validation_y.npy").unlink() or (path / "validation_y.npy").mkdir(),
    **{
        f"streamed, {name}": both(about(streamed=True), array("x", value))
        for name, value in {
            "in columns": np.asfortranarray(np.zeros((4, 3, 3), np.uint8)),
            "records": np.zeros(4, [("a", int)]),
            "text": np.full((4, 2), "a"),
            "a single value": np.array(1),
            "fewer": IMAGES[:3],
        }.items()
    },
    "streamed, no array": both(about(streamed=True), raw("validation_x.npy", b"\x93NUMPY\x01\x00\xff\xff")),
    "streamed, half": both(about(streamed=True), raw("validation_x.npy", b"")),
}


@pytest.mark.parametrize("name", PREPARED)
def test_prepared_data_of_the_wrong_kind_or_length_are_refused(name, tmp_path):
    def make(folder):
        prepared(folder / "data")
        read_split("validation", folder / "data")
        PREPARED[name](folder / "data")
        return folder / "data"

    def read(path):
        return read_class_names(path), read_split("validation", path)

    refused(Fault(make, read, "Expected prepared data in .*`prunefront prepare`. Received: "), tmp_path)


@pytest.mark.parametrize(
    "file", ["sXY.weights.h5", "s.weights.h5", "s9_.weights.h5", "s100.weights.h5", "s1e1.weights.h5"]
)
def test_a_foreign_file_among_a_stage_s_weights_is_named(file, tmp_path):
    def make(folder):
        (folder / "models" / "freeze" / "0").mkdir(parents=True)
        (folder / "models" / "freeze" / "0" / file).write_bytes(b"")

    meet = lambda _: load_nearest("freeze", 0, 0.5)  # noqa: E731
    refused(Fault(make, meet, rf"models/freeze/0: expected weight files of a stage.*{re.escape(file)}"), tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (np.array(5), "at least 2 classes"),
        (np.array([1.5, 2.5]), "class_names: .*dtype float64"),
        (np.array([b"\xff\xfe", b"b"]), "class_names: .*UTF-8"),
        (np.zeros(2, [("a", int)]), "class_names: .*dtype"),
    ],
)
def test_class_names_that_are_none_are_refused(names, message, tmp_path):
    def make(folder):
        x = np.zeros((40, 12, 12, 1), np.float32)
        np.savez(folder / "data.npz", x_train=x, y_train=np.arange(40) % 2, class_names=names)
        edited(folder)
        return data_params(folder, source="npz", path=str(folder / "data.npz"), image_size=None)

    refused(Fault(make, load, message), tmp_path)


# --- models, and the user's own code

BUILDERS = """
import os, random, keras
from keras import layers

class Odd(BaseException):
    pass

def odd(shape, classes):
    raise Odd("two\\nlines")

def generator(shape, classes):
    raise GeneratorExit

def cancelled(shape, classes):
    import asyncio
    raise asyncio.CancelledError("no")

def leaves(shape, classes):
    os._exit(0)

def interrupted(shape, classes):
    raise KeyboardInterrupt

def deep(shape, classes):
    return deep(shape, classes)

sizes = iter(range(3, 100))

def varies(shape, classes):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(next(sizes)), layers.Dense(classes)])

def forks(shape, classes):
    child = os.fork()
    if not child:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes)])
"""


def builder(name):
    def make(folder):
        Path("own_net.py").write_text(BUILDERS)
        return load_params(edited(folder, ("model.builder", f"own_net:{name}")))

    return make


@pytest.fixture
def own_net(monkeypatch):
    import sys

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("own_net", None)


@pytest.mark.parametrize(
    ("name", "received"),
    [
        ("odd", "Odd: two lines"),
        ("generator", "GeneratorExit"),
        ("cancelled", "CancelledError: no"),
        ("leaves", r"SystemExit: os._exit\(0\)"),
        ("deep", "RecursionError"),
    ],
)
@pytest.mark.usefixtures("own_net")
def test_whatever_a_builder_raises_is_one_line(name, received, tmp_path):
    def meet(params):
        return build_model(params.model, (10, 10, 1), 2)

    refused(Fault(builder(name), meet, rf"own_net:{name}\(.* to return a Keras model. Received: {received}"), tmp_path)


@pytest.mark.usefixtures("own_net")
def test_a_user_can_interrupt_a_builder_and_a_builder_its_children(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build_model(builder("interrupted")(tmp_path).model, (10, 10, 1), 2)
    assert build_model(builder("forks")(tmp_path).model, (10, 10, 1), 2).built


@pytest.mark.usefixtures("own_net")
def test_a_builder_that_varies_its_network_is_refused(tmp_path):
    def make(folder):
        prepared(folder / "data" / "prepared")
        return builder("varies")(folder)

    def meet(params):
        return open_run("baseline", params, 0).make_model()

    refused(Fault(make, meet, "own_net:varies to build the same network each time. Received: another"), tmp_path)


@pytest.mark.parametrize("content", [DEEP, '{"a":' * 900 + "1" + "}" * 900, "", "null", "5", "\xff"])
def test_a_model_file_with_an_odd_description_is_refused(content, tmp_path):
    import zipfile

    def make(folder):
        with zipfile.ZipFile(folder / "m.keras", "w") as archive:
            archive.writestr("config.json", content)
            archive.writestr("metadata.json", "{}")
        return folder / "m.keras"

    refused(Fault(make, partial(load_model, trust=False), "m.keras: expected a"), tmp_path)
