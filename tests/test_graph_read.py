"""A Keras model read as a graph gives what the model gives."""

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.graph.activations import FUNCTIONS
from prunefront.graph.forward import difference_of, outputs
from prunefront.graph.keras_layers import IDENTITIES
from prunefront.graph.operations import Activation, Affine, Convolution, Dense
from prunefront.graph.read import read_graph, read_with_sources
from tests.helpers import compile_model, held, small
from tests.networks import NETWORKS, examples, filled, functional

layers, ops = keras.layers, keras.ops


def assert_same(model):
    x = examples(model)
    (result,) = keras.tree.flatten(model(x, training=False))
    expected = ops.convert_to_numpy(ops.cast(result, "float32"))
    graph = read_graph(model)
    assert graph.output_shape == expected.shape[1:]
    assert difference_of(expected, outputs(graph, x)) <= 1e-5
    return graph


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_gives_what_the_model_gives(name):
    assert_same(functional(*NETWORKS[name]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_that_keras_names(name):
    graph = assert_same(functional((9,), lambda x: layers.Dense(9, activation=name)(x)))
    assert isinstance(graph.nodes[-1].operation, Activation)
    assert graph.nodes[-1].operation.name == name
    function = getattr(ops, name, None)
    if function is not None:
        assert_same(functional((9,), function))


def test_layers_that_only_train():
    plain = {"ActivityRegularization", "Identity", "InputLayer", "RandomFlip", "RandomTranslation", "SpatialDropout1D"}
    of_rate = [getattr(layers, name)(0.1) for name in IDENTITIES if name not in plain]
    others = [layers.RandomFlip(), layers.RandomTranslation(0.1, 0.1), layers.Identity()]
    model = keras.Sequential([layers.Input((6, 6, 3)), *of_rate, *others, layers.ActivityRegularization(0.1)])
    assert len(model.layers) == len(IDENTITIES) - 2
    assert [node.name for node in assert_same(model).nodes] == ["input"]


def test_a_sequence_by_hand():
    kernel, bias = np.array([[1, 0], [2, -1]], np.float32), np.array([0.5, 0], np.float32)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, activation="relu", name="hidden")], name="tiny")
    model.set_weights([kernel, bias])
    graph, sources = read_with_sources(model)
    assert graph.name == "tiny"
    assert [(node.name, node.inputs, node.shape) for node in graph.nodes] == [
        ("input", (), (2,)),
        ("hidden", (0,), (2,)),
        ("hidden/relu", (1,), (2,)),
    ]
    np.testing.assert_array_equal(graph.nodes[1].operation.kernel, kernel)
    assert [(s.node, s.attribute, s.weight) for s in sources] == [(1, "kernel", 0), (1, "bias", 1)]
    np.testing.assert_array_equal(outputs(graph, np.array([[1, 3]])), [[7.5, 0]])
    twice = read_graph(model, [2 * kernel, bias])
    np.testing.assert_array_equal(outputs(twice, np.array([[1, 3]])), [[14.5, 0]])


def test_paths_of_nested_layers_and_arrays_of_shared_ones():
    dense = layers.Dense(4, name="dense")
    inner = keras.Sequential([keras.Input((4,)), dense], name="inner")
    data = keras.Input((4,))
    outer = keras.Sequential([keras.Input((4,)), keras.Model(data, inner(inner(data)), name="middle"), dense])
    graph, sources = read_with_sources(outer)
    assert [node.name for node in graph.nodes] == ["input", "middle/inner/dense", "middle/inner/dense", "dense"]
    assert [(s.node, s.weight) for s in sources] == [(n, w) for n in (1, 2, 3) for w in (0, 1)]


def test_normalization_by_hand_and_its_sources():
    model = keras.Sequential([keras.Input((1,)), layers.BatchNormalization(epsilon=1.0)])
    model.set_weights([np.array([a]) for a in (6.0, 1.0, 4.0, 8.0)])  # gamma, beta, mean, variance
    graph, sources = read_with_sources(model)
    assert isinstance(graph.nodes[1].operation, Affine)
    assert (graph.nodes[1].operation.scale, graph.nodes[1].operation.shift) == ([2.0], [-7.0])
    assert {(s.attribute, s.weight) for s in sources} == {("scale", 0), ("shift", 1), ("shift", 2), ("scale", 3)}


def test_lower_precision_comes_as_float32():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, activation="relu", dtype="mixed_bfloat16")(inputs))
    graph = read_graph(model)
    assert isinstance(graph.nodes[1].operation, Dense)
    assert graph.nodes[1].operation.kernel.dtype == np.float32
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="float16")])
    assert read_graph(model).nodes[1].operation.kernel.dtype == np.float32


def test_convolutions_by_hand():
    model = functional((5, 1), lambda x: layers.Conv1D(1, 2, dilation_rate=2, padding="causal", name="c")(x))
    operation = read_graph(model).nodes[1].operation
    assert isinstance(operation, Convolution)
    assert (operation.padding, operation.strides, operation.dilation) == (((2, 0),), (1,), (2,))
    model = functional((4, 4, 1), lambda x: layers.MaxPooling2D(3, 2, padding="same")(x))
    assert read_graph(model).nodes[1].operation.padding == ((0, 1), (0, 1))


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_masks_matter_only_to_layers_that_use_them():
    def steps(*then):
        return [keras.Input((5,), dtype="int32"), layers.Embedding(7, 3, mask_zero=True), layers.Dropout(0.1), *then]

    assert_same(filled(keras.Sequential(steps(layers.BatchNormalization(), layers.Dense(2), layers.Flatten()))))
    assert_same(filled(keras.Sequential(steps(layers.Flatten(), layers.Softmax()))))
    assert_same(filled(keras.Sequential(steps(layers.GlobalMaxPooling1D()))))
    assert_same(functional((5,), lambda x: layers.Dense(2)(layers.Embedding(7, 3, mask_zero=True)(x)), "int32"))
    for last in (layers.GlobalAveragePooling1D(name="last"), layers.Softmax(name="last")):
        with pytest.raises(InputError, match=r"last, a .* of values with a mask"):
            read_graph(keras.Sequential(steps(last)))
    inner = keras.Sequential([keras.Input((5, 3)), layers.GlobalAveragePooling1D(name="last")], name="inner")
    with pytest.raises(InputError, match=r"inner/last, a .* of values with a mask"):
        read_graph(keras.Sequential(steps(inner)))


class Own(layers.Dense):
    """May do anything."""


class OwnModel(keras.Model):
    def call(self, x):
        return super().call(x) * 2


def of_own():
    inputs = keras.Input((4,))
    return OwnModel(inputs, layers.Dense(2)(inputs))


def masked(x):
    return layers.GlobalAveragePooling1D(name="mean")(layers.Dropout(0.1)(layers.Embedding(5, 3, mask_zero=True)(x)))


def infinite(x):
    return layers.Dense(3, name="wild", kernel_initializer=keras.initializers.Constant(np.inf))(x)


@pytest.mark.parametrize(
    ("shape", "network", "words"),
    [
        ((5, 4), lambda x: layers.LSTM(3, name="memory")(x), "memory, a LSTM"),
        ((4,), lambda x: Own(3, name="mine")(x), "mine, a Own"),
        ((8, 8, 2), lambda x: layers.UpSampling2D(name="up")(x), "up, a UpSampling2D"),
        (
            (8, 8, 2),
            lambda x: layers.GlobalMaxPooling2D(data_format="channels_first", name="g")(x),
            "g, a .*channels",
        ),
        ((8, 8, 2), lambda x: layers.BatchNormalization(axis=1, name="b")(x), "b, a .*another axis"),
        ((8, 2), lambda x: layers.Concatenate(axis=1, name="c")([x, x]), "c, a .*another axis"),
        ((8, 2), lambda x: layers.Permute((2, 1), name="p")(x), "p, a Permute that changes the order"),
        ((8, 2), lambda x: layers.PReLU(name="p")(x), "p, a PReLU with a slope for each place"),
        ((8, 2), lambda x: layers.Dense(2, activation="glu", name="d")(x), "d, a Dense with the activation glu"),
        (
            (8,),
            lambda x: layers.Dense(2, activation=lambda x: x * x, name="d")(x),
            "d, a Dense with the activation <lambda>, not",
        ),
        ((8,), lambda x: layers.Dropout(0.5, name="d")(x, training=True), "d, a Dropout that is called with training"),
        ((8,), lambda x: ops.sin(x), "sin, a Sin"),
        ((8,), lambda x: x[:, :2], "a GetItem"),
        ((8,), lambda x: x / x, "a .*Divide"),
        ((8,), lambda x: layers.Dense(2, name="d")(x / 0.0), "expected finite weights"),
        ((8,), lambda x: 1 / x, "a .*Divide"),
        ((8,), lambda x: ops.mean(x) + x, "a Mean"),
        ((8, 2), lambda x: x + np.ones((8, 1), np.float32), "a Add by other than a number for each channel"),
        ((), lambda x: layers.Rescaling(2.0, name="r")(x), "r, a Rescaling of a single number"),
        ((8, 2), lambda x: x + ops.max(x, axis=1), "a Add of inputs of different ranks"),
        ((8, 2), lambda x: ops.reshape(x, (-1, 2)), r"a Reshape of 16 numbers to \(2,\)"),
        ((2,), lambda x: ops.concatenate([x, np.ones((1, 2), np.float32)], axis=-1), "of numbers that no layer gives"),
        ((8, 1), lambda x: layers.Rescaling([1.0, 2.0], name="r")(x), "r, a Rescaling by other than a number for each"),
        ((5,), masked, "mean, a GlobalAveragePooling1D of values with a mask"),
        (
            (4,),
            lambda x: keras.Sequential([keras.Input((4,)), Own(3, name="mine")], name="in")(x),
            "in/mine",
        ),
        ((4,), infinite, "Layer wild: expected finite weights. Received: NaN or infinity"),
        ((None, 4), lambda x: layers.Dense(2)(x), r"fixed size. Received: \(any, 4\)"),
        ((5,), lambda x: layers.Dense(2, name="d")(ops.not_equal(x, 0)), "d, a Dense of a comparison"),
        ((5,), lambda x: ops.not_equal(x, 0), "that gives a comparison"),
    ],
)
def test_what_no_operation_stands_for_is_one_line_with_its_name(shape, network, words):
    inputs = keras.Input(shape)
    with pytest.raises(InputError, match=words) as error:
        read_graph(keras.Model(inputs, network(inputs)))
    assert "\n" not in str(error.value)


def test_layers_that_compute_with_other_weights_than_they_hold_are_refused():
    quantized, adapted = (filled(keras.Sequential([keras.Input((8,)), layers.Dense(8, name="d")])) for _ in range(2))
    quantized.layers[0].quantize("int8")
    adapted.layers[0].enable_lora(2)
    with pytest.raises(InputError, match="d, a Dense with quantized weights"):
        read_graph(quantized)
    with pytest.raises(InputError, match="d, a Dense with LoRA"):
        read_graph(adapted)


def test_models_of_another_kind_are_refused():
    one, other = keras.Input((4,)), keras.Input((4,))
    dense = layers.Dense(2)
    with pytest.raises(InputError, match="2 inputs and 1 outputs"):
        read_graph(keras.Model([one, other], dense(one + other)))
    with pytest.raises(InputError, match="1 inputs and 2 outputs"):
        read_graph(keras.Model(one, [dense(one), one]))
    with pytest.raises(InputError, match=r"knows its input's shape. Received: .*, a Sequential"):
        read_graph(keras.Sequential([dense]))
    with pytest.raises(InputError, match="a OwnModel whose layers are called by code of its own"):
        read_graph(of_own())

    class Of(keras.Model):
        """Functional all the same."""

    assert len(read_graph(Of(one, dense(one))).nodes) == 2


def test_a_held_model_is_read_as_before():
    model = filled(small())
    compile_model(model)
    masked, masks = held(model)
    assert not assert_same(masked).nodes[1].operation.kernel[~masks[0]].any()
