"""Small networks of each kind of layer that a graph can be read from."""

import numpy as np

from prunefront.common.runtime import keras

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
    "depthwise dilated": (IMAGE, lambda x: layers.DepthwiseConv2D(2, dilation_rate=2, padding="same")(x)),
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
    "pooling with gaps": (IMAGE, lambda x: layers.MaxPooling2D((1, 2), strides=3, padding="same")(x)),
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
    "square": ((4,), lambda x: ops.exp(-ops.square(x))),
    "functions": (
        IMAGE,
        lambda x: ops.expand_dims(ops.mean(ops.leaky_relu(x, 0.3), axis=(1, 2)) + ops.max(x, axis=[1, 2]), 1),
    ),
    "reshaping functions": ((1, 6), lambda x: ops.squeeze(ops.reshape(ops.gelu(x), (-1, 1, 2, 3)), 1)),
    "output in the middle": ((4,), lambda x: layers.Identity()(x)),
    "integers": ((5,), lambda x: layers.Flatten()(layers.Embedding(7, 3)(x)), "int32"),
    "a single integer": ((), lambda x: layers.Embedding(7, 3, mask_zero=True)(x), "int32"),
}
