"""What each kind of Keras layer comes down to in inference."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prunefront.common.runtime import keras
from prunefront.graph.activations import FUNCTIONS
from prunefront.graph.builder import Builder, Value
from prunefront.graph.operations import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Embedding,
    GlobalPool,
    LayerNormalization,
    Merge,
    Pad,
    Pool,
    Reshape,
    Sides,
)
from prunefront.graph.shapes import same_padding, spread

layers = keras.layers
PARAMETERS: dict[str, dict[str, float]] = {
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 1.0},
    "celu": {"alpha": 1.0},
    "gelu": {"approximate": 0.0},
    "hard_shrink": {"threshold": 0.5},
    "soft_shrink": {"threshold": 0.5},
    "squareplus": {"b": 4.0},
}
"""What Keras's functions take if nothing is said."""


def activated(builder: Builder, function: Any, x: Value, owner: Any) -> Value:
    """A node for an `activation=` argument, none for a linear one."""
    if function is None or function is keras.activations.linear:
        return x
    if isinstance(function, keras.Layer):
        given: Value = builder.layer(builder, function, x)
        return given
    name = getattr(function, "__name__", type(function).__name__)
    if name not in FUNCTIONS or function not in (getattr(keras.activations, name), getattr(keras.ops, name, None)):
        builder.refuse(owner, f"with the activation {name}, not by Keras's name")
    parameters = PARAMETERS.get(name, {})
    if name == "gelu" and function is keras.ops.gelu:  # which differ in what they take if nothing is said
        parameters = {"approximate": 1.0}
    return activation(builder, name, parameters, x, part=name)


def activation(builder: Builder, name: str, parameters: dict[str, float], x: Value, part: str = "") -> Value:
    """A node for one of Keras's activations, given by name."""
    return builder.add(Activation(name, parameters), x, part=part)


def affine(builder: Builder, x: Value, scale: Any, shift: Any, part: str = "", variables: Any = ()) -> Value:
    """A node for `x * scale + shift`; both are numbers, or have one for each channel."""
    each = [np.broadcast_to(np.asarray(a, np.float32), x.shape[-1:]).copy() for a in (scale, shift)]
    return builder.add(Affine(*each), x, part=part, variables=variables)


def reshaped(builder: Builder, layer: Any, x: Value, shape: Sequence[int], part: str = "") -> Value:
    """A node for the same numbers in another shape, of which one size may be -1."""
    numbers = math.prod(x.shape)
    rest = math.prod(size for size in shape if size not in (-1, None))
    shape = [numbers // max(rest, 1) if size in (-1, None) else size for size in shape]
    if math.prod(shape) != numbers:
        builder.refuse(layer, f"of {numbers} numbers to {tuple(shape)}")
    return builder.add(Reshape(), x, part=part, shape=tuple(map(int, shape)))


def permuted(builder: Builder, layer: Any, x: Value, axes: Sequence[int]) -> Value:
    """A node for other places of the axes; only such as leave all numbers in their order."""
    if [axis for axis in axes if x.shape[axis] != 1] != [axis for axis in range(len(axes)) if x.shape[axis] != 1]:
        builder.refuse(layer, "that changes the order of the numbers")
    return builder.add(Reshape(), x, shape=tuple(x.shape[axis] for axis in axes))


def merged(builder: Builder, layer: Any, kind: str, inputs: Sequence[Value], part: str = "") -> Value:
    """A node for the sum, the product or the sequence of several values."""
    if not all(isinstance(x, Value) for x in inputs):
        builder.refuse(layer, "of numbers that no layer gives")
    if len({len(x.shape) for x in inputs}) != 1:
        builder.refuse(layer, "of inputs of different ranks")
    return builder.add(Merge(kind), *inputs, part=part) if len(inputs) > 1 else inputs[0]


def over_channels(builder: Builder, layer: Any, x: Value, axis: Any) -> None:
    """Refuses an axis, counted with the batch, that is not the last one alone."""
    (axis,) = axis if isinstance(axis, tuple | list) and len(axis) == 1 else (axis,)
    if axis not in (-1, len(x.shape)):
        builder.refuse(layer, f"over another axis than the last: {axis}")


def _zeros(builder: Builder, bias: Any, units: int) -> np.ndarray:
    return np.zeros(units, np.float32) if bias is None else builder.array(bias)


def _dense(builder: Builder, layer: Any, x: Value) -> Value:
    kernel = builder.array(layer.kernel)
    operation = Dense(kernel, _zeros(builder, layer.bias, kernel.shape[1]))
    return activated(builder, layer.activation, _weighted(builder, layer, operation, x), layer)


def _weighted(builder: Builder, layer: Any, operation: Dense | Convolution, x: Value) -> Value:
    return builder.add(operation, x, variables=[("kernel", layer.kernel), ("bias", layer.bias)])


def _padding(layer: Any, x: Value, reach: Sequence[int]) -> Sides:
    if layer.padding == "causal":
        return ((reach[0] - 1, 0),)
    return same_padding(x.shape[:-1], reach, layer.strides) if layer.padding == "same" else ((0, 0),) * len(reach)


def _convolution(builder: Builder, layer: Any, x: Value) -> Value:
    kernel = builder.array(layer.kernel)
    bias = _zeros(builder, layer.bias, kernel.shape[-1])
    padding = _padding(layer, x, spread(layer.kernel_size, layer.dilation_rate))
    operation = Convolution(kernel, bias, tuple(layer.strides), tuple(layer.dilation_rate), padding, layer.groups)
    return activated(builder, layer.activation, _weighted(builder, layer, operation, x), layer)


def _depthwise_operation(builder: Builder, layer: Any, kernel: Any, bias: Any, x: Value) -> Convolution:
    values = builder.array(kernel)
    *size, channels, multiplier = values.shape
    padding = _padding(layer, x, spread(size, layer.dilation_rate))
    return Convolution(
        values.reshape(*size, 1, channels * multiplier),
        _zeros(builder, bias, channels * multiplier),
        tuple(layer.strides),
        tuple(layer.dilation_rate),
        padding,
        channels,
    )


def _depthwise(builder: Builder, layer: Any, x: Value) -> Value:
    operation = _depthwise_operation(builder, layer, layer.kernel, layer.bias, x)
    return activated(builder, layer.activation, _weighted(builder, layer, operation, x), layer)


def _separable(builder: Builder, layer: Any, x: Value) -> Value:
    depthwise = _depthwise_operation(builder, layer, layer.depthwise_kernel, None, x)
    kernel = builder.array(layer.pointwise_kernel)
    ones = (1,) * layer.rank
    pointwise = Convolution(kernel, _zeros(builder, layer.bias, kernel.shape[-1]), ones, ones, ((0, 0),) * layer.rank)
    x = builder.add(depthwise, x, part="depthwise", variables=[("kernel", layer.depthwise_kernel)])
    variables = [("kernel", layer.pointwise_kernel), ("bias", layer.bias)]
    return activated(builder, layer.activation, builder.add(pointwise, x, part="pointwise", variables=variables), layer)


def _batch_normalization(builder: Builder, layer: Any, x: Value) -> Value:
    over_channels(builder, layer, x, layer.axis)
    mean = builder.array(layer.moving_mean).astype(np.float64)
    gamma = builder.array(layer.gamma) if layer.scale else 1.0
    beta = builder.array(layer.beta) if layer.center else 0.0
    scale = gamma / np.sqrt(builder.array(layer.moving_variance).astype(np.float64) + layer.epsilon)
    variables = [("scale", layer.moving_variance), ("shift", layer.moving_mean)]
    variables += [("scale", layer.gamma)] if layer.scale else []
    variables += [("shift", layer.beta)] if layer.center else []
    return affine(builder, x, scale, beta - mean * scale, variables=variables)


def _layer_normalization(builder: Builder, layer: Any, x: Value) -> Value:
    over_channels(builder, layer, x, layer.axis)
    if layer.rms_scaling:
        builder.refuse(layer, "with rms_scaling")
    units = x.shape[-1]
    gamma = np.ones(units, np.float32) if layer.gamma is None else builder.array(layer.gamma)
    operation = LayerNormalization(gamma, _zeros(builder, layer.beta, units), float(layer.epsilon))
    return builder.add(operation, x, variables=[("gamma", layer.gamma), ("beta", layer.beta)])


def _normalization(builder: Builder, layer: Any, x: Value) -> Value:
    # what it computes with: its weights only count once it is finalized
    mean, variance = (builder.array(a).astype(np.float64) for a in (layer.mean, layer.variance))
    if any(size != 1 for a in (mean, variance) for size in a.shape[:-1]):
        builder.refuse(layer, "over another axis than the last")
    deviation = np.maximum(np.sqrt(variance.reshape(-1)), keras.config.epsilon())
    mean = mean.reshape(-1)
    if layer.invert:
        return affine(builder, x, deviation, mean)
    return affine(builder, x, 1 / deviation, -mean / deviation)


def _rescaling(builder: Builder, layer: Any, x: Value) -> Value:
    scale, offset = (np.asarray(a, np.float32) for a in (layer.scale, layer.offset))
    if any(a.size not in (1, x.shape[-1]) or a.ndim > 1 for a in (scale, offset)):
        builder.refuse(layer, "by other than a number for each channel")
    return affine(builder, x, scale, offset)


def _embedding(builder: Builder, layer: Any, x: Value) -> Value:
    table = builder.array(layer.embeddings)
    return builder.add(Embedding(table), x, variables=[("table", layer.embeddings)])


def _pooling(kind: str) -> Callable[[Builder, Any, Value], Value]:
    def read(builder: Builder, layer: Any, x: Value) -> Value:
        size, strides = tuple(layer.pool_size), tuple(layer.strides)
        return builder.add(Pool(kind, size, strides, _padding(layer, x, size)), x)

    return read


def _global_pooling(kind: str) -> Callable[[Builder, Any, Value], Value]:
    def read(builder: Builder, layer: Any, x: Value) -> Value:
        if x.masked and kind == "average":
            builder.refuse(layer, "of values with a mask")
        return global_pool(builder, layer, kind, x, layer.keepdims)

    return read


def global_pool(builder: Builder, layer: Any, kind: str, x: Value, keepdims: bool) -> Value:
    """Nodes for the largest number or the mean of each channel."""
    pooled = builder.add(GlobalPool(kind), x)
    return (
        reshaped(builder, layer, pooled, (*(1,) * (len(x.shape) - 1), x.shape[-1]), "reshape") if keepdims else pooled
    )


def _zero_padding(builder: Builder, layer: Any, x: Value) -> Value:
    sides = layer.padding if isinstance(layer.padding[0], tuple | list) else (layer.padding,)
    return builder.add(Pad(tuple((int(before), int(after)) for before, after in sides)), x)


def _flatten(builder: Builder, layer: Any, x: Value) -> Value:
    return reshaped(builder, layer, x, (math.prod(x.shape),))


def _reshape(builder: Builder, layer: Any, x: Value) -> Value:
    return reshaped(builder, layer, x, layer.target_shape)


def _permute(builder: Builder, layer: Any, x: Value) -> Value:
    return permuted(builder, layer, x, [axis - 1 for axis in layer.dims])


def _merging(kind: str) -> Callable[[Builder, Any, Sequence[Value]], Value]:
    def read(builder: Builder, layer: Any, inputs: Sequence[Value]) -> Value:
        return merged(builder, layer, kind, inputs)

    return read


def _average(builder: Builder, layer: Any, inputs: Sequence[Value]) -> Value:
    return affine(builder, merged(builder, layer, "add", inputs, part="add"), 1 / len(inputs), 0)


def _subtract(builder: Builder, layer: Any, inputs: Sequence[Value]) -> Value:
    return merged(builder, layer, "add", [inputs[0], affine(builder, inputs[1], -1, 0, part="negative")])


def _concatenate(builder: Builder, layer: Any, inputs: Sequence[Value]) -> Value:
    over_channels(builder, layer, inputs[0], layer.axis)
    return merged(builder, layer, "concatenate", inputs)


def _relu_layer(builder: Builder, layer: Any, x: Value) -> Value:
    parameters = {"negative_slope": layer.negative_slope, "threshold": layer.threshold}
    said = {name: float(p) for name, p in parameters.items() if p}
    if layer.max_value is not None:
        said["max_value"] = float(layer.max_value)
    return activation(builder, "relu", said, x)


def _prelu(builder: Builder, layer: Any, x: Value) -> Value:
    """`relu(x) - alpha * relu(-x)`, as Keras has it."""
    alpha = builder.array(layer.alpha)
    if alpha.size != alpha.shape[-1]:
        builder.refuse(layer, "with a slope for each place")
    negative = affine(builder, x, -1, 0, part="negative")
    below = affine(builder, activation(builder, "relu", {}, negative, "below"), -alpha.reshape(-1), 0, part="alpha")
    return merged(builder, layer, "add", [activation(builder, "relu", {}, x, "above"), below])


def _softmax(builder: Builder, layer: Any, x: Value) -> Value:
    over_channels(builder, layer, x, layer.axis)
    if x.masked:
        builder.refuse(layer, "of values with a mask")
    return activation(builder, "softmax", {}, x)


def _wrapped(builder: Builder, layer: Any, x: Value) -> Value:
    given: Value = builder.layer(builder, layer.layer, x)
    return given


def _time_distributed(builder: Builder, layer: Any, x: Value) -> Value:
    inner = layer.layer
    each = layers.Dense | layers.Dropout | layers.Activation | layers.ReLU | layers.LeakyReLU | layers.ELU
    if not isinstance(inner, each) or x.masked:
        builder.refuse(layer, f"of a {type(inner).__name__}" if not x.masked else "of values with a mask")
    return _wrapped(builder, layer, x)


def _same(_: Builder, __: Any, x: Value) -> Value:
    return x


IDENTITIES = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "InputLayer",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
)
"""The layers that only do something in training."""
LAYERS: dict[type, Callable[[Builder, Any, Any], Value]] = {
    **{getattr(layers, name): _same for name in IDENTITIES},
    layers.Dense: _dense,
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.DepthwiseConv1D: _depthwise,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv1D: _separable,
    layers.SeparableConv2D: _separable,
    layers.BatchNormalization: _batch_normalization,
    layers.LayerNormalization: _layer_normalization,
    layers.Normalization: _normalization,
    layers.Rescaling: _rescaling,
    layers.Embedding: _embedding,
    layers.MaxPooling1D: _pooling("max"),
    layers.MaxPooling2D: _pooling("max"),
    layers.AveragePooling1D: _pooling("average"),
    layers.AveragePooling2D: _pooling("average"),
    layers.GlobalMaxPooling1D: _global_pooling("max"),
    layers.GlobalMaxPooling2D: _global_pooling("max"),
    layers.GlobalAveragePooling1D: _global_pooling("average"),
    layers.GlobalAveragePooling2D: _global_pooling("average"),
    layers.ZeroPadding1D: _zero_padding,
    layers.ZeroPadding2D: _zero_padding,
    layers.Flatten: _flatten,
    layers.Reshape: _reshape,
    layers.Permute: _permute,
    layers.Add: _merging("add"),
    layers.Multiply: _merging("multiply"),
    layers.Concatenate: _concatenate,
    layers.Average: _average,
    layers.Subtract: _subtract,
    layers.Activation: lambda builder, layer, x: activated(builder, layer.activation, x, layer),
    layers.ReLU: _relu_layer,
    layers.LeakyReLU: lambda builder, layer, x: activation(
        builder, "leaky_relu", {"negative_slope": float(layer.negative_slope)}, x
    ),
    layers.ELU: lambda builder, layer, x: activation(builder, "elu", {"alpha": float(layer.alpha)}, x),
    layers.PReLU: _prelu,
    layers.Softmax: _softmax,
    layers.SpectralNormalization: _wrapped,
    layers.TimeDistributed: _time_distributed,
}
"""By exact class: one that is derived from these may do anything."""
