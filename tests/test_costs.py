"""What the networks of the rows cost, by hand on networks of a few weights."""

import numpy as np

from prunefront.common.runtime import keras
from prunefront.data.splits import Split
from prunefront.models.layers import describe_weights
from prunefront.models.multiply_adds import uses
from prunefront.pipeline.costs import measure, note
from prunefront.sparse_file.codec import decode, encode
from prunefront.training.trainer import compile_classifier, evaluate
from tests.helpers import Subclassed

layers = keras.layers


def costs(model, x, y):
    compile_classifier(model)
    counted = uses(model, x[:1])
    times = [counted.get(id(variable), 0) for variable in model.weights]
    return measure(model, describe_weights(model), times, Split(x, y))


def two_layers(hidden, bias, last, shift):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3, activation="relu"), layers.Dense(2)])
    model.set_weights([np.array(array, np.float32) for array in (hidden, bias, last, shift)])
    return model


X = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
Y = np.array([0, 1, 1])


def test_costs_by_hand():
    # Of three hidden units the first is whole, the second goes nowhere, the third is constantly 0.5.
    model = two_layers([[1, 5, 0], [2, 6, 0]], [0, 7, 0.5], [[1, 0], [0, 0], [3, 4]], [0, 0])
    before = model.get_weights()
    found = costs(model, X, Y)
    assert found.multiply_adds == 2 * 3 + 3 * 2
    assert found.multiply_adds_nonzero == 4 + 3
    assert found.multiply_adds_compacted == 2 * 1 + 1 * 2  # the constant unit is part of the last layer's bias
    assert found.effective_zeros == 8 + 3  # eight zeros; 5, 6 and 7 go nowhere
    assert found.bytes_lossless == len(encode(before))
    assert found.bytes_bfloat16 == len(encode(before, "bfloat16"))
    assert found.bytes_int8 == len(encode(before, "int8"))
    for held, measured in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(held, measured)


def test_the_accuracies_are_of_the_rounded_weights():
    # 1 and 1 + 2**-10 are one bfloat16: the second class wins, then there is a tie, and ties go to the first.
    model = two_layers(np.ones((2, 3)), np.zeros(3), [[1, 1 + 2**-10]] * 3, [0, 0])
    found = costs(model, X, np.ones(3, int))
    assert evaluate(model, Split(X, np.ones(3, int)))[0] == 1
    assert found.val_accuracy_bfloat16 == 0
    model.set_weights(decode(encode(model.get_weights(), "int8")))
    assert found.val_accuracy_int8 == evaluate(model, Split(X, np.ones(3, int)))[0]


def test_convolutions_count_every_place():
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    kernel = np.zeros((3, 3, 1, 2), np.float32)
    kernel[0, 0, 0] = 1
    model.set_weights([kernel, np.zeros(2), np.ones((8, 2)), np.zeros(2)])
    found = costs(model, np.ones((3, 4, 4, 1), np.float32), Y)
    assert (found.multiply_adds, found.multiply_adds_nonzero) == (4 * 18 + 16, 4 * 2 + 16)
    assert found.multiply_adds_compacted == found.multiply_adds


def test_a_network_that_is_no_graph_counts_plain_zeros():
    model = keras.Sequential([keras.Input((3, 2)), layers.LSTM(2, name="memory"), layers.Dense(2)])
    halves = [np.arange(w.size).reshape(w.shape) % 2 for w in model.get_weights()]
    model.set_weights(halves)
    found = costs(model, np.ones((3, 3, 2), np.float32), Y)
    assert found.effective_zeros == sum(int((w == 0).sum()) for w in halves)
    assert found.multiply_adds_compacted == found.multiply_adds == 3 * (2 * 8 + 2 * 8) + 4
    assert found.multiply_adds_nonzero == found.multiply_adds // 2
    assert note(model).startswith("effective zeros are plain zeros, and compaction removes nothing: Expected layers ")
    assert note(model).endswith("Received: memory, a LSTM")


def test_a_network_of_another_kind_counts_plain_zeros():
    model = Subclassed()
    model(X)
    model.set_weights([np.zeros(w.shape) if w.ndim == 1 else np.ones(w.shape) for w in model.get_weights()])
    found = costs(model, X, Y)
    assert found.effective_zeros == 8 + 2
    assert found.multiply_adds_compacted == found.multiply_adds == 2 * 8 + 8 * 2


def test_of_a_network_that_is_a_graph_nothing_is_said():
    assert note(two_layers(np.ones((2, 3)), np.ones(3), np.ones((3, 2)), np.ones(2))) is None


class Flags(layers.Layer):
    """A layer with a weight of every kind that a file takes and a kernel is not."""

    def build(self, shape):  # noqa: ARG002
        self.on = self.add_weight(shape=(2,), dtype="bool", initializer="zeros", trainable=False)
        self.number = self.add_weight(shape=(), dtype="int64", initializer="ones", trainable=False)

    def call(self, x):
        return keras.ops.where(self.on, x, x * keras.ops.cast(self.number, x.dtype))


def test_weights_that_are_no_floating_point_are_stored_as_they_are():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2), Flags()])
    found = costs(model, X, Y)
    assert 0 < found.bytes_int8 <= found.bytes_lossless
    assert [str(w.dtype) for w in model.get_weights()][2:] == ["bool", "int64"]
