"""Compaction: what goes by hand, and equal outputs for any network."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront.common.runtime import keras
from prunefront.graph.channels import constants, needed
from prunefront.graph.compaction import compact, constant_output
from prunefront.graph.folding import fold_affine
from prunefront.graph.forward import difference_of, outputs
from prunefront.graph.multiply_adds import multiply_adds as of_graph
from prunefront.graph.operations import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Embedding,
    GlobalPool,
    Graph,
    Input,
    LayerNormalization,
    Merge,
    Node,
    Pad,
    Pool,
    Reshape,
)
from prunefront.graph.read import read_graph
from prunefront.graph.write import write_model
from tests.graphs_by_hand import affine, conv, dense, graph
from tests.networks import filled
from tests.random_graphs import random_graph, random_inputs, tame_outputs

layers = keras.layers


RELU = Activation("relu")


def shapes(found):
    return [node.shape for node in found.nodes]


def assert_same(before, after, x, share=1e-5):
    assert difference_of(outputs(before, x), outputs(after, x)) <= share


def test_a_unit_that_nothing_takes_goes():
    before = graph((2,), dense([[1, 2], [3, 4]], [5, 6]), RELU, dense([[1], [0]], [7]))
    after = compact(before)
    assert shapes(after) == [(2,), (1,), (1,), (1,)]
    first, _, last = (node.operation for node in after.nodes[1:])
    np.testing.assert_array_equal(first.kernel, [[1], [3]])
    np.testing.assert_array_equal(first.bias, [5])
    np.testing.assert_array_equal(last.kernel, [[1]])
    np.testing.assert_array_equal(last.bias, [7])


def test_a_constant_unit_goes_into_the_next_bias_through_its_activation():
    before = graph((2,), dense([[1, 0], [3, 0]], [5, 6]), Activation("sigmoid"), dense([[1], [2]], [7]))
    after = compact(before)
    assert shapes(after) == [(2,), (1,), (1,), (1,)]
    np.testing.assert_allclose(after.nodes[-1].operation.bias, [7 + 2 / (1 + np.exp(-6))])
    negative = graph((2,), dense([[1, 0], [3, 0]], [5, -6]), RELU, dense([[1], [2]], [7]))
    np.testing.assert_array_equal(compact(negative).nodes[-1].operation.bias, [7])


def test_a_chain_of_constants_and_of_dead_units_goes_at_once():
    eye = np.eye(3)
    first = dense([[1, 0, 2], [1, 0, 2]], [0, 4, 0])  # unit 1 is 4, whatever comes
    second = dense(eye, [0, 1, 0])  # 5
    third = dense([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0])  # unit 2 leads nowhere
    after = compact(graph((2,), first, second, third, dense([[1], [10], [0]])))
    assert shapes(after) == [(2,), (1,), (1,), (1,), (1,)]
    assert after.nodes[-1].operation.bias == [50]


def test_only_zeros_pass_zeros_around_an_image():
    def network(value, padding):
        first = conv([[[1, 0]]], [0, value])
        return graph((4, 1), first, conv(np.ones((3, 2, 1)), padding=padding), Pool("max", (2,), (2,), ((0, 0),)))

    assert compact(network(0, 1)).nodes[1].shape == (4, 1)
    assert compact(network(5, 1)).nodes[1].shape == (4, 2)
    after = compact(network(5, 0))
    assert after.nodes[1].shape == (4, 1)
    assert after.nodes[2].operation.bias == [15]
    padded = graph((4, 1), conv([[[1, 0]]], [0, 5]), Pad(((1, 0),)), conv(np.ones((3, 2, 1))))
    assert compact(padded).nodes[1].shape == (4, 2)


def test_flattened_channels_are_joined_with_all_their_places():
    first = conv([[[1, 1]]])
    reaching = np.zeros((8, 1))
    reaching[5] = 1  # place 2 of channel 1
    after = compact(graph((4, 1), first, (Reshape(), (1,), (8,)), dense(reaching)))
    assert shapes(after) == [(4, 1), (4, 1), (4,), (1,)]
    np.testing.assert_array_equal(after.nodes[-1].operation.kernel, [[0], [0], [1], [0]])
    constant = graph((4, 1), conv([[[1, 0]]], [0, 3]), (Reshape(), (1,), (8,)), dense(np.ones((8, 1))))
    assert compact(constant).nodes[-1].operation.bias == [12]


def test_a_reshape_to_other_lengths_ties_what_shares_numbers():
    first, last = conv(np.ones((1, 1, 4))), np.zeros((6, 1))
    last[1] = 1
    after = compact(graph((3, 1), first, (Reshape(), (1,), (2, 6)), dense(last)))
    assert shapes(after) == [(3, 1), (3, 2), (2, 3), (2, 1)]  # odd channels of either side


def test_a_sum_goes_by_channels_of_all_summands():
    def network(ends):
        return graph(
            (2,),
            dense(np.ones((2, 3))),
            (dense([[1, 0, 0], [1, 0, 0]], [0, 2, 0]), (0,)),
            (Merge("add"), (1, 2)),
            dense(np.array(ends).reshape(3, 1)),
        )

    after = compact(network([1, 0, 1]))
    assert shapes(after) == [(2,), (2,), (2,), (2,), (1,)]
    assert shapes(compact(network([0, 1, 0]))) == [(2,), (1,), (1,), (1,)]  # 2 is all that is left of one summand
    also = network([1, 0, 1])
    also = Graph(
        "",
        (
            *also.nodes[:4],
            Node("use", dense([[0], [1], [0]]), (1,), (1,)),
            Node("end", dense([[1], [1], [0]]), (3,), (1,)),
            Node("sum", Merge("add"), (4, 5), (1,)),
        ),
    )
    after = compact(also)
    assert after.nodes[1].shape == (2,)
    assert_same(also, after, np.random.default_rng(0).normal(size=(5, 2)))


def test_a_branch_that_is_cut_goes_as_a_whole():
    branch = [dense(np.ones((2, 2))), RELU, dense(np.zeros((2, 2)), [3, 0]), (Merge("add"), (0, 3)), dense([[1], [1]])]
    after = compact(graph((2,), *branch))
    assert [type(node.operation) for node in after.nodes] == [Input, Affine, Dense]
    np.testing.assert_array_equal(after.nodes[1].operation.shift, [3, 0])
    branch[2] = dense(np.zeros((2, 2)))
    assert [type(node.operation) for node in compact(graph((2,), *branch)).nodes] == [Input, Dense]
    joined = [dense(np.ones((2, 2))), RELU, (Merge("concatenate"), (0, 2)), dense([[1], [1], [0], [0]])]
    assert [type(node.operation) for node in compact(graph((2,), *joined)).nodes] == [Input, Dense]


def test_depthwise_channels_go_with_their_inputs():
    middle = conv(np.ones((3, 1, 4)), groups=2)
    after = compact(graph((6, 1), conv(np.ones((1, 1, 2))), middle, conv(np.array([1, 1, 0, 0]).reshape(1, 4, 1))))
    assert shapes(after) == [(6, 1), (6, 1), (4, 2), (4, 1)]
    assert after.nodes[2].operation.groups == 1
    after = compact(graph((6, 1), conv(np.ones((1, 1, 2))), middle, conv(np.array([0, 1, 1, 0]).reshape(1, 4, 1))))
    assert shapes(after) == [(6, 1), (6, 2), (4, 4), (4, 1)]
    grouped = conv(np.ones((1, 2, 4)), groups=2)
    after = compact(graph((6, 1), conv(np.ones((1, 1, 4))), grouped, conv(np.array([1, 0, 0, 0]).reshape(1, 4, 1))))
    assert shapes(after) == [(6, 1), (6, 2), (6, 1), (6, 1)]
    assert after.nodes[2].operation.groups == 1


@pytest.mark.parametrize(
    "mixing", [Activation("softmax"), LayerNormalization(np.ones(3, np.float32), np.zeros(3, np.float32), 0.1)]
)
def test_what_is_normalized_together_stays_together(mixing):
    after = compact(graph((2,), dense([[1, 0, 1], [1, 0, 1]]), mixing, dense([[1], [0], [0]])))
    assert shapes(after) == [(2,), (3,), (3,), (1,)]


def test_columns_of_an_embedding_go():
    table = np.array([[1, 7, 2], [3, 7, 4]], np.float32)
    after = compact(graph((5,), Embedding(table), GlobalPool("average"), dense([[1], [1], [0]])))
    np.testing.assert_array_equal(after.nodes[1].operation.table, [[1], [3]])
    assert after.nodes[-1].operation.bias == [7]


def test_a_scale_of_zero_makes_a_constant():
    after = compact(graph((2,), dense(np.ones((2, 2))), affine([1, 0], [2, 3]), dense([[1], [1]])))
    assert shapes(after) == [(2,), (1,), (1,), (1,)]
    assert after.nodes[-1].operation.bias == [3]


def test_a_kernel_place_that_only_meets_zeros_counts_for_nothing():
    kernel = np.zeros((3, 2, 1))
    kernel[:, 0] = 1
    kernel[0, 1] = 1  # left of the only place
    after = compact(graph((1, 1), conv(np.ones((1, 1, 2))), conv(kernel, padding=1)))
    assert shapes(after) == [(1, 1), (1, 1), (1, 1)]


def test_a_dead_network_is_a_constant():
    dead = graph(
        (2,), dense(np.ones((2, 2))), RELU, dense(np.zeros((2, 2)), [1, -1]), RELU, dense([[3, 4], [5, 6]], [1, 1])
    )
    np.testing.assert_array_equal(constant_output(dead), [4, 5])
    after = compact(dead)
    assert shapes(after) == [(2,), (1,), (1,), (1,), (1,), (2,)]
    assert_same(dead, after, np.ones((1, 2)))
    by_place = graph((3, 1), conv(np.zeros((1, 1, 1)), [2]), Pad(((1, 0),)))
    np.testing.assert_array_equal(constant_output(by_place), [[0], [2], [2], [2]])
    assert constant_output(graph((2,), dense([[1], [0]]))) is None


def test_a_network_in_which_all_matters_stays_as_it_is():
    whole = graph((2,), dense(np.ones((2, 3))), RELU, dense(np.ones((3, 2))))
    assert shapes(compact(whole)) == shapes(whole)
    for one, other in zip(whole.nodes, compact(whole).nodes, strict=True):
        assert one.name == other.name
        for name, value in vars(one.operation).items():
            np.testing.assert_array_equal(value, getattr(other.operation, name))


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7]), st.integers(3, 24))
def test_outputs_stay_the_same_and_compacting_again_changes_nothing(seed, sparsity, count):
    before = random_graph(seed, sparsity, count)
    x = random_inputs(before)
    expected = tame_outputs(before, x)
    scale = max(1, np.abs(expected).max())
    after = compact(before)
    np.testing.assert_allclose(outputs(after, x), expected, rtol=0, atol=1e-9 * scale)
    assert (after.input_shape, after.output_shape) == (before.input_shape, before.output_shape)
    assert weights(after) <= weights(before)
    value = constant_output(before)
    assert value is None or np.allclose(expected, value, rtol=0, atol=1e-9 * scale)
    again = compact(after)
    assert [(n.name, n.inputs, n.shape) for n in again.nodes] == [(n.name, n.inputs, n.shape) for n in after.nodes]
    for one, other in zip(after.nodes, again.nodes, strict=True):
        for name, held in vars(one.operation).items():
            np.testing.assert_array_equal(held, getattr(other.operation, name))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.8]))
def test_in_a_chain_all_units_that_are_left_matter(seed, sparsity):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 9, 5)
    steps = [
        dense(
            rng.normal(size=(m, n)) * (rng.random((m, n)) >= sparsity), rng.normal(size=n) * (rng.random(n) >= sparsity)
        )
        for m, n in itertools.pairwise(sizes)
    ]
    after = compact(graph((int(sizes[0]),), *(step for layer in steps for step in (layer, RELU))))
    for node, known, wanted in zip(after.nodes[1:-2], constants(after)[1:], needed(after)[1:], strict=False):
        assert node.shape == (1,) or (wanted.all() and np.isnan(known).all())


def weights(found):
    return sum(
        np.count_nonzero(n.operation.kernel) for n in found.nodes if isinstance(n.operation, Dense | Convolution)
    )


def test_a_residual_network_of_keras_with_few_weights():
    def block(x, units):
        y = layers.Conv2D(units, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization()(layers.Conv2D(units, 1)(layers.ReLU()(layers.BatchNormalization()(y))))
        return layers.ReLU()(layers.Add()([layers.Conv2D(units, 1)(x), y]))

    data = keras.Input((8, 8, 1))
    features = layers.GlobalAveragePooling2D()(block(layers.MaxPooling2D()(block(data, 8)), 16))
    model = filled(keras.Model(data, layers.Dense(4, activation="softmax")(features)))
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            variable.assign(variable * (rng.random(variable.shape) >= 0.8))
    read = read_graph(model)
    small = compact(read)
    assert of_graph(small) < of_graph(read) / 2
    x = rng.normal(size=(8, 8, 8, 1)).astype(np.float32)
    assert_same(read, small, x, 1e-6)
    assert_same(read, fold_affine(small), x)
    assert difference_of(np.asarray(model(x)), np.asarray(write_model(small)(x))) <= 1e-5
