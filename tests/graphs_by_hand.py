"""Graphs of a few operations, written out."""

import numpy as np

from prunefront.graph.operations import Affine, Convolution, Dense, Graph, Input, Node
from prunefront.graph.shapes import output_shape


def dense(kernel, bias=None):
    kernel = np.array(kernel, np.float32)
    return Dense(kernel, np.zeros(kernel.shape[1], np.float32) if bias is None else np.array(bias, np.float32))


def conv(kernel, bias=None, padding=0, groups=1):
    """Over one axis; kernel is (size, inputs / groups, outputs)."""
    kernel = np.array(kernel, np.float32)
    bias = np.zeros(kernel.shape[-1], np.float32) if bias is None else np.array(bias, np.float32)
    return Convolution(kernel, bias, (1,), (1,), ((padding, padding),), groups)


def affine(scale, shift):
    return Affine(np.array(scale, np.float32), np.array(shift, np.float32))


def graph(shape, *steps):
    """A graph of operations, each on the node before it, or (operation, inputs); a Reshape brings its shape."""
    nodes = [Node("input", Input(), (), shape)]
    for number, step in enumerate(steps):
        operation, inputs, *to = step if isinstance(step, tuple) else (step, (number,))
        to = to[0] if to else output_shape(operation, [nodes[i].shape for i in inputs])
        nodes.append(Node(f"n{number + 1}", operation, tuple(inputs), to))
    return Graph("by hand", tuple(nodes))
