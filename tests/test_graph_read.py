"""A Keras model read as a graph gives what the model gives."""

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.graph.activations import FUNCTIONS
from prunefront.graph.forward import outputs
from prunefront.graph.keras_layers import IDENTITIES
from prunefront.graph.operations import Activation, Affine, Convolution, Dense
from prunefront.graph.read import read_graph, read_with_sources
from tests.helpers import compile_model, held, small

layers, ops = keras.layers, keras.ops


def filled(model, seed=0):
    """The model with random weights, variances among them, of which a third are zero."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(size=variable.shape) * (rng.random(variable.shape) > 1 / 3)
        if keras.backend.is_float_dtype(variable.dtype):
            variable.assign(np.abs(values) + 0.1 if "variance" in variable.path else values)
    return model


def functional(shape, network, dtype="float32"):
    inputs = keras.Input(shape, dtype=dtype)
    return filled(keras.Model(inputs, network(inputs)))


def examples(model, count=3):
    rng = np.random.default_rng(1)
    shape = (count, *model.input_shape[1:])
    if "int" in model.inputs[0].dtype:
        return rng.integers(0, 7, shape)
    return rng.normal(size=shape).astype(np.float32)


def assert_same(model):
    x = examples(model)
    (result,) = keras.tree.flatten(model(x, training=False))
    expected = ops.convert_to_numpy(ops.cast(result, "float32"))
    graph = read_graph(model)
    assert graph.output_shape == expected.shape[1:]
    np.testing.assert_allclose(outputs(graph, x), expected, rtol=1e-4, atol=1e-5)
    return graph


def attend(x):
    scores = ops.softmax(layers.Dense(4)(x))
    return layers.Multiply()([scores, x])


def residual(x):
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    z = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y))
    return layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Add()([y, z])))


def shared(x):
    layer = layers.Dense(4, activation="tanh")
    return layer(layer(x))


def nested(x):
    innermost = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="relu"), layers.Dropout(0.5)])
    inside = keras.Input((4,))
    inner = keras.Model(inside, layers.Concatenate()([innermost(inside), layers.Dense(2)(inside)]))
    return ops.concatenate([inner(x), inner(ops.relu(x)), innermost(x)], axis=-1)


def several(x):
    one, other = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    both = keras.Model({"a": one, "b": other}, [layers.Concatenate()([one, other]), layers.Dense(2)(one)])
    first, second = both({"a": x, "b": layers.Dense(3)(x)})
    return {"out": layers.Concatenate()([second, first])}


def normalization(**options):
    layer = layers.Normalization(**options)
    if "mean" not in options:
        layer.adapt(np.random.default_rng(0).normal(2, 3, (20, 5, 5, 3)))
    return layer


IMAGE = (7, 6, 4)
NETWORKS = {
    "dense": ((4,), lambda x: layers.Dense(3)(x)),
    "dense over the last axis": ((2, 3, 4), lambda x: layers.Dense(3, use_bias=False, activation="relu")(x)),
    "conv": (IMAGE, lambda x: layers.Conv2D(3, 3)(x)),
    "conv same strides": (IMAGE, lambda x: layers.Conv2D(3, (3, 2), strides=2, padding="same")(x)),
    "conv dilated": (IMAGE, lambda x: layers.Conv2D(3, (2, 3), dilation_rate=2, padding="same")(x)),
    "conv even": (IMAGE, lambda x: layers.Conv2D(3, (4, 2), strides=(3, 1), padding="same")(x)),
    "conv 1": (IMAGE, lambda x: layers.Conv2D(3, 1, strides=2, activation="selu")(x)),
    "conv groups": (IMAGE, lambda x: layers.Conv2D(6, 3, groups=2)(x)),
    "conv1d": ((9, 4), lambda x: layers.Conv1D(3, 4, strides=2, padding="same")(x)),
    "conv1d causal": ((9, 4), lambda x: layers.Conv1D(3, 3, dilation_rate=2, padding="causal")(x)),
    "depthwise": (IMAGE, lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="elu")(x)),
    "depthwise strides": (IMAGE, lambda x: layers.DepthwiseConv2D((3, 2), strides=2, use_bias=False)(x)),
    "depthwise1d": ((9, 4), lambda x: layers.DepthwiseConv1D(3, strides=2, padding="same")(x)),
    "separable": (IMAGE, lambda x: layers.SeparableConv2D(3, 3, depth_multiplier=2, strides=2, padding="same")(x)),
    "separable1d": ((9, 4), lambda x: layers.SeparableConv1D(3, 3, activation="relu", use_bias=False)(x)),
    "batch normalization": (IMAGE, lambda x: layers.BatchNormalization()(x)),
    "batch normalization of rank 1": ((4,), lambda x: layers.BatchNormalization(center=False, epsilon=0.1)(x)),
    "batch normalization without scale": ((4,), lambda x: layers.BatchNormalization(scale=False, axis=1)(x)),
    "layer normalization": (IMAGE, lambda x: layers.LayerNormalization()(x)),
    "layer normalization bare": ((4,), lambda x: layers.LayerNormalization(center=False, scale=False)(x)),
    "rescaling": (IMAGE, lambda x: layers.Rescaling([1, 2, 3, 4], offset=-0.5)(x)),
    "normalization": ((5, 5, 3), normalization()),
    "normalization of everything": ((5, 5, 3), normalization(axis=None)),
    "normalization given": ((4,), normalization(mean=[1, 2, 3, 4], variance=[2.0, 1, 0, 4])),
    "normalization inverted": ((4,), normalization(mean=3.0, variance=2.0, invert=True)),
    "max pooling": (IMAGE, lambda x: layers.MaxPooling2D(2)(x)),
    "max pooling same": (IMAGE, lambda x: layers.MaxPooling2D(3, strides=2, padding="same")(x)),
    "average pooling same": (IMAGE, lambda x: layers.AveragePooling2D((2, 3), strides=2, padding="same")(x)),
    "pooling1d": ((9, 4), lambda x: layers.AveragePooling1D(3)(layers.MaxPooling1D(2, padding="same")(x))),
    "global": (IMAGE, lambda x: layers.Add()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])),
    "global keepdims": (IMAGE, lambda x: layers.Multiply()([x, layers.GlobalMaxPooling2D(keepdims=True)(x)])),
    "global1d": ((9, 4), lambda x: layers.GlobalAveragePooling1D(keepdims=True)(x)),
    "flatten": (IMAGE, lambda x: layers.Dense(2)(layers.Flatten()(x))),
    "reshape": (IMAGE, lambda x: layers.Conv1D(2, 3)(layers.Reshape((-1, 8))(x))),
    "permute": ((1, 3, 4), lambda x: layers.Permute((2, 1, 3))(x)),
    "padding": (IMAGE, lambda x: layers.ZeroPadding2D(((1, 2), (0, 3)))(x)),
    "padding1d": ((5, 4), lambda x: layers.ZeroPadding1D((2, 1))(x)),
    "residual": (IMAGE, residual),
    "subtract": ((4,), lambda x: layers.Subtract()([x, layers.Dense(4)(x)])),
    "average": ((4,), lambda x: layers.Average()([x, layers.Dense(4)(x), layers.Dense(4)(x)])),
    "concatenate": (IMAGE, lambda x: layers.Concatenate()([x, layers.Conv2D(2, 1)(x), x])),
    "relu": ((4,), lambda x: layers.ReLU(max_value=1.0, negative_slope=0.3, threshold=0.2)(x)),
    "relu to zero": ((4,), lambda x: layers.ReLU(max_value=0.0, negative_slope=0.3)(x)),
    "leaky relu": ((4,), lambda x: layers.LeakyReLU(negative_slope=0.1)(layers.ELU(alpha=0.5)(x))),
    "prelu": (IMAGE, lambda x: layers.PReLU(shared_axes=[1, 2])(x)),
    "prelu of rank 1": ((4,), lambda x: layers.PReLU()(x)),
    "softmax": ((3, 4), lambda x: layers.Softmax()(x)),
    "activation that is a layer": ((4,), lambda x: layers.Dense(3, activation=layers.LeakyReLU(0.4))(x)),
    "spectral": (IMAGE, lambda x: layers.SpectralNormalization(layers.Conv2D(3, 2, activation="relu"))(x)),
    "time distributed": ((3, 4), lambda x: layers.TimeDistributed(layers.Dense(5, activation="relu"))(x)),
    "activations that are functions": (
        (4,),
        lambda x: layers.Dense(3, activation=ops.gelu)(layers.Activation(ops.leaky_relu)(x)),
    ),
    "shared": ((4,), shared),
    "nested with several inputs and outputs": ((4,), several),
    "nested": ((4,), nested),
    "attention over channels": ((4,), attend),
    "arithmetic": ((4,), lambda x: (2 - x / 4.0) * 3 + np.array([1, 2, 3, 4], np.float32) - x * x + -x),
    "functions": (
        IMAGE,
        lambda x: ops.expand_dims(ops.mean(ops.leaky_relu(x, 0.3), axis=(1, 2)) + ops.max(x, axis=[1, 2]), 1),
    ),
    "reshaping functions": ((1, 6), lambda x: ops.squeeze(ops.reshape(ops.gelu(x), (-1, 1, 2, 3)), 1)),
    "output in the middle": ((4,), lambda x: layers.Identity()(x)),
    "integers": ((5,), lambda x: layers.Flatten()(layers.Embedding(7, 3)(x)), "int32"),
    "a single integer": ((), lambda x: layers.Embedding(7, 3, mask_zero=True)(x), "int32"),
}


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
