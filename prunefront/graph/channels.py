"""What becomes of each channel of a graph: which are the same for every example, and which reach the output.

A channel is an entry of the last axis, at all places of the other axes. Both answers follow from which weights are zero
and are never wrong; a channel of which neither is found may still be constant or without effect by its values.
"""

import math

import numpy as np

from prunefront.graph.activations import OVER_CHANNELS, activate
from prunefront.graph.operations import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Embedding,
    Graph,
    Input,
    LayerNormalization,
    Merge,
    Node,
    Pad,
    Reshape,
    Shape,
)


def channels(shape: Shape) -> int:
    """How many channels a value has; a single number is one."""
    return shape[-1] if shape else 1


def constants(graph: Graph) -> list[np.ndarray]:
    """For each node and channel, the number that it is at all places whatever the example, NaN where it varies.

    Returns:
        An array of float64, (channels,), for each node.
    """
    found: list[np.ndarray] = []
    for node in graph.nodes:
        with np.errstate(over="ignore", invalid="ignore"):
            values = _constant(node, [found[i] for i in node.inputs], graph)
        found.append(np.where(np.isfinite(values), values, np.nan))
    return found


def needed(graph: Graph) -> list[np.ndarray]:
    """For each node and channel, whether a path of non-zero weights leads from it to the output.

    Returns:
        An array of bool, (channels,), for each node.
    """
    found = [np.zeros(channels(node.shape), bool) for node in graph.nodes]
    found[-1][:] = True
    for node, wanted in zip(reversed(graph.nodes), reversed(found), strict=True):
        shapes = [graph.nodes[i].shape for i in node.inputs]
        for number, shape, taken in zip(node.inputs, shapes, _taken(node, wanted, shapes), strict=True):
            one_for_all = len(taken) > channels(shape)
            found[number] |= taken.any() if one_for_all else taken
    return found


def grouped(operation: Dense | Convolution) -> np.ndarray:
    """The kernel as (places, inputs / groups, groups, outputs / groups); a view."""
    groups = operation.groups if isinstance(operation, Convolution) else 1
    *_, inputs, units = operation.kernel.shape
    return operation.kernel.reshape(-1, inputs, groups, units // groups)


def by_group(of_inputs: np.ndarray, operation: Dense | Convolution) -> np.ndarray:
    """What is known of each input channel, as (inputs / groups, groups, 1), to go with `grouped`."""
    groups = operation.groups if isinstance(operation, Convolution) else 1
    return of_inputs.reshape(groups, -1).T[..., None]


def foldable(operation: Dense | Convolution, known: np.ndarray) -> np.ndarray:
    """Which constant inputs add the same number at all places: with zeros around them, only those that are 0.

    Args:
        operation: that takes them.
        known: for each input channel, see `constants`.
    """
    padded = isinstance(operation, Convolution) and any(map(any, operation.padding))
    return known == 0 if padded else ~np.isnan(known)


def reached(operation: Dense | Convolution, shape: Shape) -> np.ndarray:
    """Which places of a kernel ever meet more than the zeros around its input, (places,).

    Args:
        operation: the owner.
        shape: of its input.
    """
    if isinstance(operation, Dense):
        return np.ones(1, bool)
    axes = []
    for n, size, stride, step, (before, after) in zip(
        shape[:-1], operation.kernel.shape, operation.strides, operation.dilation, operation.padding, strict=False
    ):
        windows = (n + before + after - (size - 1) * step - 1) // stride + 1
        places = np.arange(size)[:, None] * step + np.arange(windows) * stride - before
        axes.append(((places >= 0) & (places < n)).any(axis=1))
    met = axes[0] if len(axes) == 1 else axes[0][:, None] & axes[1]
    return np.asarray(met).reshape(-1)


def residues(of_channels: np.ndarray, before: Shape, after: Shape) -> np.ndarray:
    """What is known of channels, by the classes that a Reshape joins: (channels / classes, classes).

    An entry of the last axis is at all numbers of one residue by its length, so that the channels on either side which
    share a number are those of the same residue by the greatest common divisor of the two lengths.

    Args:
        of_channels: for each channel on one side.
        before, after: the shapes.
    """
    return of_channels.reshape(-1, math.gcd(channels(before), channels(after)))


def _constant(node: Node, inputs: list[np.ndarray], graph: Graph) -> np.ndarray:
    operation = node.operation
    unknown = np.full(channels(node.shape), np.nan)
    match operation:
        case Input():
            return unknown
        case Dense() | Convolution():
            kernel = grouped(operation)
            known = by_group(np.where(foldable(operation, inputs[0]), inputs[0], np.nan), operation)
            varying = ((kernel != 0).any(axis=0) & np.isnan(known)).any(axis=0)
            total = (np.nan_to_num(known) * kernel.sum(axis=0, dtype=np.float64)).sum(axis=0)
            return np.where(varying, np.nan, total).reshape(-1) + operation.bias
        case Affine():
            return np.where(operation.scale == 0, 0, inputs[0] * operation.scale) + operation.shift
        case LayerNormalization():
            return np.where(operation.gamma == 0, operation.beta, np.nan)
        case Embedding():
            table = operation.table.astype(np.float64)
            return np.where((table == table[:1]).all(axis=0), table[0], np.nan)
        case Activation(name=name) if name in OVER_CHANNELS:
            return unknown
        case Activation():
            return np.where(np.isnan(inputs[0]), np.nan, activate(operation, inputs[0]))
        case Reshape():
            classes = residues(inputs[0], graph.nodes[node.inputs[0]].shape, node.shape)
            same = np.where((classes == classes[:1]).all(axis=0), classes[0], np.nan)
            return np.tile(same, len(unknown) // len(same))
        case Pad():
            return np.where(inputs[0] == 0, 0, np.nan) if any(map(any, operation.padding)) else inputs[0]
        case Merge(kind="concatenate"):
            return np.concatenate(inputs)
        case Merge(kind="add"):
            return sum(inputs, np.zeros_like(unknown))
        case Merge():
            zero = np.any(np.broadcast_arrays(*(x == 0 for x in inputs), unknown == 0), axis=0)
            return np.where(zero, 0, np.prod(np.broadcast_arrays(*inputs), axis=0))
    return inputs[0]


def _taken(node: Node, wanted: np.ndarray, shapes: list[Shape]) -> list[np.ndarray]:
    """For each input, which channels have a part in those that are wanted."""
    operation = node.operation
    match operation:
        case Input():
            return []
        case Dense() | Convolution():
            kernel = grouped(operation)[reached(operation, shapes[0])]
            of_groups = wanted.reshape(1, 1, *kernel.shape[2:])
            return [((kernel != 0) & of_groups).any(axis=(0, 3)).T.reshape(-1)]
        case Affine():
            return [wanted & (operation.scale != 0)]
        case LayerNormalization():
            return [np.full_like(wanted, (wanted & (operation.gamma != 0)).any())]
        case Activation(name=name) if name in OVER_CHANNELS:
            return [np.full_like(wanted, wanted.any())]
        case Embedding():
            return [np.full(channels(shapes[0]), (wanted & (operation.table != operation.table[:1]).any(axis=0)).any())]
        case Reshape():
            classes = residues(wanted, shapes[0], node.shape)
            return [np.tile(classes.any(axis=0), channels(shapes[0]) // classes.shape[1])]
        case Merge(kind="concatenate"):
            ends = np.cumsum([channels(shape) for shape in shapes])
            return np.split(wanted, ends[:-1])
        case Merge():
            return [wanted for _ in shapes]
    return [wanted]
