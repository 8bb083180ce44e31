"""The shape of what an operation gives."""

import math
from collections.abc import Sequence

from prunefront.graph.operations import (
    Convolution,
    Dense,
    Embedding,
    GlobalPool,
    Merge,
    Operation,
    Pad,
    Pool,
    Shape,
    Sides,
)


def output_shape(operation: Operation, shapes: Sequence[Shape]) -> Shape:
    """The shape of what an operation gives, without the batch; that of a Reshape or an Input is its node's own.

    Args:
        operation: neither a Reshape nor an Input.
        shapes: of what it takes.
    """
    shape = shapes[0]
    match operation:
        case Dense():
            return (*shape[:-1], operation.kernel.shape[1])
        case Convolution():
            reach = spread(operation.kernel.shape[:-2], operation.dilation)
            return (*_windows(shape[:-1], reach, operation.strides, operation.padding), operation.kernel.shape[-1])
        case Embedding():
            return (*shape, operation.table.shape[1])
        case Pool():
            return (*_windows(shape[:-1], operation.size, operation.strides, operation.padding), shape[-1])
        case GlobalPool():
            return shape[-1:]
        case Pad():
            return (*(n + sum(sides) for n, sides in zip(shape[:-1], operation.padding, strict=True)), shape[-1])
        case Merge(kind="concatenate"):
            return (*shape[:-1], sum(other[-1] for other in shapes))
        case Merge():
            return tuple(max(sizes, key=lambda size: (size != 1, size)) for sizes in zip(*shapes, strict=True))
    return shape


def spread(size: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """How far a kernel reaches along each axis of space, gaps included."""
    return tuple((n - 1) * step + 1 for n, step in zip(size, dilation, strict=True))


def same_padding(shape: Sequence[int], reach: Sequence[int], strides: Sequence[int]) -> Sides:
    """What TensorFlow's `same` adds before and after along each axis; the odd one comes after.

    Args:
        shape: of the axes of space.
        reach: of the window, gaps included.
        strides: of the window.
    """
    totals = [
        max((math.ceil(n / stride) - 1) * stride + far - n, 0)
        for n, far, stride in zip(shape, reach, strides, strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


def _windows(shape: Shape, reach: Sequence[int], strides: Sequence[int], padding: Sides) -> Shape:
    return tuple(
        (n + sum(sides) - far) // stride + 1
        for n, far, stride, sides in zip(shape, reach, strides, padding, strict=True)
    )
