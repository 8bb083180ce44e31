"""Effective weights by hand, and that changing any of the others changes nothing; multiply-adds of graphs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront.common.runtime import keras
from prunefront.graph.compaction import compact
from prunefront.graph.effective import effective_weights, effective_zeros
from prunefront.graph.multiply_adds import multiply_adds as of_graph
from prunefront.graph.read import read_graph, read_with_sources
from prunefront.models.multiply_adds import multiply_adds
from tests.graphs_by_hand import conv, dense, graph
from tests.networks import NETWORKS, examples, functional
from tests.random_graphs import random_graph, random_inputs, tame_outputs

layers = keras.layers


def mlp(*arrays):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, activation="relu"), layers.Dense(1)])
    return model, [np.array(a, np.float32) for a in arrays]


def zeros(model, weights, flags=None):
    return effective_zeros(weights, flags or [True] * len(weights), *read_with_sources(model, weights))


def test_weights_into_a_unit_that_nothing_takes_are_ineffective():
    model, weights = mlp([[1, 2], [3, 4]], [5, 6], [[7], [0]], [8])
    assert zeros(model, weights) == 4  # the zero, and unit 1: 2, 4 and 6
    assert zeros(model, weights, [True, False, True, False]) == 3
    assert zeros(model, weights, [False, True, False, False]) == 1


def test_weights_out_of_a_unit_count_if_its_bias_feeds_it():
    model, weights = mlp([[1, 0], [3, 0]], [5, 0], [[7], [9]], [8])
    assert zeros(model, weights) == 4  # 9 is multiplied with 0
    weights[1][1] = 1
    assert zeros(model, weights) == 2  # with 1
    weights[1][1] = -1
    assert zeros(model, weights) == 3  # with 0, after the activation; the bias might become 1


def test_paths_go_through_flattening_pooling_and_sums():
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 3, padding="same", use_bias=False)(inputs)
    y = layers.Add()([x, layers.DepthwiseConv2D(1, use_bias=False)(x)])
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(layers.Flatten()(layers.MaxPooling2D()(y))))
    ones = [np.ones(w.shape, np.float32) for w in model.get_weights()]
    assert zeros(model, ones) == 0
    ones[-1][1::2] = 0  # channel 1, at all four places
    assert zeros(model, ones) == 4 + 9 + 1
    ones[-1][3] = 1
    assert zeros(model, ones) == 3


def test_places_of_a_kernel_that_only_meet_zeros_are_ineffective():
    inputs = keras.Input((1, 4, 1))
    model = keras.Model(inputs, layers.Conv2D(1, 3, padding="same", use_bias=False)(inputs))
    assert zeros(model, [np.ones((3, 3, 1, 1), np.float32)]) == 6


def test_a_shared_weight_needs_one_use():
    inputs = keras.Input((2,))
    layer = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(layer(layer(inputs))))
    kernel = np.array([[1, 2], [0, 4]], np.float32)
    assert zeros(model, [kernel, np.array([[1], [0]], np.float32)]) == 2 + 2  # 2 and 4 lead nowhere
    assert zeros(model, [kernel, np.array([[0], [1]], np.float32)]) == 2


def test_what_is_not_in_the_graph_counts_as_it_is():
    assert effective_zeros([np.array([0, 1, 0]), np.zeros(2)], [True, True]) == 2 + 2
    normalized = keras.Sequential([keras.Input((2,)), layers.Dense(1), layers.BatchNormalization(), layers.Dense(1)])
    weights = [np.ones(w.shape, np.float32) for w in normalized.get_weights()]
    weights[-2][:] = 0
    trainable = [v.trainable for v in normalized.weights]
    assert zeros(normalized, weights, trainable) == 2 + 1 + 2 + 1  # all but the last bias


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 0.4, 0.6]), st.integers(3, 24))
def test_changing_all_ineffective_weights_changes_nothing(seed, sparsity, count):
    before = random_graph(seed, sparsity, count)
    x = random_inputs(before)
    rng = np.random.default_rng(seed)
    nodes = []
    for node, masks in zip(before.nodes, effective_weights(before), strict=True):
        arrays = {name: getattr(node.operation, name) for name in masks}
        changed = {n: np.where((a != 0) & ~masks[n], a + rng.normal(size=a.shape), a) for n, a in arrays.items()}
        nodes.append(replace(node, operation=replace(node.operation, **changed)))
    expected = tame_outputs(before, x)
    found = tame_outputs(replace(before, nodes=tuple(nodes)), x)
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_multiply_adds_are_those_of_the_watched_model(name):
    model = functional(*NETWORKS[name])
    example, weights = examples(model, 1), model.get_weights()
    found = read_graph(model)
    assert of_graph(found) == multiply_adds(model, [np.ones(w.shape) for w in weights], example)
    if "prelu" not in name:
        assert of_graph(found, nonzero=True) == multiply_adds(model, weights, example)


def test_multiply_adds_by_hand():
    before = graph(
        (6, 2), conv(np.ones((3, 2, 4)), padding=1), conv(np.ones((3, 1, 4)), groups=4), dense([[1], [1], [0], [0]])
    )
    assert of_graph(before) == 6 * 24 + 4 * 12 + 4 * 4
    assert of_graph(before, nonzero=True) == 6 * 24 + 4 * 12 + 4 * 2
    assert of_graph(compact(before)) == 6 * 12 + 4 * 6 + 4 * 2


def test_multiply_adds_after_compaction():
    model, weights = mlp([[1, 2], [3, 4]], [5, 6], [[7], [0]], [8])
    assert of_graph(compact(read_graph(model, weights))) == 3
    assert of_graph(compact(read_graph(model, [np.ones_like(w) for w in weights]))) == 6
