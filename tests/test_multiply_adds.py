"""Multiply-adds against sums by hand, layer by layer."""

import numpy as np
import pytest

from prunefront.common.runtime import keras
from prunefront.models.multiply_adds import calls, multiply_adds

layers = keras.layers


def shared(x):
    layer = layers.Dense(4)
    return layer(layer(x))


def nested(x):
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(3, 3)])
    return inner(x) + inner(x)


@pytest.mark.parametrize(
    ("shape", "network", "by_hand"),
    [
        ((6,), layers.Dense(4), 6 * 4),
        ((5, 6), layers.Dense(4), 5 * 6 * 4),
        ((6, 6, 2), layers.Conv2D(3, 3), 16 * 9 * 2 * 3),
        ((6, 6, 2), layers.Conv2D(4, 3, groups=2), 16 * 9 * 1 * 4),
        ((6, 6, 2), layers.Conv2D(3, 3, strides=2, padding="same"), 9 * 9 * 2 * 3),
        ((6, 6, 2), layers.DepthwiseConv2D(3, depth_multiplier=2), 16 * 9 * 2 * 2),
        ((6, 6, 2), layers.SeparableConv2D(3, 3), 16 * (9 * 2 + 2 * 3)),
        ((6, 6, 2), layers.Conv2DTranspose(3, 3, strides=2), 36 * 9 * 2 * 3),
        ((8, 2), layers.Conv1D(3, 3), 6 * 3 * 2 * 3),
        ((5,), layers.Embedding(10, 4), 0),
        ((7, 3), layers.LSTM(4), 7 * (3 * 16 + 4 * 16)),
        ((7, 3), layers.GRU(4, return_sequences=True), 7 * (3 * 12 + 4 * 12)),
        ((7, 3), layers.Bidirectional(layers.SimpleRNN(4)), 2 * 7 * (3 * 4 + 4 * 4)),
        ((7, 8), lambda x: layers.MultiHeadAttention(2, 3)(x, x), 7 * 4 * 8 * 6),
        ((6,), layers.BatchNormalization(), 0),
        ((4,), shared, 2 * 16),
        ((6, 6, 2), nested, 2 * 16 * 9 * 2 * 3),
    ],
)
def test_multiply_adds_by_hand(shape, network, by_hand):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, network(inputs))
    example = np.zeros((1, *shape), np.float32)
    before = model(example)
    assert multiply_adds(model, [np.ones(w.shape) for w in model.get_weights()], example) == by_hand
    halves = [np.arange(w.size).reshape(w.shape) % 2 for w in model.get_weights()]
    assert multiply_adds(model, halves, example) == by_hand // 2
    np.testing.assert_array_equal(model(example), before)  # nothing is left behind
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_calls_count_shared_layers_and_leave_out_recurrent_steps():
    inputs = keras.Input((7, 4))
    model = keras.Model(inputs, layers.LSTM(3)(shared(inputs)))
    found = calls(model, np.zeros((1, 7, 4), np.float32))
    assert sorted(found[id(layer)] for layer in model.layers[1:]) == [1, 2]
