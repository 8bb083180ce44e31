"""Warnings of results that mean little: examples that were seen, copies, statistics of a short training."""

import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prunefront.common.params import load_params
from prunefront.common.runtime import keras
from prunefront.data.splits import Split
from prunefront.frontier.submission import noted_warnings
from prunefront.models.first_look import first_look
from prunefront.models.leakage import at_least, leakage_doubt
from prunefront.sources.images import ImageFiles
from prunefront.sources.read import load
from prunefront.sources.splits import Dataset, Labelled, doubts
from prunefront.training.statistics import statistics_doubt
from prunefront.training.trainer import compile_classifier
from stages.baseline import baseline
from stages.prepare import prepare
from tests.helpers import data_params, edited, write_images

layers = keras.layers


# --- a network that knows the examples


ROWS = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
CODES = (ROWS @ [[3.0], [1.0], [0.5], [0.2]] > 0).astype(np.int64)[:, 0]


def knowing(bias=1e-3, shift=0.0):
    """A network that answers `CODES` as they are, or, far shifted, always the same."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="head")])
    kernel = np.array([[3.0], [1.0], [0.5], [0.2]]) * [[-1, 1]]
    model.set_weights([kernel, np.array([bias + shift, bias])])
    return model


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def params(model, *edits, **arrays):
        model.save("own.keras")
        np.savez("own.npz", **{"x_train": ROWS, "y_train": CODES, **arrays})
        data = ("data.source", "npz"), ("data.path", "own.npz"), ("data.image_size", None)
        return edited(tmp_path, *data, ("model.path", "own.keras"), *edits)

    return params


def said(path):
    """What `prepare` warns of, after a check that it keeps it with the results."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prepare(path)
    lines = [str(one.message) for one in caught]
    assert noted_warnings(load_params(path)) == lines
    return " ".join(lines)


OWN_VALIDATION = {"x_val": -ROWS[:9], "y_val": 1 - CODES[:9]}
OWN_TEST = {"x_test": ROWS[:9] * 2, "y_test": CODES[:9]}
KNOWN = "before anything is trained the network answers 100.0% of"
CASES = {
    "carved": (knowing(), {}, rf"^{KNOWN} 60 examples right, and validation and test are carved .*x_val .*x_test"),
    "a test split of its own": (
        knowing(),
        OWN_TEST,
        rf"^{KNOWN} 60 .* and validation are .*not seen \(x_val or a ",
    ),
    "splits of its own": (knowing(), OWN_TEST | OWN_VALIDATION, "^$"),
    "a last layer from the beginning": (knowing(bias=0), {}, "^$"),
    "one answer": (knowing(shift=99), {}, "^$"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_network_that_knows_carved_examples_is_named(name, project):
    model, arrays, expected = CASES[name]
    assert re.search(expected, said(project(model, **arrays)))


def test_weights_by_a_file_are_tried_as_well_and_random_ones_not(project, tmp_path):
    knowing().save_weights("own.weights.h5")
    (tmp_path / "leak_net.py").write_text(
        "import keras\ndef build(shape, classes):\n"
        "    return keras.Sequential([keras.Input(shape), keras.layers.Dense(classes, name='head')])\n"
    )
    own = ("model.path", "inputs/none"), ("model.builder", "leak_net:build")
    sys.path.insert(0, str(tmp_path))
    try:
        unwatched = "DVC will not notice a change in the builder's code; set model.code to its file or folder"
        assert said(project(knowing(), *own)) == unwatched
        assert KNOWN in said(project(knowing(), *own, ("model.weights", "own.weights.h5")))
    finally:
        sys.path.remove(str(tmp_path))


def test_right_answers_by_chance():
    assert at_least(0, 4, 0.5) == 1
    assert at_least(3, 4, 0.5) == 5 / 16  # of 16 outcomes 4 have three right, 1 has all
    assert at_least(4, 4, 0.5) == 1 / 16
    assert at_least(2, 2, 1.0) == 1
    assert 0 < at_least(600, 600, 0.9) < 1e-20


def test_few_right_answers_of_few_examples_say_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    knowing().save("own.keras")
    look = first_look(load_params(edited(tmp_path, ("model.path", "own.keras"))), ROWS[:4], 2)
    few, many = slice(0, 6), slice(0, 40)
    assert leakage_doubt(look, ROWS[few], CODES[few], ["test"]) is None
    assert "100.0% of 40 examples right, and test are" in leakage_doubt(look, ROWS[many], CODES[many], ["test"])
    assert leakage_doubt(look, ROWS[many], CODES[many], []) is None


# --- examples in two splits


def dataset(train, validation, test):
    splits = [Labelled(np.array(x, np.float32), np.arange(len(x)) % 2) for x in (train, validation, test)]
    return Dataset(*splits, ("a", "b"))


def test_copies_are_counted_by_hand():
    data = dataset([[1, 2], [3, 4], [1, 2]], [[5, 6], [3, 4]], [[5, 6], [2, 1], [1, 2]])
    assert {name: rows.tolist() for name, rows in data.copies.items()} == {"validation": [1], "test": [0, 2]}
    rest = (
        "accuracies on them are not those on new examples; leave the copies out, or bring splits of your own that "
        "share none"
    )
    copies = "examples are exact copies of training"
    assert doubts(data, None, 0.9) == [
        f"1 of 2 validation {copies} examples, the first of them in row 1 of the validation split: {rest}",
        f"2 of 3 test {copies} or validation examples, the first of them in row 0 of the test split: {rest}",
    ]
    clean = dataset([[1, 2], [3, 4]], [[5, 6], [4, 3]], [[7, 8], [2, 1]])
    assert doubts(clean, None, 0.9) == []


def test_files_of_one_image_are_copies(tmp_path):
    write_images(tmp_path / "all", count=3)
    cats = sorted((tmp_path / "all" / "cat").iterdir())
    Image.open(cats[0]).save(tmp_path / "other.png")
    (tmp_path / "same.png").write_bytes(cats[0].read_bytes())

    def files(*paths):
        return Labelled(ImageFiles(np.array([str(p) for p in paths]), (4, 4), 1), np.zeros(len(paths), np.int64))

    data = Dataset(files(*cats), files(tmp_path / "all/dog/0.png"), files(tmp_path / "same.png"), ("a", "b"))
    assert {name: rows.tolist() for name, rows in data.copies.items()} == {"validation": [], "test": [0]}


@pytest.mark.parametrize("size", [[8, 8], [25, 25]])
def test_the_digits_have_no_copies(size, tmp_path):
    data = load(data_params(tmp_path, image_size=size))
    assert data.carved == ("validation", "test")
    assert {name: len(rows) for name, rows in data.copies.items()} == {"validation": 0, "test": 0}


def test_prepare_writes_how_many_there_are(project):
    twice = project(knowing(bias=0), x_test=ROWS[:9], y_test=CODES[:9])
    assert "9 of 9 test examples are exact copies" in said(twice)
    counts = json.loads(Path("metrics/prepare.json").read_text())
    assert (counts["validation_copies"], counts["test_copies"]) == (0, 9)


# --- statistics of a short training


FAR = Split(np.float32([[8.0], [9.0], [11.0], [12.0]] * 50), np.array([0, 0, 1, 1] * 50))


def normalized(mean, variance):
    """The sign of what is left of x once a mean is taken away."""
    model = keras.Sequential([keras.Input((1,)), layers.BatchNormalization(momentum=0.99), layers.Dense(2)])
    model.set_weights(
        [np.ones(1), np.zeros(1), np.full(1, mean), np.full(1, variance), np.array([[-1, 1]]), np.zeros(2)]
    )
    compile_classifier(model)
    return model


def test_statistics_far_from_the_data_are_named_with_what_they_cost():
    # with a mean of 0 all are positive, half of them class 1; with the data's mean of 10 all are right
    doubt = statistics_doubt(normalized(0, 1), FAR, FAR, 40, 20)
    assert doubt == (
        "the dense network's validation accuracy is 0.5000 with the moving statistics of BatchNormalization and 1.0000 "
        "with those measured over the training split: after 20 training steps at momentum 0.99 they still hold 81.8% "
        "of what they began with; raise baseline.epochs, lower baseline.batch_size or the layers' momentum, or see the "
        "recalibrated series (recalibrate.levels)"
    )
    assert "bring weights with statistics of these data" in statistics_doubt(normalized(0, 1), FAR, FAR, 40, 0)
    assert statistics_doubt(normalized(10, 2.5), FAR, FAR, 40, 20) is None


def test_a_short_baseline_says_so_and_the_last_stage_reads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(100, 1, size=(300, 4)).astype(np.float32)
    np.savez("own.npz", x_train=x, y_train=(x[:, 0] > 100).astype(np.int64))
    keras.Sequential([keras.Input((4,)), layers.BatchNormalization(), layers.Dense(2)]).save("own.keras")
    data = ("data.source", "npz"), ("data.path", "own.npz"), ("data.image_size", None), ("model.path", "own.keras")
    short = ("baseline.epochs", 2), ("baseline.keep_epoch", 0), ("magnitude_rewind.levels", [])
    path = edited(tmp_path, *data, *short, ("baseline.batch_size", 32), ("baseline.learning_rate", 0.1))
    prepare(path)
    with pytest.warns(UserWarning, match=r"12 training steps at momentum 0.99 they still hold 88.6% of"):
        baseline(None, path)
    (noted,) = noted_warnings(load_params(path))
    assert noted.startswith("the dense network's validation accuracy is 0.")
