"""`stages.inspect`: what it says of a network before anything is trained."""

import textwrap

import numpy as np
import pytest

from prunefront import InputError
from prunefront.tools.inspection import print_inspection
from tests.helpers import edited

BUILDERS = """
    import keras
    import numpy as np
    from keras import layers


    def shared(shape, classes):
        inputs = keras.Input(shape)
        layer = layers.Dense(4, name="twice")
        x = layers.BatchNormalization(name="norm")(layer(layer(inputs)))
        return keras.Model(inputs, layers.Dense(classes, name="head")(x))

    def frozen(shape, classes):
        model = shared(shape, classes)
        model.trainable = False
        return model

    def tokens(shape, classes):
        inputs = keras.Input(shape)
        x = layers.Flatten()(layers.Embedding(2, 3)(inputs * 0 + 7))
        return keras.Model(inputs, layers.Dense(classes)(x))

    def begun(shape, classes):
        inputs = keras.Input(shape)
        x = layers.Dense(40_000, name="wide")(inputs)
        x = layers.Dense(3, kernel_initializer="zeros", use_bias=False)(x)  # as the last of a residual branch
        model = keras.Model(inputs, layers.Dense(classes)(x))
        values = np.ones((4, 40_000))
        values[0, 0] = 0  # by chance
        model.get_layer("wide").kernel.assign(values)
        return model

    def regression(shape, classes):
        return keras.Sequential([keras.Input(shape), layers.Dense(1, activation="relu")])
"""


@pytest.fixture
def inspect(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = f"nets_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(textwrap.dedent(BUILDERS))
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=np.arange(60) % 3)

    def inspected(builder, *edits):
        data = ("data.source", "npz"), ("data.path", "own.npz"), ("data.image_size", None)
        print_inspection(edited(tmp_path, *data, ("model.builder", f"{module}:{builder}"), *edits))
        printed = capsys.readouterr().out
        assert not (tmp_path / "data").exists()  # it writes nothing
        return printed

    return inspected


def cells(printed, *beginning):
    """The row of a table that begins with these cells."""
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in printed.splitlines() if "│" in line]
    return next(row for row in rows if row[: len(beginning)] == list(beginning))


LEVELS = "prune.levels", [0, 0.5, 0.9, 0.925, 0.99]


def test_layers_counts_and_work_by_hand(inspect):
    printed = inspect("shared", LEVELS)
    # 16 weights, used twice
    assert cells(printed, "twice", "Dense", "kernel")[3:] == ["4x4", "float32", "16", "31.4%", "0", "32", "yes"]
    assert cells(printed, "norm", "BatchNormalization", "gamma")[-1] == "no, normalization"
    assert cells(printed, "norm", "BatchNormalization", "moving_mean")[-1] == "no, normalization"
    assert ": 51 parameters" in printed
    assert "prunable: 35 of 43 trainable parameters; kernels 28; all 51" in printed
    assert "multiply-adds per example: 44" in printed
    assert "warning: twice is used 2 times with the same weights" in printed
    assert "model.code" in printed
    # 99 % of 35: floor(.99 * 34) + 1 = 34 of 43
    assert cells(printed, "prune_global")[1:] == ["5", "0.0000%", "79.0698%", "79.0698%"]
    assert cells(printed, "small_dense")[-1] == "left out"
    assert "removes all of twice" in printed
    assert "prune.floor: 1 keeps a weight of each array" in printed


def test_a_floor_keeps_every_layer_alive(inspect):
    printed = inspect("shared", ("prune.floor", 1), LEVELS)
    assert "removes all of" not in printed
    # of 35 in 4 arrays 31 may go (at 0.9 they do); method 2 stops in each array at the one that is kept
    assert cells(printed, "prune_global")[3:] == [
        "79.0698%",
        "72.0930%",
        "0.925, 0.99: prune.floor keeps more",
    ]
    assert cells(printed, "prune_layerwise")[3:] == ["72.0930%", "72.0930%"]


def test_the_largest_array_that_is_not_prunable_is_named_with_its_reason(inspect):
    printed = inspect("shared", ("prune.exclude", ["twice"]), ("prune.biases", False))
    assert (
        "only 12 of 43 trainable parameters are prunable; "
        "the largest array that is not: twice/kernel (in prune.exclude)" in printed
    )


def test_patterns_decide_what_is_prunable(inspect):
    printed = inspect("shared", ("prune.exclude", ["head"]), ("prune.biases", False))
    assert cells(printed, "head", "Dense", "kernel")[-1] == "no, in prune.exclude"
    assert cells(printed, "head", "Dense", "bias")[-1] == "no, prune.biases is false"
    assert "prunable: 16 of 43" in printed
    with pytest.raises(InputError, match=r"did you mean head\? Received: 'haed', which no layer has"):
        inspect("shared", ("prune.exclude", ["haed"]))


def test_what_cannot_work_is_a_warning_here(inspect):
    assert "warning: nothing is prunable" in inspect("frozen")
    printed = inspect("regression")
    assert "warning: the output is no classification of the labels. Expected a model with an output for each" in printed


def test_a_network_that_cannot_take_the_data_is_one_line(inspect):
    with pytest.raises(InputError, match=r"a model that takes the data. Received: .*is not in \[0, 2\)"):
        inspect("tokens")


def test_the_zeros_that_a_new_network_begins_with_are_no_pruned_ones(inspect):
    printed = inspect("begun")
    assert "zeros already" not in printed
    assert cells(printed, "prune_global")[2] == "0.0000%"


def test_levels_that_a_pruned_network_is_past_are_named(inspect, tmp_path):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 3)) * (rng.random((4, 3)) < 0.5)
    np.savez(tmp_path / "weights.npz", kernel, np.ones(3))
    zeros = int((kernel == 0).sum())
    (tmp_path / "one.py").write_text(
        "import keras\ndef build(s, c):\n    return keras.Sequential([keras.Input(s), keras.layers.Dense(c)])\n"
    )
    printed = inspect(
        "shared", ("model.builder", "one:build"), ("model.weights", "weights.npz"), ("freeze.levels", [0.25, 0.9])
    )
    assert f"there are {zeros} zeros already" in cells(printed, "freeze")[-1]
    assert cells(printed, "freeze")[-1].startswith("0.25")


def test_levels_beyond_the_caps_of_a_walk_through_the_layers_are_named(inspect):
    levels, walk = ("freeze.levels", [0.5, 0.9]), (("freeze.order", "layers"), ("freeze.caps", [0.5]))
    told = "0.5, 0.9: freeze.caps keep more"
    assert cells(inspect("begun", levels, *walk), "freeze")[-1] == told
    assert told not in inspect("begun", levels)
