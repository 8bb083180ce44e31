"""Scales and shifts of channels (BatchNormalization, Rescaling) taken into the weights beside them."""

from dataclasses import replace

import numpy as np

from prunefront.graph.channels import by_group, grouped
from prunefront.graph.operations import Affine, Convolution, Dense, Embedding, Graph, Node, Operation, reachable


def fold_affine(graph: Graph) -> Graph:
    """The same function with each Affine taken into the weights before it, or else into those behind it.

    That is possible where nothing else takes what lies between the two; into the weights behind it, where its shift
    adds the same number at all places: in front of zeros around an image, only a shift of 0. Zero weights stay zero.

    Args:
        graph: of finite weights.

    Returns:
        A graph whose outputs are equal but for rounding of the weights and biases.
    """
    graph = reachable(graph, len(graph.nodes) - 1)
    uses = np.zeros(len(graph.nodes), int)
    for node in graph.nodes:
        np.add.at(uses, list(node.inputs), 1)
    nodes: list[Node] = []
    place: list[int] = []  # of each old node among the new ones
    for node in graph.nodes:
        new = replace(node, inputs=tuple(place[i] for i in node.inputs))
        alone = len(node.inputs) == 1 and uses[node.inputs[0]] == 1
        before = nodes[new.inputs[0]] if alone else None
        if before is not None and isinstance(new.operation, Affine):
            together = _into_weights_before(before.operation, new.operation)
            if together is not None:
                nodes[new.inputs[0]] = replace(before, operation=together)
                place.append(new.inputs[0])
                continue
        if before is not None and isinstance(before.operation, Affine):
            together = _into_weights_behind(before.operation, new.operation)
            if together is not None:
                new = replace(new, operation=together, inputs=before.inputs)
        place.append(len(nodes))
        nodes.append(new)
    return reachable(Graph(graph.name, tuple(nodes)), place[-1])


def _into_weights_before(operation: Operation, affine: Affine) -> Operation | None:
    """What an operation and an Affine behind it are together, None if they are no single operation."""
    scale, shift = affine.scale.astype(np.float64), affine.shift.astype(np.float64)
    match operation:
        case Dense() | Convolution():
            kernel, bias = operation.kernel * scale, operation.bias * scale + shift
            return replace(operation, kernel=_like(operation.kernel, kernel), bias=_like(operation.bias, bias))
        case Affine():
            both = (
                _like(operation.scale, operation.scale * scale),
                _like(operation.shift, operation.shift * scale + shift),
            )
            return Affine(*both)
        case Embedding():
            return Embedding(_like(operation.table, operation.table * scale + shift))
    return None


def _into_weights_behind(affine: Affine, operation: Operation) -> Operation | None:
    """What an Affine and an operation behind it are together, None if they are no single operation."""
    if not isinstance(operation, Dense | Convolution):
        return None
    if isinstance(operation, Convolution) and any(map(any, operation.padding)) and affine.shift.any():
        return None
    kernel = grouped(operation).astype(np.float64)
    added = (kernel.sum(axis=0) * by_group(affine.shift.astype(np.float64), operation)).sum(axis=0).reshape(-1)
    scaled = (kernel * by_group(affine.scale, operation)).reshape(operation.kernel.shape)
    return replace(
        operation, kernel=_like(operation.kernel, scaled), bias=_like(operation.bias, operation.bias + added)
    )


def _like(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """In the type of the old one, and no zero below zero."""
    return new.astype(old.dtype) + old.dtype.type(0)
