"""What a graph gives, in NumPy: the reference that every other form of it is held to."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from prunefront.graph.activations import activate
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
    Sides,
)


def outputs(graph: Graph, inputs: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """What the graph gives for examples.

    Args:
        graph: the network.
        inputs: of any number type, (n, *graph.input_shape).
        dtype: of the arithmetic; the order of the sums is NumPy's own.

    Returns:
        The outputs, (n, *graph.output_shape).
    """
    values: dict[int, np.ndarray] = {}
    last_use = {taken: user for user, node in enumerate(graph.nodes) for taken in node.inputs}
    for number, node in enumerate(graph.nodes):
        values[number] = _apply(node, [values[i] for i in node.inputs] or [inputs.astype(dtype)])
        for taken in set(node.inputs):
            if last_use[taken] == number:
                del values[taken]
    return values[len(graph.nodes) - 1]


def difference_of(expected: np.ndarray, received: np.ndarray) -> float:
    """The largest difference of two arrays, as a share of the largest magnitude of the first; NaN if one has NaN."""
    scale = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(expected - received).max()) / scale


def _apply(node: Node, inputs: Sequence[np.ndarray]) -> np.ndarray:
    x, operation = inputs[0], node.operation
    match operation:
        case Input():
            return x
        case Dense():
            return x @ operation.kernel.astype(x.dtype) + operation.bias.astype(x.dtype)
        case Convolution():
            return _convolve(operation, node, x)
        case Affine():
            return x * operation.scale.astype(x.dtype) + operation.shift.astype(x.dtype)
        case LayerNormalization():
            centred = x - x.mean(axis=-1, keepdims=True)
            deviation = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + operation.epsilon)
            return centred / deviation * operation.gamma.astype(x.dtype) + operation.beta.astype(x.dtype)
        case Embedding():
            return operation.table.astype(x.dtype)[x.astype(np.int64)]
        case Activation():
            return activate(operation, x)
        case Pool():
            return _pool(operation, node, x)
        case GlobalPool():
            axes = tuple(range(1, x.ndim - 1))
            return x.max(axis=axes) if operation.kind == "max" else x.mean(axis=axes)
        case Reshape():
            return x.reshape(len(x), *node.shape)
        case Pad():
            return _padded(x, operation.padding)
        case Merge():
            return _merge(operation.kind, inputs)


def _convolve(operation: Convolution, node: Node, x: np.ndarray) -> np.ndarray:
    """Place by place of the kernel; (groups, examples and places, channels) in between."""
    *size, _, units = operation.kernel.shape
    groups = operation.groups
    kernel = operation.kernel.astype(x.dtype).reshape(*size, -1, groups, units // groups)
    padded = _padded(x, operation.padding)
    result = np.zeros((groups, len(x) * math.prod(node.shape[:-1]), units // groups), x.dtype)
    for tap, window in _windows(padded, size, operation.strides, operation.dilation, node.shape[:-1]):
        runs = window.reshape(-1, groups, kernel.shape[-3]).transpose(1, 0, 2)
        weights = kernel[tap].transpose(1, 0, 2)
        result += runs * weights if kernel.shape[-3] == 1 else runs @ weights
    return result.transpose(1, 0, 2).reshape(len(x), *node.shape) + operation.bias.astype(x.dtype)


def _pool(operation: Pool, node: Node, x: np.ndarray) -> np.ndarray:
    ones = (1,) * len(operation.size)
    largest = operation.kind == "max"
    padded = _padded(x, operation.padding, -np.inf if largest else 0)
    windows = [w for _, w in _windows(padded, operation.size, operation.strides, ones, node.shape[:-1])]
    if largest:
        return np.maximum.reduce(windows)
    inside = _padded(np.ones_like(x[:1]), operation.padding)
    counts = [w for _, w in _windows(inside, operation.size, operation.strides, ones, node.shape[:-1])]
    result: np.ndarray = np.sum(windows, axis=0) / np.sum(counts, axis=0)
    return result


def _windows(
    x: np.ndarray, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int], places: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """For each place in a window, what lies there in all windows."""
    for tap in np.ndindex(*size):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        slices = [
            slice(start, start + stride * (count - 1) + 1, stride)
            for start, stride, count in zip(starts, strides, places, strict=True)
        ]
        yield tap, x[(slice(None), *slices)]


def _padded(x: np.ndarray, padding: Sides, value: float = 0) -> np.ndarray:
    return np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=value)


def _merge(kind: str, inputs: Sequence[np.ndarray]) -> np.ndarray:
    if kind == "concatenate":
        return np.concatenate(inputs, axis=-1)
    result = inputs[0]
    for other in inputs[1:]:
        result = result + other if kind == "add" else result * other
    return result
