"""The way from a graph to C, before a line is written: what lies where, and what is done on the way."""

from dataclasses import dataclass, field, replace

import numpy as np

from prunefront.c_code.convolution import Planned, as_convolution
from prunefront.c_code.elementwise import is_rectifier
from prunefront.c_code.extents import as_rows, needed
from prunefront.c_code.planes import SLACK, Planes, planes
from prunefront.c_code.workspace import Storage
from prunefront.graph.channels import channels
from prunefront.graph.operations import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Graph,
    LayerNormalization,
    Merge,
    Node,
    Reshape,
)


@dataclass
class Step:
    """What is known of a node.

    Attributes:
        node: the node.
        operation: what C code does for it; a convolution of one place is a dense layer.
        planes: how what it gives lies.
        storage: the number of its room in the workspace.
        convolution: how it gets at its input, where it is one.
        scratch: the number of further room that it needs, if any.
        rectify: relu is done by the way.
        done: nothing is left to do: what it takes is what it gives.
    """

    node: Node
    operation: object
    planes: Planes
    storage: int
    convolution: Planned | None = None
    scratch: int | None = None
    rectify: bool = False
    done: bool = False


@dataclass
class Plan:
    """Of a graph: its steps, in the order of its nodes, and the rooms of the workspace."""

    steps: list[Step] = field(default_factory=list)
    storages: list[Storage] = field(default_factory=list)


def plan(graph: Graph) -> Plan:
    """Finds a place for everything, and what need not be done."""
    last = list(range(len(graph.nodes)))
    users: list[list[int]] = [[] for _ in graph.nodes]
    for number, node in enumerate(graph.nodes):
        for source in node.inputs:
            last[source] = number
            users[source].append(number)
    last[-1] = len(graph.nodes)  # what it gives is taken out at the very end
    found = Plan()
    for number, (node, places) in enumerate(zip(graph.nodes, needed(graph), strict=True)):
        step = _step(found, graph, number, node, as_rows(places), last)
        follower = users[number][0] if len(users[number]) == 1 else None
        if isinstance(step.operation, Convolution | Dense) and follower is not None:
            step.rectify = is_rectifier(graph.nodes[follower].operation)
        found.steps.append(step)
    return found


def _step(found: Plan, graph: Graph, number: int, node: Node, places: tuple[int, int], last: list[int]) -> Step:
    rows, columns = places
    sources = [found.steps[i] for i in node.inputs]
    operation = _simplest(node.operation, sources)

    def room(size: int, until: int = number) -> int:
        found.storages.append(Storage(size, number, until))
        return len(found.storages) - 1

    if isinstance(operation, Convolution) or (isinstance(operation, Dense) and not sources[0].planes.flat):
        full = as_rows(graph.nodes[node.inputs[0]].shape[:-1])
        layer = operation if isinstance(operation, Convolution) else as_convolution(operation)
        way = Planned(layer, sources[0].planes, full, rows, columns)
        scratch = room(way.staged + SLACK) if way.staged else None
        return Step(node, operation, way.output, room(way.output.size, last[number]), way, scratch)
    if isinstance(operation, Activation) and is_rectifier(operation) and sources[0].rectify:
        return _in_place(found, node, operation, sources[0], places, last[number], done=True)
    out = planes(channels(node.shape), rows, columns)
    if isinstance(operation, Reshape) and out.flat and sources[0].planes.flat:
        return _in_place(found, node, operation, sources[0], places, last[number], done=True)
    if isinstance(operation, Activation | Affine | LayerNormalization | Merge) and operation != Merge("concatenate"):
        for source in sources:
            if source.node.shape == node.shape and found.storages[source.storage].last == number:
                return _in_place(found, node, operation, source, places, last[number])
    if isinstance(operation, Activation | Affine):  # these go through planes without a look at rows
        lies = replace(sources[0].planes, rows=rows, columns=columns)
        return Step(node, operation, lies, room(lies.size, last[number]))
    scratch = None
    if isinstance(operation, Reshape) and not (out.flat or sources[0].planes.flat):
        scratch = room(int(np.prod(node.shape)))
    return Step(node, operation, out, room(out.size, last[number]), scratch=scratch)


def _in_place(
    found: Plan, node: Node, operation: object, source: Step, places: tuple[int, int], last: int, done: bool = False
) -> Step:
    """A step whose output takes the place of an input."""
    storage = found.storages[source.storage]
    storage.last = max(storage.last, last)
    lies = replace(source.planes, rows=places[0], columns=places[1])
    return Step(node, operation, lies, source.storage, done=done)


def _simplest(operation: object, sources: list[Step]) -> object:
    """A convolution of one place is a dense layer by the one weight of each kernel that meets it."""
    if not isinstance(operation, Convolution) or operation.groups > 1 or not sources[0].planes.flat:
        return operation
    met = []
    for size, step, (before, after) in zip(operation.kernel.shape, operation.dilation, operation.padding, strict=False):
        if before % step or before // step >= size or before + after != (size - 1) * step:
            return operation
        met.append(before // step)
    return Dense(operation.kernel[tuple(met)], operation.bias)
