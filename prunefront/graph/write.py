"""A graph as a Keras model."""

import re
from typing import Any

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.graph.operations import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Embedding,
    GlobalPool,
    Graph,
    LayerNormalization,
    Merge,
    Node,
    Pad,
    Pool,
    Reshape,
    Shape,
)
from prunefront.graph.shapes import same_padding, spread

layers = keras.layers


def write_model(graph: Graph) -> "keras.Model":
    """A functional model that computes the graph in float32.

    Its layers have the names of the nodes, with `_` for `/` and a number where a name comes again. Biases that are all
    zero are left out; an Affine is a BatchNormalization with mean 0 and variance 1.

    Args:
        graph: the network.

    Raises:
        InputError: a padded pooling that no Keras layer does.
    """
    embeds = any(isinstance(node.operation, Embedding) and 0 in node.inputs for node in graph.nodes)
    names = _names(graph)
    inputs = keras.Input(graph.input_shape, dtype="int32" if embeds else "float32", name=names[0])
    values = [inputs]
    for node, name in zip(graph.nodes[1:], names[1:], strict=True):
        takes = [values[i] for i in node.inputs]
        values.append(_written(node, name, takes, graph.nodes[node.inputs[0]].shape))
    return keras.Model(inputs, values[-1], name=_valid(graph.name))


def _written(node: Node, name: str, takes: list[Any], shape: Shape) -> Any:
    x, operation = takes[0], node.operation
    named = {"name": name, "dtype": "float32"}
    match operation:
        case Dense():
            layer = layers.Dense(operation.kernel.shape[1], use_bias=bool(operation.bias.any()), **named)
            return _with_weights(layer, x, operation.kernel, operation.bias)
        case Convolution():
            return _convolution(operation, named, x, shape)
        case Affine():
            mean, variance = np.zeros_like(operation.shift), np.ones_like(operation.scale)
            layer = layers.BatchNormalization(epsilon=0.0, **named)
            return _with_weights(layer, x, operation.scale, operation.shift, mean, variance)
        case LayerNormalization():
            layer = layers.LayerNormalization(epsilon=operation.epsilon, **named)
            return _with_weights(layer, x, operation.gamma, operation.beta)
        case Embedding():
            return _with_weights(layers.Embedding(*operation.table.shape, **named), x, operation.table)
        case Activation():
            return _activation(operation, named, x)
        case Pool():
            padding = _padding_name(operation.padding, shape, operation.size, operation.strides)
            if padding is None:
                raise InputError(
                    f"Expected a pooling without padding, or with that of TensorFlow's same. "
                    f"Received: {node.name} with {operation.padding}"
                )
            kind = {"max": "MaxPooling", "average": "AveragePooling"}[operation.kind]
            layer = getattr(layers, f"{kind}{len(operation.size)}D")
            return layer(operation.size, operation.strides, padding, **named)(x)
        case GlobalPool():
            if len(shape) not in (2, 3):
                function = keras.ops.max if operation.kind == "max" else keras.ops.mean
                return function(x, axis=tuple(range(1, len(shape))))
            kind = {"max": "GlobalMaxPooling", "average": "GlobalAveragePooling"}[operation.kind]
            return getattr(layers, f"{kind}{len(shape) - 1}D")(**named)(x)
        case Reshape():
            return layers.Flatten(**named)(x) if len(node.shape) == 1 else layers.Reshape(node.shape, **named)(x)
        case Pad():
            return _padded(operation.padding, named, x)
        case Merge():
            kinds = {"add": layers.Add, "multiply": layers.Multiply, "concatenate": layers.Concatenate}
            return kinds[operation.kind](**named)(takes)
    raise AssertionError(node)


def _with_weights(layer: Any, x: Any, *weights: np.ndarray) -> Any:
    """What a layer gives, built and filled; a bias that it does not have is left out."""
    result = layer(x)
    layer.set_weights([array.astype(np.float32) for array in weights][: len(layer.weights)])
    return result


def _convolution(operation: Convolution, named: dict[str, Any], x: Any, shape: Shape) -> Any:
    *size, _, units = operation.kernel.shape
    rank = len(size)
    padding = _padding_name(operation.padding, shape, spread(size, operation.dilation), operation.strides)
    if padding is None and rank == 1 and operation.padding == ((spread(size, operation.dilation)[0] - 1, 0),):
        padding = "causal"
    if padding is None or (padding == "causal" and operation.groups > 1):
        x, padding = _padded(operation.padding, {**named, "name": f"{named['name']}_padding"}, x), "valid"
    options = {
        "strides": operation.strides,
        "dilation_rate": operation.dilation,
        "padding": padding,
        "use_bias": bool(operation.bias.any()),
        **named,
    }
    kernel = operation.kernel
    if operation.groups == shape[-1] > 1:
        multiplier = units // shape[-1]
        kernel = kernel.reshape(*size, shape[-1], multiplier)
        layer = getattr(layers, f"DepthwiseConv{rank}D")(tuple(size), depth_multiplier=multiplier, **options)
    else:
        layer = getattr(layers, f"Conv{rank}D")(units, tuple(size), groups=operation.groups, **options)
    return _with_weights(layer, x, kernel, operation.bias)


def _padding_name(padding: Any, shape: Shape, reach: Any, strides: Any) -> str | None:
    if not any(map(any, padding)):
        return "valid"
    return "same" if padding == same_padding(shape[:-1], reach, strides) else None


def _padded(padding: Any, named: dict[str, Any], x: Any) -> Any:
    return (
        layers.ZeroPadding1D(padding[0], **named)(x) if len(padding) == 1 else layers.ZeroPadding2D(padding, **named)(x)
    )


def _activation(operation: Activation, named: dict[str, Any], x: Any) -> Any:
    parameters = operation.parameters
    match operation.name:
        case "relu" if parameters:
            return layers.ReLU(**parameters, **named)(x)
        case "leaky_relu":
            return layers.LeakyReLU(parameters.get("negative_slope", 0.2), **named)(x)
        case "elu":
            return layers.ELU(**parameters, **named)(x)
        case "gelu" if parameters.get("approximate"):
            return keras.ops.gelu(x, approximate=True)
        case "celu" | "hard_shrink" | "soft_shrink" | "squareplus" if parameters:
            return getattr(keras.ops, operation.name)(x, **parameters)
    return layers.Activation(operation.name, **named)(x)


def _names(graph: Graph) -> list[str]:
    """A name for each node that Keras takes, and no two alike."""
    found: dict[str, None] = {}
    for node in graph.nodes:
        name, number = _valid(node.name), 1
        while name in found:
            number += 1
            name = f"{_valid(node.name)}_{number}"
        found[name] = None
    return list(found)


def _valid(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name) or "network"
