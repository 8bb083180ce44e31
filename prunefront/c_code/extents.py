"""How much of each tensor counts: what no output depends on, at the ends of its axes, is not computed.

Nine rows that are pooled by twos leave one that nobody looks at, and the convolution before needs no input for it.
"""

import math
from collections.abc import Sequence

from prunefront.graph.operations import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Graph,
    LayerNormalization,
    Merge,
    Node,
    Pad,
    Pool,
    Shape,
    Sides,
)


def needed(graph: Graph) -> list[Shape]:
    """For each node, how many places along each axis of space count, from the first on; at least one.

    Args:
        graph: every node leads to the output.
    """
    need: list[list[int]] = [[0] * (len(node.shape) - 1) for node in graph.nodes]
    need[-1] = list(graph.nodes[-1].shape[:-1])
    for number in reversed(range(len(graph.nodes))):
        node = graph.nodes[number]
        for source in node.inputs:
            full = graph.nodes[source].shape[:-1]
            wanted = _wanted(node, need[number], full)
            need[source] = [max(a, min(max(b, 1), n)) for a, b, n in zip(need[source], wanted, full, strict=True)]
    return [tuple(places) for places in need]


def _wanted(node: Node, places: Sequence[int], full: Shape) -> Sequence[int]:
    """Places of an input that count for so many places of what the node gives; may be more than there are."""
    match node.operation:
        case Convolution(kernel, _, strides, dilation, padding):
            return _under(
                places, [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation, strict=False)], strides, padding
            )
        case Pool(_, size, strides, padding):
            return _under(places, size, strides, padding)
        case Pad(padding):
            return [max(n - before, 0) for n, (before, _) in zip(places, padding, strict=True)]
        case Activation() | Affine() | LayerNormalization() | Dense() | Merge():
            return places
    return full


def _under(places: Sequence[int], reach: Sequence[int], strides: Sequence[int], padding: Sides) -> list[int]:
    return [
        max((n - 1) * stride + far - before, 0)
        for n, far, stride, (before, _) in zip(places, reach, strides, padding, strict=True)
    ]


def as_rows(places: Shape) -> tuple[int, int]:
    """Rows and columns of axes of space: those before the last are rows together."""
    return math.prod(places[:-1]), places[-1] if places else 1
