"""Units that have no effect, or the same one for every example, taken out of a network; exact."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prunefront.graph.activations import OVER_CHANNELS
from prunefront.graph.channels import by_group, channels, constants, foldable, grouped, needed, residues
from prunefront.graph.forward import outputs
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
    Operation,
    Reshape,
    Shape,
    reachable,
)
from prunefront.graph.shapes import output_shape


def compact(graph: Graph) -> Graph:
    """The same function with fewer units.

    A unit is a channel of a layer with weights: a dense unit, an output channel of a convolution, a column of an
    embedding. Those from which no path of non-zero weights leads to the output are removed. Those that are the same
    for every example are added to the next layer's bias and removed, where that adds the same number at all places:
    in front of zeros around an image only those that are 0. Summands that are constant as a whole, and inputs of a
    concatenation that lead nowhere, are removed with all that only they need. Channels that a sum, a product or a group
    of a convolution ties are removed together or not at all; those of a softmax and of a layer normalization stay. Each
    layer that is left keeps a unit, the input and the output keep all.

    Args:
        graph: of finite weights.

    Returns:
        A graph whose outputs are equal but for rounding of the biases. Weights of units that stay only because others
        need their place are zero. Compacting it again changes nothing.
    """
    while True:
        smaller = _without_units(_without_constants(graph))
        if [node.shape for node in smaller.nodes] == [node.shape for node in graph.nodes]:
            return smaller
        graph = smaller


def constant_output(graph: Graph) -> np.ndarray | None:
    """What a network gives whatever the example is, float64 of the output's shape; None if the input matters to it."""
    if any(needed(_without_constants(graph))[0]):
        return None
    result: np.ndarray = outputs(graph, np.zeros((1, *graph.input_shape)))[0]
    return result


def _without_constants(graph: Graph) -> Graph:
    """Constant channels moved into the biases behind them, constant summands and factors into an Affine."""
    known = constants(graph)
    dtype = next(
        (n.operation.bias.dtype for n in graph.nodes if isinstance(n.operation, Dense | Convolution)), np.float32
    )
    nodes: list[Node] = []
    place: list[int] = []  # of each old node among the new ones
    for node in graph.nodes:
        new = replace(node, inputs=tuple(place[i] for i in node.inputs))
        values = [known[i] for i in node.inputs]
        if isinstance(node.operation, Dense | Convolution):
            nodes.append(replace(new, operation=_folded(node.operation, values[0])))
            place.append(len(nodes) - 1)
        elif isinstance(node.operation, Merge) and node.operation.kind != "concatenate":
            place.append(_merge_varying(nodes, new, node.operation.kind, values, dtype))
        elif isinstance(node.operation, Merge) and len(new.inputs) == 1:
            place.append(new.inputs[0])
        else:
            nodes.append(new)
            place.append(len(nodes) - 1)
    return reachable(Graph(graph.name, tuple(nodes)), place[-1])


def _folded(operation: Dense | Convolution, known: np.ndarray) -> Dense | Convolution:
    fold = by_group(foldable(operation, known), operation)
    kernel = grouped(operation)
    if not (kernel.any(axis=0) & fold).any():
        return operation
    values = by_group(np.nan_to_num(known), operation)
    added = np.where(fold, values * kernel.sum(axis=0, dtype=np.float64), 0).sum(axis=0).reshape(-1)
    return replace(
        operation,
        kernel=np.where(fold, 0, kernel).astype(kernel.dtype).reshape(operation.kernel.shape),
        bias=(operation.bias + added).astype(operation.bias.dtype),
    )


def _merge_varying(
    nodes: list[Node], node: Node, kind: str, known: Sequence[np.ndarray], dtype: np.dtype | type
) -> int:
    """Appends a sum or product whose constant inputs, where there are such, are an Affine; the number of its result."""
    varying = [i for i, values in zip(node.inputs, known, strict=True) if np.isnan(values).any()]
    fixed = [values for values in known if not np.isnan(values).any()]
    if not (fixed and varying) or output_shape(node.operation, [nodes[i].shape for i in varying]) != node.shape:
        nodes.append(node)
        return len(nodes) - 1
    result = varying[0]
    if len(varying) > 1:
        nodes.append(replace(node, inputs=tuple(varying)))
        result = len(nodes) - 1
    neutral = 0.0 if kind == "add" else 1.0
    each = np.full(channels(node.shape), neutral)
    for values in fixed:
        each = each + values if kind == "add" else each * values
    if (each != neutral).any():
        each, other = each.astype(dtype), np.full(len(each), 1 - neutral, dtype)
        operation = Affine(other, each) if kind == "add" else Affine(each, other)
        nodes.append(Node(node.name, operation, (result,), node.shape))
        result = len(nodes) - 1
    return result


def _without_units(graph: Graph) -> Graph:
    """Only the channels that lead to the output, and those that have to stay beside them."""
    wanted = needed(graph)
    dropped = [_leading_nowhere(graph, number, wanted) for number in range(len(graph.nodes))]
    while True:
        keep = _kept(graph, wanted, dropped)
        held = [[i for i in d if _part(graph, n, keep[n], i).any()] for n, d in enumerate(dropped)]
        if not any(held):
            break
        dropped = [[i for i in d if i not in h] for d, h in zip(dropped, held, strict=True)]
    shapes: list[Shape] = []
    made = []
    for number, node in enumerate(graph.nodes):
        inputs = tuple(i for place, i in enumerate(node.inputs) if place not in dropped[number])
        operation = _sliced(node.operation, [keep[i] for i in inputs], keep[number], wanted[number])
        if isinstance(operation, Input | Reshape):
            shape = (*node.shape[:-1], int(keep[number].sum())) if node.shape else ()
        else:
            shape = output_shape(operation, [shapes[i] for i in inputs])
        shapes.append(shape)
        made.append(Node(node.name, operation, inputs, shape))
    return reachable(Graph(graph.name, tuple(made)), len(made) - 1)


def _leading_nowhere(graph: Graph, number: int, wanted: Sequence[np.ndarray]) -> list[int]:
    """Which inputs of a concatenation have no channel that is wanted there, by their places; never all of them."""
    operation = graph.nodes[number].operation
    if not (isinstance(operation, Merge) and operation.kind == "concatenate" and wanted[number].any()):
        return []
    return [i for i in range(len(graph.nodes[number].inputs)) if not _part(graph, number, wanted[number], i).any()]


def _part(graph: Graph, number: int, of_channels: np.ndarray, place: int) -> np.ndarray:
    """Of what is known of the channels of a concatenation, that of one input's."""
    ends = np.cumsum([channels(graph.nodes[i].shape) for i in graph.nodes[number].inputs])
    return np.split(of_channels, ends)[place]


def _kept(graph: Graph, wanted: Sequence[np.ndarray], dropped: Sequence[list[int]]) -> list[np.ndarray]:
    """For each node, which channels stay: those of a label of which one is wanted, or has to stay."""
    labels = _labels(graph, dropped)
    stays = np.zeros(max(int(found.max()) for found in labels) + 1, bool)
    for node, found, want in zip(graph.nodes, labels, wanted, strict=True):
        stays[found[want]] = True
        if node is graph.nodes[-1] or isinstance(node.operation, Input):
            stays[found] = True
        elif _together(node.operation) and want.any():
            stays[found] = stays[labels[node.inputs[0]]] = True
    for found in labels:
        if not stays[found].any():
            stays[found[0]] = True
    return [stays[found] for found in labels]


def _together(operation: Operation) -> bool:
    """Whether an operation takes all channels of a place as one."""
    over = isinstance(operation, Activation) and operation.name in OVER_CHANNELS
    return over or isinstance(operation, LayerNormalization)


def _labels(graph: Graph, dropped: Sequence[list[int]]) -> list[np.ndarray]:
    """For each node, a label for each channel, the same for those that can only be removed together.

    Args:
        graph: the network.
        dropped: for each node, the inputs whose channels get new labels in the concatenation, by their places.
    """
    labels: list[np.ndarray] = []
    tied: list[tuple[np.ndarray, np.ndarray]] = []
    free = 0

    def new(count: int) -> np.ndarray:
        nonlocal free
        free += count
        return np.arange(free - count, free)

    for node, out in zip(graph.nodes, dropped, strict=True):
        operation, units = node.operation, channels(node.shape)
        inputs = [labels[i] for i in node.inputs]
        if isinstance(operation, Convolution) and operation.groups > 1:
            runs = inputs[0].reshape(operation.groups, -1)
            tied.append((runs.reshape(-1), np.repeat(runs[:, 0], runs.shape[1])))
            labels.append(np.repeat(runs[:, 0], units // operation.groups))
        elif isinstance(operation, Input | Dense | Embedding | Convolution):
            labels.append(new(units))
        elif isinstance(operation, Reshape):
            classes = residues(inputs[0], graph.nodes[node.inputs[0]].shape, node.shape)
            tied.append((classes.reshape(-1), np.tile(classes[0], len(classes))))
            labels.append(np.tile(classes[0], units // len(classes[0])))
        elif isinstance(operation, Merge) and operation.kind == "concatenate":
            labels.append(np.concatenate([new(len(x)) if i in out else x for i, x in enumerate(inputs)]))
        else:
            full = [x for x in inputs if len(x) == units]
            tied += [(full[0], other) for other in full[1:]]
            labels.append(full[0])
    group = _joined(free, tied)
    return [group[found] for found in labels]


def _joined(count: int, tied: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """For each label, the smallest of those that it is tied to, directly or by others."""
    group = np.arange(count)
    while True:
        before = group.copy()
        for one, other in tied:
            low = np.minimum(group[one], group[other])
            np.minimum.at(group, one, low)
            np.minimum.at(group, other, low)
        if np.array_equal(before, group):
            return group


def _sliced(operation: Operation, takes: Sequence[np.ndarray], keep: np.ndarray, wanted: np.ndarray) -> Operation:
    """An operation on what is left; the weights of channels that nobody wants become zero."""
    match operation:
        case Dense():
            kernel = (operation.kernel * wanted)[takes[0]][:, keep]
            return Dense(kernel, (operation.bias * wanted)[keep])
        case Convolution():
            kernel = (operation.kernel * wanted)[..., keep]
            bias = (operation.bias * wanted)[keep]
            if operation.groups == 1:
                return replace(operation, kernel=kernel[..., takes[0], :], bias=bias)
            groups = int(takes[0].reshape(operation.groups, -1)[:, 0].sum())
            return replace(operation, kernel=kernel, bias=bias, groups=groups)
        case Embedding():
            return Embedding((operation.table * wanted)[:, keep])
        case Affine():
            return Affine(operation.scale[keep], operation.shift[keep])
        case LayerNormalization():
            return replace(operation, gamma=operation.gamma[keep], beta=operation.beta[keep])
    return operation
