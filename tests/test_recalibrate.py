"""New statistics of batch normalization, against NumPy."""

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.common.sections import Recalibrate
from prunefront.data.splits import Split
from prunefront.methods.recalibrate import recalibrate
from prunefront.training.statistics import measure_statistics

layers = keras.layers
X = np.random.default_rng(0).normal(3, 2, size=(10, 4)).astype(np.float32)
SPLIT = Split(X, np.zeros(10, np.int64))


def build():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dropout(0.9),
            layers.GaussianNoise(0.9),
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )


def test_statistics_are_the_averages_over_the_batches():
    model = build()
    gamma, beta, *_ = model.get_weights()
    measure_statistics(model, SPLIT, 4)
    batches = [X[:4], X[4:8], X[8:]]
    sizes = np.array([4, 4, 2])[:, None] / 10
    mean = (np.stack([b.mean(axis=0) for b in batches]) * sizes).sum(axis=0)
    variance = (np.stack([b.var(axis=0) for b in batches]) * sizes).sum(axis=0)
    got = model.get_weights()
    np.testing.assert_array_equal(got[:2], [gamma, beta])
    np.testing.assert_allclose(got[2:4], [mean, variance], rtol=1e-4)
    layer = model.layers[2]
    assert (layer.momentum, "call" in vars(layer)) == (0.99, False)


def test_frozen_normalization_is_measured_too_and_stays_frozen():
    model = build()
    model.layers[2].trainable = False
    measure_statistics(model, SPLIT, 10)
    np.testing.assert_allclose(model.layers[2].moving_mean, X.mean(axis=0), rtol=1e-4)
    assert not model.layers[2].trainable


def test_a_layer_that_is_used_twice_takes_both_uses_into_account():
    layer, inputs = layers.BatchNormalization(), keras.Input((4,))
    model = keras.Model(inputs, layer(inputs) + layer(3 * inputs))
    measure_statistics(model, SPLIT, 4)
    np.testing.assert_allclose(layer.moving_mean, 2 * X.mean(axis=0), rtol=1e-4)


def test_pruned_weights_keep_their_zeros():
    weights = build().get_weights()
    weights[4] = weights[4] * [[0, 1]] * 1.0
    ((level, after),) = recalibrate(
        lambda level: (level, weights), build, SPLIT, Recalibrate(levels=(0.5,), batch_size=10)
    )
    assert level == 0.5
    for place in (0, 1, 4, 5):
        np.testing.assert_array_equal(after[place], weights[place])
    assert not np.allclose(after[2], weights[2])


def test_a_network_without_batch_normalization_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(InputError, match=r"with BatchNormalization.*recalibrate.levels: \[\]"):
        measure_statistics(model, SPLIT, 4)
