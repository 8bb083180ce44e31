"""How much arithmetic a graph is."""

import math

import numpy as np

from prunefront.graph.operations import Convolution, Dense, Graph


def multiply_adds(graph: Graph, nonzero: bool = False) -> int:
    """Multiplications with kernel weights for one example, padded places included.

    Args:
        graph: the network.
        nonzero: only those with a non-zero weight: the work that is left if zeros cost nothing.
    """
    return sum(
        math.prod(node.shape[:-1])
        * int(np.count_nonzero(node.operation.kernel) if nonzero else node.operation.kernel.size)
        for node in graph.nodes
        if isinstance(node.operation, Dense | Convolution)
    )
