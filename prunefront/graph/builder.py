"""The nodes of a graph, added one by one while a Keras model is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.graph.operations import Node, Operation, Shape
from prunefront.graph.shapes import output_shape


@dataclass(frozen=True)
class Value:
    """What a node gives, as the layers behind it take it.

    Attributes:
        node: its number.
        shape: without the batch.
        masked: whether Keras hands a mask along with it.
    """

    node: int
    shape: Shape
    masked: bool = False


MASK = Value(-1, (), masked=True)
"""What says which steps count, and is no value itself."""


@dataclass(frozen=True)
class Source:
    """Where a weight array of a model stands in its graph.

    Attributes:
        node: the number of the node.
        attribute: of the operation, such as kernel; it has the array's numbers in their order, but for `scale`, of
            which the array is a factor, and `shift`, of which it is a summand.
        weight: the array's place in model order.
    """

    node: int
    attribute: str
    weight: int


class Builder:
    """The nodes that a model's layers have become so far.

    Attributes:
        nodes, sources: found so far.
        path: of the layer that is read.
        layer: reads a layer, given the builder, the layer and what it is called on.
    """

    def __init__(
        self,
        model: "keras.Model",
        weights: Sequence[np.ndarray] | None,
        layer: "Callable[[Builder, Any, Value], Value]",
    ):
        self.layer = layer
        self.nodes: list[Node] = []
        self.sources: list[Source] = []
        self.path = model.name
        self._number = {id(variable): number for number, variable in enumerate(model.weights)}
        self._weights = weights

    def put(self, node: Node) -> int:
        """A node more; its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def array(self, variable: Any) -> np.ndarray:
        """The values of a variable or tensor as float32, those handed over if there are such."""
        number = self._number.get(id(variable))
        if self._weights is not None and number is not None:
            return np.asarray(self._weights[number], np.float32)
        return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32")))

    def add(
        self,
        operation: Operation,
        *inputs: Value,
        part: str = "",
        shape: Shape | None = None,
        variables: Sequence[tuple[str, Any]] = (),
    ) -> Value:
        """A node more, of the layer that is read.

        Args:
            operation: its operation.
            inputs: what it takes.
            part: of a layer that becomes several nodes.
            shape: of a Reshape.
            variables: attributes of the operation and Keras's variables that stand there; others are left out.
        """
        for item in fields(operation):
            array = getattr(operation, item.name)
            if isinstance(array, np.ndarray) and not np.isfinite(array).all():
                raise InputError(f"Layer {self.path}: expected finite weights. Received: NaN or infinity")
        shape = output_shape(operation, [x.shape for x in inputs]) if shape is None else shape
        name = f"{self.path}/{part}" if part else self.path
        number = self.put(Node(name, operation, tuple(x.node for x in inputs), shape))
        self.sources += [
            Source(number, attribute, self._number[id(variable)])
            for attribute, variable in variables
            if id(variable) in self._number
        ]
        return Value(number, shape)

    def refuse(self, layer: Any, why: str = "") -> NoReturn:
        """Says in one line that a layer cannot be read."""
        raise InputError(
            f"Expected layers that come down to plain operations. Received: {self.path}, a {type(layer).__name__}"
            + (f" {why}" if why else "")
        )
