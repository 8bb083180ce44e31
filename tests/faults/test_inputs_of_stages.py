"""Prepared data, weights and models that are not what they should be, and code of the user's that misbehaves."""

import json
import re
import sys
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from prunefront.common.params import load_params
from prunefront.data.splits import read_class_names, read_split
from prunefront.models.build import build_model
from prunefront.models.model_files import load_model
from prunefront.pipeline.run import open_run
from prunefront.pipeline.store import load_nearest
from prunefront.sources.read import load
from tests.faults.corpus import Fault, refused
from tests.helpers import data_params, edited

DEEP = "[" * 100_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
    def make(folder):
        with zipfile.ZipFile(folder / "m.keras", "w") as archive:
            archive.writestr("config.json", content)
            archive.writestr("metadata.json", "{}")
        return folder / "m.keras"

    refused(Fault(make, partial(load_model, trust=False), "m.keras: expected a"), tmp_path)
