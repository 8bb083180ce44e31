"""Small random graphs of all operations, with branches and zeros, in float64 so that rounding hides nothing."""

import math
from dataclasses import replace

import hypothesis
import numpy as np

from prunefront.graph.activations import FUNCTIONS
from prunefront.graph.forward import outputs
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
    Operation,
    Pad,
    Pool,
    Reshape,
)
from prunefront.graph.shapes import output_shape, same_padding, spread

NAMES = [*sorted(FUNCTIONS.keys() - {"exponential"}), *["relu"] * 12, *["linear"] * 6]


def random_graph(seed: int, sparsity: float, count: int = 10, dtype: type = np.float64) -> Graph:
    """A graph of about `count` operations with that share of zeros, some in whole units; ends in a dense layer."""
    rng = np.random.default_rng(seed)
    shape = [(5,), (6, 3), (5, 4, 2), (4, 4, 3)][rng.integers(4)]
    nodes = [Node("input", Input(), (), shape)]
    if rng.random() < 0.1:
        nodes = [
            Node("input", Input(), (), (6,)),
            Node("embedding", Embedding(_zeroed(rng, (5, 4), sparsity)), (0,), (6, 4)),
        ]

    def add(operation: Operation, *inputs: int, shape: tuple[int, ...] = ()) -> None:
        if not isinstance(operation, Reshape):
            shape = output_shape(operation, [nodes[i].shape for i in inputs])
        nodes.append(Node(f"n{len(nodes)}", operation, inputs, shape))

    for _ in range(count):
        one = int(rng.integers(max(0 if len(nodes) < 2 else 1, len(nodes) - 3), len(nodes)))
        if nodes[one].shape == (6,) and len(nodes) > 1 and isinstance(nodes[1].operation, Embedding) and one == 0:
            continue
        for operation, others, to in _choices(rng, nodes, one, sparsity):
            add(operation, *others, shape=to)
    last = len(nodes) - 1
    if len(nodes[last].shape) > 1:
        add(Reshape(), last, shape=(math.prod(nodes[last].shape),))
    add(Dense(_zeroed(rng, (nodes[-1].shape[0], 3), sparsity / 2), rng.normal(size=3)), len(nodes) - 1)
    graph = Graph("random", tuple(nodes))
    return graph if dtype is np.float64 else cast(graph, dtype)


def cast(graph: Graph, dtype: type) -> Graph:
    """The graph with all arrays of another type."""
    return replace(graph, nodes=tuple(replace(n, operation=_cast(n.operation, dtype)) for n in graph.nodes))


def _cast(operation: Operation, dtype: type) -> Operation:
    arrays = {k: v.astype(dtype) for k, v in vars(operation).items() if isinstance(v, np.ndarray)}
    return replace(operation, **arrays)


def _zeroed(rng: np.random.Generator, shape: tuple[int, ...], sparsity: float) -> np.ndarray:
    values = rng.normal(size=shape) * (rng.random(shape) >= sparsity)
    values *= rng.random(shape[-1:]) >= sparsity / 2
    if len(shape) > 1:
        values *= rng.random(shape[-2:-1])[:, None] >= sparsity / 2
    return values


def _choices(rng, nodes, one, sparsity):
    """One random step from a node: a list of (operation, inputs, shape of a Reshape)."""
    shape = nodes[one].shape
    units, space = shape[-1], shape[:-1]
    new = int(rng.integers(1, 6))
    bias = _zeroed(rng, (new,), sparsity)
    same = [i for i, node in enumerate(nodes) if node.shape == shape and i > 0]
    beside = [i for i, node in enumerate(nodes) if node.shape[:-1] == space and len(node.shape) == len(shape) and i > 0]
    kind = rng.integers(16)
    if kind in (0, 1, 2) and len(same) > 1:
        several = [int(i) for i in rng.choice(same, 2)]
        return [(Merge("multiply" if kind == 0 else "add"), several, ())]
    if kind in (3, 4) and len(beside) > 1:
        return [(Merge("concatenate"), [int(i) for i in rng.choice(beside, 2)], ())]
    if kind == 5:
        return [(Affine(_zeroed(rng, (units,), sparsity / 2), _zeroed(rng, (units,), sparsity)), [one], ())]
    if kind == 6 and rng.random() < 0.4:
        return [(LayerNormalization(_zeroed(rng, (units,), sparsity / 2), rng.normal(size=units), 1e-3), [one], ())]
    if kind in (7, 8, 9):
        name = NAMES[rng.integers(len(NAMES))]
        return [] if name == "linear" else [(Activation(name), [one], ())]
    if kind == 10 and space:
        divisors = [d for d in range(1, math.prod(shape) + 1) if math.prod(shape) % d == 0]
        last = int(rng.choice(divisors))
        return [(Reshape(), [one], (math.prod(shape) // last, last))]
    if kind == 11 and len(space) in (1, 2):
        operation = GlobalPool(str(rng.choice(["max", "average"]))) if rng.random() < 0.3 else _pool(rng, space)
        return [(operation, [one], ())]
    if kind == 12 and len(space) in (1, 2):
        return [(Pad(tuple((int(rng.integers(2)), int(rng.integers(2))) for _ in space)), [one], ())]
    if len(space) in (1, 2) and max(space) < 9 and rng.random() < 0.8:
        return [(_convolution(rng, shape, new, bias, sparsity), [one], ())]
    return [(Dense(_zeroed(rng, (units, new), sparsity), bias), [one], ())]


def _pool(rng, space):
    size = tuple(int(rng.integers(1, min(3, n) + 1)) for n in space)
    strides = tuple(int(s) for s in rng.integers(1, 3, len(space)))
    padding = same_padding(space, size, strides) if rng.random() < 0.5 else ((0, 0),) * len(space)
    return Pool(str(rng.choice(["max", "average"])), size, strides, padding)


def _convolution(rng, shape, new, bias, sparsity):
    units, space = shape[-1], shape[:-1]
    size = tuple(int(rng.integers(1, min(3, n) + 1)) for n in space)
    dilation = tuple(2 if (k - 1) * 2 < n and rng.random() < 0.2 else 1 for k, n in zip(size, space, strict=True))
    strides = tuple(int(s) for s in rng.integers(1, 3, len(space)))
    padding = same_padding(space, spread(size, dilation), strides) if rng.random() < 0.5 else ((0, 0),) * len(space)
    groups = 1
    if rng.random() < 0.3:
        groups, new = units, units * int(rng.integers(1, 3))
    elif units % 2 == 0 and rng.random() < 0.2:
        groups, new = 2, 2 * new
    bias = _zeroed(rng, (new,), sparsity) if len(bias) != new else bias
    return Convolution(_zeroed(rng, (*size, units // groups, new), sparsity), bias, strides, dilation, padding, groups)


def random_inputs(graph: Graph, count: int = 4) -> np.ndarray:
    """Examples for a random graph."""
    rng = np.random.default_rng(0)
    shape = (count, *graph.input_shape)
    embedded = any(isinstance(node.operation, Embedding) for node in graph.nodes)
    return rng.integers(0, 5, shape) if embedded else rng.normal(size=shape)


def tame_outputs(graph: Graph, inputs: np.ndarray) -> np.ndarray:
    """What a graph gives for examples; Hypothesis tries another where numbers grow without bounds."""
    try:
        with np.errstate(over="raise", invalid="raise"):
            found = outputs(graph, inputs)
    except FloatingPointError:
        hypothesis.reject()
    hypothesis.assume(np.abs(found).max() < 1e9)
    return found
