"""A graph written as a Keras model gives the same again; scales and shifts folded into weights too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.graph.activations import FUNCTIONS
from prunefront.graph.compaction import compact
from prunefront.graph.folding import fold_affine
from prunefront.graph.forward import difference_of, outputs
from prunefront.graph.multiply_adds import multiply_adds as of_graph
from prunefront.graph.operations import Affine, Convolution, Dense, Graph, Input, Node, Pool
from prunefront.graph.read import read_graph
from prunefront.graph.write import write_model
from tests.graphs_by_hand import affine, conv, dense, graph
from tests.networks import NETWORKS, examples, functional
from tests.random_graphs import random_graph, random_inputs, tame_outputs

layers, ops = keras.layers, keras.ops


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_read_and_written_gives_the_same(name):
    model = functional(*NETWORKS[name])
    read = read_graph(model)
    written = write_model(read)
    x = examples(model)
    (result,) = keras.tree.flatten(model(x, training=False))
    expected = ops.convert_to_numpy(result)
    assert written.output_shape[1:] == expected.shape[1:]
    assert difference_of(expected, ops.convert_to_numpy(written(x, training=False))) <= 1e-5
    assert difference_of(outputs(read, x), outputs(fold_affine(compact(read)), x)) <= 1e-5
    assert difference_of(outputs(read, x), outputs(read_graph(written), x)) <= 1e-6


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_is_written(name):
    model = functional((9,), lambda x: layers.Dense(9, activation=name)(x))
    x = examples(model)
    assert difference_of(np.asarray(model(x)), np.asarray(write_model(read_graph(model))(x))) <= 1e-5
    if name in ("relu", "gelu", "celu", "squareplus", "leaky_relu", "elu"):
        options = {"relu": {"max_value": 1.0}, "gelu": {"approximate": True}, "squareplus": {"b": 1.0}}
        options |= {"celu": {"alpha": 2.0}, "leaky_relu": {"negative_slope": 0.3}, "elu": {"alpha": 0.5}}
        function = getattr(ops if name in ("gelu", "celu") else keras.activations, name)
        model = functional((9,), lambda x: function(x, **options[name]))
        assert difference_of(np.asarray(model(x)), np.asarray(write_model(read_graph(model))(x))) <= 1e-5


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_compacted_and_written_give_the_same(seed, tmp_path):
    before = random_graph(seed, 0.2, 12, np.float32)
    x = random_inputs(before)
    expected = outputs(before, x)
    model = write_model(fold_affine(compact(before)))
    assert difference_of(expected, ops.convert_to_numpy(model(x))) <= 1e-5
    if seed % 5 == 0:
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV3Small",
        *(
            pytest.param(other, marks=pytest.mark.long)
            for other in ("DenseNet121", "EfficientNetB0", "InceptionV3", "MobileNetV2", "ResNet50V2", "Xception")
        ),
    ],
)
def test_networks_of_keras_are_read_compacted_folded_and_written(name):
    shape = (75, 75, 3) if name in ("InceptionV3", "Xception") else (32, 32, 3)
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        values = np.asarray(variable)
        if values.ndim > 1:
            values = values * (rng.random(values.shape) >= 0.95) * 4
        elif variable.name in ("beta", "moving_mean"):
            values = rng.normal(0, 0.1, values.shape)
        variable.assign(values)
    x = (255 * rng.random((2, *shape))).astype(np.float32)
    expected = ops.convert_to_numpy(model(x, training=False))
    before = read_graph(model)
    after = fold_affine(compact(before))
    for found in (outputs(before, x), outputs(after, x), ops.convert_to_numpy(write_model(after)(x, training=False))):
        assert difference_of(expected, found) <= 1e-5
    assert of_graph(after) <= of_graph(before)


def test_names_are_valid_and_no_two_alike():
    found = Graph(
        "a model/of ours",
        (
            Node("input", Input(), (), (2,)),
            Node("in/x y", dense(np.ones((2, 2))), (0,), (2,)),
            Node("in/x y", dense(np.ones((2, 2)), [1, 0]), (1,), (2,)),
            Node("input", dense(np.ones((2, 1))), (2,), (1,)),
        ),
    )
    model = write_model(found)
    assert model.name == "a_model_of_ours"
    assert [layer.name for layer in model.layers] == ["input", "in_x_y", "in_x_y_2", "input_2"]
    assert [layer.use_bias for layer in model.layers[1:]] == [False, True, False]


def test_a_pooling_that_keras_has_not_is_one_line():
    with pytest.raises(InputError, match=r"Received: n1 with \(\(2, 0\),\)"):
        write_model(graph((4, 1), Pool("max", (3,), (1,), ((2, 0),))))


def test_scales_and_shifts_are_folded_by_hand():
    after = fold_affine(graph((2,), dense([[1, 0], [3, 4]], [5, 6]), affine([2, -1], [1, 0]), affine([1, 2], [0, 3])))
    assert [type(node.operation) for node in after.nodes] == [Input, Dense]
    np.testing.assert_array_equal(after.nodes[1].operation.kernel, [[2, 0], [6, -8]])
    np.testing.assert_array_equal(after.nodes[1].operation.bias, [11, -9])
    assert not np.signbit(after.nodes[1].operation.kernel[0, 1])
    first = fold_affine(graph((2,), affine([2, 3], [1, -1]), dense([[1], [10]], [5])))
    np.testing.assert_array_equal(first.nodes[1].operation.kernel, [[2], [30]])
    assert first.nodes[1].operation.bias == [-4]


def test_a_shift_is_not_folded_past_zeros_around_an_image_nor_what_others_take():
    padded = conv(np.ones((3, 1, 1)), padding=1)
    assert len(fold_affine(graph((4, 1), affine([2], [0]), padded)).nodes) == 2
    assert len(fold_affine(graph((4, 1), affine([2], [1]), padded)).nodes) == 3
    shared = graph((2,), dense(np.ones((2, 2))), affine([2, 2], [1, 1]), (read_sum(), (1, 2)))
    assert len(fold_affine(shared).nodes) == 4


def read_sum():
    return read_graph(functional((2,), lambda x: layers.Add()([x, x]))).nodes[-1].operation


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]), st.integers(3, 24))
def test_folding_keeps_outputs_and_zeros(seed, sparsity, count):
    before = random_graph(seed, sparsity, count)
    x = random_inputs(before)
    expected = tame_outputs(before, x)
    scale = max(1, np.abs(expected).max())
    after = fold_affine(before)
    np.testing.assert_allclose(outputs(after, x), expected, rtol=0, atol=1e-9 * scale)
    assert non_zeros(after) <= non_zeros(before)
    for node in after.nodes:
        if isinstance(node.operation, Affine) and node.inputs != (0,):
            taken = sum(other.inputs.count(node.inputs[0]) for other in after.nodes)
            assert taken > 1 or not isinstance(after.nodes[node.inputs[0]].operation, Dense | Convolution | Affine)


def non_zeros(found):
    return sum(
        np.count_nonzero(n.operation.kernel) for n in found.nodes if isinstance(n.operation, Dense | Convolution)
    )
