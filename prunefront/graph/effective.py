"""Which weights of a network have a part in its function."""

from collections.abc import Sequence

import numpy as np

from prunefront.graph.builder import Source
from prunefront.graph.channels import by_group, constants, grouped, needed, reached
from prunefront.graph.operations import Convolution, Dense, Graph


def effective_zeros(
    weights: Sequence[np.ndarray], flags: Sequence[bool], graph: Graph | None = None, sources: Sequence[Source] = ()
) -> int:
    """How many weights are zero or ineffective: non-zero, but without a part in the function by where they lie.

    A weight is effective if a path of non-zero weights leads from it to the output, and what it is multiplied with is
    not zero for every example (Vysogorets and Kempe 2023, "Connectivity matters: neural network pruning through the
    lens of effective sparsity"). Their paths begin at the input; ours also at biases, which make constants that reach
    the output: no weight counts as ineffective whose value matters. Kernels of convolutions count by channel, and by
    place where that never meets more than the zeros around an image. Of several uses of a shared weight, one is enough.

    Args:
        weights: in model order.
        flags: for each array, whether it counts.
        graph: of these weights; None for a model that `read_with_sources` refuses.
        sources: where the arrays stand in it.

    Returns:
        The count; arrays that no operation of the graph holds count with their zeros alone.
    """
    effective: list[np.ndarray | None] = [None] * len(weights)
    masks = [] if graph is None else effective_weights(graph)
    for source in sources:
        mask = masks[source.node][source.attribute].reshape(weights[source.weight].shape)
        earlier = effective[source.weight]
        effective[source.weight] = mask if earlier is None else earlier | mask
    kept = [w != 0 if mask is None else (w != 0) & mask for w, mask in zip(weights, effective, strict=True)]
    return sum(mask.size - int(np.count_nonzero(mask)) for mask, counts in zip(kept, flags, strict=True) if counts)


def effective_weights(graph: Graph) -> list[dict[str, np.ndarray]]:
    """For each node, which entries of its arrays matter if they are not zero, by the names of its attributes.

    Args:
        graph: of finite weights.

    Returns:
        Arrays of bool in the shapes of the operation's.
    """
    known, wanted = constants(graph), needed(graph)
    found = []
    for node, want in zip(graph.nodes, wanted, strict=True):
        operation = node.operation
        arrays = {name: a for name, a in vars(operation).items() if isinstance(a, np.ndarray)}
        masks = {name: np.broadcast_to(want, a.shape) for name, a in arrays.items()}
        if isinstance(operation, Dense | Convolution):
            kernel = grouped(operation)
            at = reached(operation, graph.nodes[node.inputs[0]].shape).reshape(-1, 1, 1, 1)
            moving = by_group(known[node.inputs[0]] != 0, operation)
            mask = np.broadcast_to(at & moving & want.reshape(kernel.shape[2:]), kernel.shape)
            masks["kernel"] = mask.reshape(operation.kernel.shape)
        found.append(masks)
    return found
