"""The operations that a network comes down to, with their weights as NumPy arrays; nothing of Keras.

Shapes leave out the batch. Channels are last: (length, channels) and (height, width, channels).
"""

from dataclasses import dataclass, field, replace

import numpy as np

Shape = tuple[int, ...]
Sides = tuple[tuple[int, int], ...]
"""Rows or zeros before and after, for each axis of space."""


@dataclass(frozen=True)
class Input:
    """The examples."""


@dataclass(frozen=True)
class Dense:
    """`x @ kernel + bias` over the last axis.

    Attributes:
        kernel: float32, (inputs, units).
        bias: float32, (units,).
    """

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Convolution:
    """A convolution over one or two axes of space, as neural networks have it: the kernel is not turned.

    Attributes:
        kernel: float32, (*size, inputs / groups, outputs).
        bias: float32, (outputs,).
        strides, dilation: for each axis of space.
        padding: zeros before and after, for each axis of space.
        groups: the channels fall into so many runs of equal length, each with outputs of its own; as many as there are
            channels in a depthwise convolution, whose output `c * multiplier + m` is that of channel c.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Sides
    groups: int = 1


@dataclass(frozen=True)
class Affine:
    """`x * scale + shift`, for each channel of the last axis: BatchNormalization, Rescaling, Normalization.

    Attributes:
        scale, shift: float32, (channels,).
    """

    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class LayerNormalization:
    """The last axis brought to mean 0 and variance 1, then scaled and shifted.

    Attributes:
        gamma, beta: float32, (channels,).
        epsilon: is added to the variance.
    """

    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float


@dataclass(frozen=True)
class Embedding:
    """The rows of a table that the examples name by number.

    Attributes:
        table: float32, (rows, channels).
    """

    table: np.ndarray


@dataclass(frozen=True)
class Activation:
    """A function of each number by itself, but softmax and log_softmax, which are over the last axis.

    Attributes:
        name: Keras's name of it: relu, relu6, leaky_relu, elu, selu, gelu, sigmoid, hard_sigmoid, tanh, silu,
            hard_silu, softplus, softsign, exponential, softmax and the other keys of `activations.FUNCTIONS`.
        parameters: what the function takes besides, by Keras's names: relu negative_slope, max_value and threshold
            where they are not 0, None and 0; leaky_relu negative_slope; elu and celu alpha; gelu approximate (0 or 1);
            hard_shrink and soft_shrink threshold; squareplus b.
    """

    name: str
    parameters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """The largest number or the mean of each window; padded places count for neither.

    Attributes:
        kind: max or average.
        size, strides: of the window, for each axis of space.
        padding: places before and after, for each axis of space.
    """

    kind: str
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Sides


@dataclass(frozen=True)
class GlobalPool:
    """The largest number or the mean of each channel.

    Attributes:
        kind: max or average.
    """

    kind: str


@dataclass(frozen=True)
class Reshape:
    """The same numbers in the same order in another shape, that of the node; Flatten too."""


@dataclass(frozen=True)
class Pad:
    """Zeros around the axes of space.

    Attributes:
        padding: zeros before and after, for each axis of space.
    """

    padding: Sides


@dataclass(frozen=True)
class Merge:
    """Several inputs made one: their sum or product, number by number, or one behind the other along the last axis.

    Attributes:
        kind: add, multiply or concatenate. Shapes may differ in add and multiply where one of them has ones there.
    """

    kind: str


Operation = (
    Input
    | Dense
    | Convolution
    | Affine
    | LayerNormalization
    | Embedding
    | Activation
    | Pool
    | GlobalPool
    | Reshape
    | Pad
    | Merge
)


@dataclass(frozen=True)
class Node:
    """An operation at its place.

    Attributes:
        name: the path of the layer that it comes from, such as `encoder/query`.
        operation: what is done.
        inputs: the numbers of the nodes that it takes.
        shape: of what it gives, without the batch.
    """

    name: str
    operation: Operation
    inputs: tuple[int, ...]
    shape: Shape


@dataclass(frozen=True)
class Graph:
    """A network from one input to one output.

    Attributes:
        name: of the model.
        nodes: each behind those that it takes; the input comes first, the output last.
    """

    name: str
    nodes: tuple[Node, ...]

    @property
    def input_shape(self) -> Shape:
        """Of an example."""
        return self.nodes[0].shape

    @property
    def output_shape(self) -> Shape:
        """Of what the network gives for an example."""
        return self.nodes[-1].shape


def reachable(graph: Graph, last: int) -> Graph:
    """The graph up to that node, without what has no part in it; the input stays."""
    taken = {0, last}
    for number in range(last, 0, -1):
        if number in taken:
            taken.update(graph.nodes[number].inputs)
    place = {number: new for new, number in enumerate(sorted(taken))}
    kept = [graph.nodes[number] for number in sorted(taken)]
    return Graph(graph.name, tuple(replace(node, inputs=tuple(place[i] for i in node.inputs)) for node in kept))
